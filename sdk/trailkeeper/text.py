"""Texts of an event: identifiers, which must be exact, and labels, which may be shortened.

The difference is who writes them. Identifiers come from the application, so one that does not fit is an error. Labels
(names, e-mail addresses, user agents) are often written by the very person who is being audited: one that does not fit
is cut and ends in "…", for nobody may keep an event off the trail by sending a long user agent.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from trailkeeper.errors import InvalidEventError


def identifier(value: Any, field: str, longest: int) -> str:
    """Return an identifier as text: a non-empty string, an int or a UUID, at most `longest` characters."""
    if type(value) is not str:
        if isinstance(value, bool) or not isinstance(value, str | int | UUID):
            raise InvalidEventError(field, f"is a {type(value).__name__}.", "Pass a string, an int or a UUID.")
        value = str(value)
    text: str = value
    if not 0 < len(value) <= longest:
        raise InvalidEventError(field, f"has {len(value)} characters.", f"It has at least 1 and at most {longest}.")
    return text


def label(value: Any, longest: int) -> str:
    """Return a label as text of at most `longest` characters."""
    text = value if type(value) is str else str(value)
    return text if len(text) <= longest else text[: longest - 1] + "…"
