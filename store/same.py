"""Whether two stored events are the same event: what makes a duplicate, and what a conflict.

An event sent again is stamped again, with another time of receipt and another place in a log. Those say nothing of the
event, so they are left out; everything else counts, digit by digit.
"""

import json
from typing import Any

from audit.wire import unstamp

_STAMPED = ("received_at", "log", "catalog")

# Numbers stay the text they are: 1, 1.0 and true are three things in JSON and one in Python.
_verbatim = json.JSONDecoder(
    parse_int=lambda digits: ("number", digits),
    parse_float=lambda digits: ("number", digits),
    parse_constant=lambda name: ("number", name),
)


def same_event(stored: bytes, sent: bytes) -> bool:
    """Tell whether two bodies hold the same event, whatever ingest stamped on each.

    Cut at their stamps they are mostly the same bytes; only else are they read, and compared without regard to the order
    of keys.
    """
    try:
        if stored == sent or unstamp(stored) == unstamp(sent):
            return True
    except ValueError:
        pass  # one of them was not stamped by ingest
    return bool(_content(stored) == _content(sent))


def _content(body: bytes) -> Any:
    event = _verbatim.decode(body.decode("utf-8", "surrogatepass"))
    if not isinstance(event, dict):
        return event
    # True == 1 only where a number became an int; here numbers are pairs, so booleans stay apart from them.
    return {name: value for name, value in event.items() if name not in _STAMPED}
