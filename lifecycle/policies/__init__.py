"""The ISM policies: `delete-after-90d.json` as it stands beside this file, and the same for every other class.

ISM counts `min_index_age` from the index's creation date, and a day index is created with the end of its day
(lifecycle/days.py): so the policy `trailkeeper-90d` is exact. `forever` has no policy.

There is no `ism_template` in it, on purpose: it would attach the policy to any index of such a name, also to one that
was made without that creation date, whose events would then leave up to a day early. And it does not attach a backdated
index (observed on 3.6: none whose creation date is before the policy's last_updated_time). Policies are attached one by
one instead, by lifecycle/attachment.py; lifecycle/policies/loader.py brings them to ISM.
"""

import json
from datetime import date, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from audit.retention import Retention, end_of

STOCK = "delete-after-90d.json"
PREFIX = "trailkeeper-"

UNDATED = "-undated"
UNDATED_DAYS = 2
"""How many days more for an index that could not be given its creation date, so that ISM is never early.

Tomorrow's index is made as early as today's first instant, two days before tomorrow ends. One day more would do only for
an index that is made within its own day.
"""


@cache
def _stock() -> str:
    return files(__name__).joinpath(STOCK).read_text("utf-8")


def policy_id(retention: Retention, *, dated: bool = True) -> str | None:
    """Name a class's policy: `trailkeeper-90d`; None for `forever`, which has none."""
    return None if retention.days is None else f"{PREFIX}{retention}{'' if dated else UNDATED}"


def policy(retention: Retention, *, dated: bool = True) -> dict[str, Any]:
    """Make a class's policy from the stock one. `retention` has an end (ValueError for `forever`)."""
    if retention.days is None:
        raise ValueError("forever has no policy")
    document: dict[str, Any] = json.loads(_stock())
    days = retention.days + (0 if dated else UNDATED_DAYS)
    body = document["policy"]
    body["description"] = body["description"].replace("90 days", f"{days} days")
    if not dated:
        body["description"] += " For indices without the creation date of their day: counted from when they were made."
    for state in body["states"]:
        for transition in state["transitions"]:
            transition["conditions"]["min_index_age"] = f"{days}d"
    return document


def suitable(retention: Retention, day: date, created: datetime) -> str | None:
    """Name the policy that may be attached to a day's index: one that can't delete it early, whatever its creation date.

    None: no policy is safe, or none is needed; such a day is left to the reaper, which goes by the name's date.
    """
    if retention.days is None:
        return None
    if created >= end_of(day):
        return policy_id(retention)
    if created + timedelta(days=UNDATED_DAYS) >= end_of(day):
        return policy_id(retention, dated=False)
    return None
