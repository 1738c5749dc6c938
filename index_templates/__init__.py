"""What OpenSearch is told before its first event: the fields of an event, and how a day's index keeps them.

    templates/trailkeeper-mappings.component.json   every field, strictly; ECS names as aliases over them
    templates/trailkeeper-settings.component.json   shards, codec, refresh
    templates/trailkeeper-audit.index.json          `audit-*` is made of both, and gets a name to write through
    loader.py                                       compares them with what stands, shows it, writes it
    README.md                                       why it is so, and what a real node answered

The JSON files are what a person would send with curl, save three things that the loader adds: the version, the copies
(TRAILKEEPER_INDEX_REPLICAS) and the codec that this cluster has.
"""

from typing import Final

VERSION: Final = 1
"""Raised with every change of a JSON file here. A cluster with a newer one is never taken back to an older."""

SETTINGS: Final = "trailkeeper-settings"
MAPPINGS: Final = "trailkeeper-mappings"
AUDIT: Final = "trailkeeper-audit"
