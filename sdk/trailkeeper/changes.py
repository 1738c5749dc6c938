"""What an update changed: the content of `details["changes"]`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from trailkeeper.mask import as_mapping, hide, is_secret, masked

_ABSENT = object()


def diff(old: Any, new: Any, *, secrets: Iterable[str] = (), ignore: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
    """Give `{"field": {"old": …, "new": …}}` for every field that differs between two states of a thing.

    States are mappings, dataclasses or models with `model_dump`; None is the state of what is not there, so
    `diff(None, new)` describes a creation. A secret that changed shows as changed and neither value is shown (see
    `trailkeeper.mask`; `secrets` are more key names). `ignore` names fields to leave out, such as updated_at.
    Raises TypeError for a state that is none of these.
    """
    before, after = _state(old), _state(new)
    more, without = frozenset(map(str, secrets)), frozenset(ignore)
    changes: dict[str, dict[str, Any]] = {}
    for key in [*before, *(key for key in after if key not in before)]:
        was, now = before.get(key, _ABSENT), after.get(key, _ABSENT)
        if key in without or (was is now or (type(was) is type(now) and was == now)):
            continue
        if was is _ABSENT or now is _ABSENT or was != now:
            show = hide if str(key) in more or is_secret(str(key)) else lambda value: masked(value, more, 0)
            changes[str(key)] = {
                "old": None if was is _ABSENT else show(was),
                "new": None if now is _ABSENT else show(now),
            }
    return changes


def _state(value: Any) -> dict[Any, Any]:
    if value is None:
        return {}
    members = as_mapping(value)
    if members is None:
        raise TypeError(f"diff() compares mappings, dataclasses and models, not {type(value).__name__}.")
    return dict(members)
