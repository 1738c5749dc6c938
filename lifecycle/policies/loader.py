"""Brings the policies to ISM: says first what it would change, then does it, then has the indices follow.

Only the fields that we set are compared and written; what ISM adds, and when, is its own business.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from audit.changes import Change, difference
from audit.errors import Conflict
from audit.retention import Retention
from lifecycle.classes import bounded
from lifecycle.ism import Changed, Ism, Managed, StandingPolicy
from lifecycle.policies import policy, policy_id
from store.names import PATTERN

KIND = "ISM policy"
_ATTEMPTS = 5


def set_by_us(standing: Any, wanted: Any) -> Any:
    """Cut what stands down to the fields that we set.

    ISM adds some of its own (retry, error_notification, policy_id, schema_version, last_updated_time; observed on 3.6),
    in its own versions of them, so whole documents never compare equal.
    """
    if isinstance(standing, dict) and isinstance(wanted, dict):
        return {key: set_by_us(standing[key], value) for key, value in wanted.items() if key in standing}
    if isinstance(standing, list) and isinstance(wanted, list):
        beyond = standing[len(wanted) :]
        return [set_by_us(one, other) for one, other in zip(standing, wanted, strict=False)] + beyond
    return standing


def compare(name: str, standing: StandingPolicy | None, wanted: Mapping[str, Any]) -> Change:
    """Tell what stands between a policy and how it should be."""
    body = wanted["policy"]
    if standing is None:
        return Change(KIND, name, "create", difference(None, body))
    found = set_by_us(standing.body, body)
    return Change(KIND, name, "unchanged") if found == body else Change(KIND, name, "update", difference(found, body))


def plan(ism: Ism, classes: Iterable[str]) -> list[Change]:
    """Tell what `apply` would do; nothing is changed. Empty where there is no ISM."""
    return [compare(name, standing, wanted) for name, wanted, standing in _all(ism, classes)]


def apply(ism: Ism, classes: Iterable[str]) -> list[Change]:
    """Make the policies of these classes what they should be; return what was done. Empty where there is no ISM.

    Harmless when done again, and when several instances do it at once: each writes only over what it has read, and reads
    again where another was first. Indices that are attached to an older version of a policy are told to follow this one.
    Raises Conflict where somebody else keeps changing a policy.
    """
    done = []
    for name, wanted, _ in _all(ism, classes):
        done.append(_write(ism, name, wanted))
        roll_out(ism, name)
    return done


def ensure(ism: Ism, retention: Retention, *, dated: bool) -> None:
    """Make a class's policy where there is none, so that it can be attached; one that stands is left as it is."""
    name = policy_id(retention, dated=dated)
    if name is not None and ism.policy(name) is None:
        _write(ism, name, policy(retention, dated=dated))


def _write(ism: Ism, name: str, wanted: Mapping[str, Any]) -> Change:
    for attempt in range(1, _ATTEMPTS + 1):
        # Read just before writing: policies share their sequence numbers with ISM's job documents.
        standing = ism.policy(name)
        change = compare(name, standing, wanted)
        if change.action == "unchanged":
            return change
        try:
            ism.put_policy(name, wanted, over=standing)
        except Conflict:
            if attempt == _ATTEMPTS:
                raise
        else:
            return change
    raise AssertionError("unreachable")


def _all(ism: Ism, classes: Iterable[str]) -> Iterator[tuple[str, Mapping[str, Any], StandingPolicy | None]]:
    """Go through the policies of these classes; those for undated indices only where they are in use already."""
    if not ism.available():
        return
    for retention in bounded(set(classes)):
        for dated in (True, False):
            name = policy_id(retention, dated=dated)
            assert name is not None
            standing = ism.policy(name)
            if dated or standing is not None:
                yield name, policy(retention, dated=dated), standing


def outdated(standing: StandingPolicy, managed: Iterable[Managed]) -> list[str]:
    """Name the indices that follow an older version of a policy.

    An index without a version yet takes the one that stands at its first job run.
    """
    return [
        one.index
        for one in managed
        if one.policy_id == standing.id
        and one.policy_seq_no is not None
        and one.policy_seq_no >= 0
        and one.policy_seq_no != standing.seq_no
    ]


def roll_out(ism: Ism, name: str, managed: Mapping[str, Managed] | None = None) -> Changed:
    """Tell the indices that follow an older version of a policy to follow this one.

    It takes effect at each index's next job run, and `explain` shows the old version until then (observed on 3.6): so
    this may be asked for more than once, which is harmless.
    """
    standing = ism.policy(name)
    if standing is None:
        return Changed(0, {})
    behind = outdated(standing, (ism.explain(PATTERN) if managed is None else managed).values())
    return ism.change_policy(behind, name)
