"""How events leave: each on the day its retention ends, and not before.

policies/        the ISM policy as JSON, one for each retention class, and the loader that brings them to ISM
ism.py           Index State Management's API, typed; only this package speaks to it
days.py          makes a day's index before its first event, with the creation date that ISM counts from
attachment.py    gives each index the policy that is right for it, and mends what a crash left behind
standing.py      what stands in the engine: indices, their dates, their policies
reaper.py        deletes by date on any store; SQLite, and OpenSearch without ISM
worker.py        does all of that every few minutes
status.py        shows it, and how it differs from what should be
engine.py        asks OpenSearch, and says which permissions that takes
classes.py       retention classes out of any text
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from audit.changes import Change

if TYPE_CHECKING:
    from opensearchpy import OpenSearch


def setup_plan(client: "OpenSearch", classes: Iterable[str]) -> list[Change]:
    """Tell what `setup_apply` would change. Empty where OpenSearch has no ISM: the reaper does it all."""
    from lifecycle.ism import Ism
    from lifecycle.policies.loader import plan

    return plan(Ism(client), classes)


def setup_apply(client: "OpenSearch", classes: Iterable[str]) -> list[Change]:
    """Bring the policies of these classes to ISM; return what was done. Harmless when done again, or by several."""
    from lifecycle.ism import Ism
    from lifecycle.policies.loader import apply

    return apply(Ism(client), classes)
