"""What day indices are called: `audit-90d-2026.11.23`, a retention class and a UTC day.

The name alone says when the index is due, so that whoever reads a list of indices can check the retention by eye, and a
reaper needs nothing else.
"""

import re
from datetime import date

from audit.errors import Invalid
from audit.retention import Retention

PREFIX = "audit-"
PATTERN = PREFIX + "*"
WRITE_PREFIX = "write-"
"""Every day index has the alias `write-<its name>`, from the index template: writes go through it and require it, so that
OpenSearch never makes a missing day by itself, without its date and its policy."""

_form = re.compile(re.escape(PREFIX) + r"([0-9a-z]+)-(\d{4})\.(\d\d)\.(\d\d)", re.ASCII).fullmatch


def day_index(retention: str, day: date) -> str:
    """Name the index of one UTC day of one retention class."""
    return f"{PREFIX}{retention}-{day.year:04}.{day.month:02}.{day.day:02}"


def parse_day_index(name: str) -> tuple[str, date] | None:
    """Read the class and the day out of a name; None for a name that `day_index` does not make."""
    parts = _form(name)
    if parts is None:
        return None
    try:
        return str(Retention.parse(parts[1])), date(int(parts[2]), int(parts[3]), int(parts[4]))
    except (Invalid, ValueError):
        return None
