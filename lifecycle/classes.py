"""Retention classes as they come out of names and records, where any text may stand."""

from audit.errors import Invalid
from audit.retention import Retention


def known(retention: str) -> Retention | None:
    """Read the name of a class; None for one that is no length of time: its days are never deleted by this package."""
    try:
        return Retention.parse(retention)
    except Invalid:
        return None


def bounded(retentions: set[str]) -> list[Retention]:
    """Give the classes that end, shortest first."""
    found = [one for name in retentions if (one := known(name)) is not None and one.days is not None]
    return sorted(found, key=lambda one: one.days or 0)
