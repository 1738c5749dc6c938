"""Sees to it that each day index has the one policy that is right for it, and no other.

An index is made and its policy attached in two requests, so a crash can leave it without: `mend` finds that. It also
takes a policy of ours off an index that it would delete early, and has indices follow the newest version. A policy that
is not ours is somebody's decision and stays; `status` shows it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from audit.errors import StoreUnavailable
from audit.retention import Retention
from lifecycle.ism import ALREADY_MANAGED, Ism
from lifecycle.policies import PREFIX, UNDATED
from lifecycle.policies.loader import ensure, roll_out
from lifecycle.standing import DayIndex

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Mended:
    """What was done to one index."""

    index: str
    did: str
    """`attached`, `changed`, `removed` or `rolled out`."""
    policy_id: str


def attach(ism: Ism, index: str, policy_id: str) -> bool:
    """Attach a policy, made first where there is none yet; return False where the index had one already.

    Raises StoreUnavailable where it could not be attached.
    """
    ensure(ism, _class_of(policy_id), dated=not policy_id.endswith(UNDATED))
    changed = ism.add(index, policy_id)
    if changed.updated:
        return True
    reason = next(iter(changed.failures.values()), "there is no such index any more")
    if ALREADY_MANAGED in reason:
        return False
    # Observed on 3.6: 200, with nothing done.
    raise StoreUnavailable(f"ISM did not attach the policy {policy_id} to {index}: {reason}.")


def mend(ism: Ism, days: Iterable[DayIndex]) -> tuple[list[Mended], list[str]]:
    """Give every index its policy; return what was done, and what could not be, as sentences.

    One index that fails holds up no other. Done again it finds nothing to do, save what ISM shows only after its next
    job run.
    """
    done: list[Mended] = []
    failed: list[str] = []
    days = list(days)
    for one in days:
        try:
            did = _mend(ism, one)
        except StoreUnavailable as error:
            failed.append(str(error))
            continue
        if did is not None:
            log.info("policy_mended", index=did.index, did=did.did, policy=did.policy_id)
            done.append(did)
    managed = {one.name: one.managed for one in days if one.managed is not None}
    right = {one.policy_id for one in days if one.policy_id is not None and one.policy_id == one.suitable}
    for policy_id in sorted(right):
        try:
            changed = roll_out(ism, policy_id, managed)
        except StoreUnavailable as error:
            failed.append(str(error))
            continue
        if changed.updated:
            log.info("policy_rolled_out", policy=policy_id, indices=changed.updated)
            done.append(Mended(f"{changed.updated} indices", "rolled out", policy_id))
    return done, failed


def _mend(ism: Ism, one: DayIndex) -> Mended | None:
    attached, right = one.policy_id, one.suitable
    if attached == right:
        return None
    if attached is None:
        assert right is not None
        return Mended(one.name, "attached", right) if attach(ism, one.name, right) else None
    if not attached.startswith(PREFIX):
        return None
    # A policy of ours that is not right for it could delete it early.
    if right is None:
        changed = ism.remove([one.name])
        did = Mended(one.name, "removed", attached)
    else:
        ensure(ism, _class_of(right), dated=not right.endswith(UNDATED))
        changed = ism.change_policy([one.name], right)
        did = Mended(one.name, "changed", right)
    if changed.updated:
        return did
    reason = next(iter(changed.failures.values()), "there is no such index any more")
    raise StoreUnavailable(f"ISM left the policy {attached} on {one.name}: {reason}.")


def _class_of(policy_id: str) -> Retention:
    return Retention.parse(policy_id.removeprefix(PREFIX).removesuffix(UNDATED))
