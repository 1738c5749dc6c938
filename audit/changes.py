"""What `trailkeeper setup` would change, said before it changes anything.

One shape for everything that is set up (templates, policies), so that the command shows and counts them alike.
"""

import difflib
import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

Action = Literal["create", "update", "unchanged"]


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is set up, and what stands between it and how it should be."""

    kind: str
    """What sort of thing it is, for people: `index template`, `policy`."""
    name: str
    action: Action
    diff: str = ""
    """A unified diff from what stands to what should; empty where nothing changes."""

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON has it."""
        return asdict(self)


def difference(standing: object, wanted: object) -> str:
    """Write a unified diff of two JSON documents, keys in order; empty where they say the same."""
    before, after = (
        [] if document is None else json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False).splitlines()
        for document in (standing, wanted)
    )
    return "\n".join(difflib.unified_diff(before, after, "standing", "wanted", lineterm=""))
