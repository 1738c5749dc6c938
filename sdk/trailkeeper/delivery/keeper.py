"""Keeping the journal's folder: adopt what others left, hold the bound, put losses on the trail.

Runs in the shipper's thread, between two requests. It never takes longer hold of the writer's lock than for a look at a
list.
"""

from __future__ import annotations

import logging
import time

from trailkeeper.delivery.losses import loss_event, organization_of
from trailkeeper.delivery.segment import Segment, lines_of, segment_paths, tidy, total_bytes, turn_to_drop
from trailkeeper.delivery.writer import JournalWriter
from trailkeeper.encode import encode

_log = logging.getLogger("trailkeeper")

_SURVEY_INTERVAL = 1.0
_TORN = "the end of a journal segment was torn"


class Keeper:
    """Keeps one journal. `adopted` are the segments of processes that are gone, oldest first."""

    def __init__(self, journal: JournalWriter, *, source: str | None, max_bytes: int) -> None:
        self._journal = journal
        self._source = source
        self._max_bytes = max_bytes
        self._survey_due = 0.0
        self.adopted: list[Segment] = []

    def turn(self) -> None:
        """Do what is due."""
        if time.monotonic() >= self._survey_due:
            self._survey_due = time.monotonic() + _SURVEY_INTERVAL
            self._survey()
        if self._journal.losses:
            self._report_losses()

    def release(self) -> None:
        """Leave what was adopted to others."""
        for segment in self.adopted:
            segment.release()
        self.adopted.clear()
        self._survey_due = 0.0

    def end(self, segment: Segment) -> None:
        """Delete a segment that nobody appends to any more; what is left in it is half a line."""
        if segment.left and not segment.torn_end_counted:
            self.lost(organization_of(segment.read_rest()), _TORN, 1)
        self._delete(segment)

    def _delete(self, segment: Segment) -> None:
        if segment in self.adopted:
            self.adopted.remove(segment)
            segment.delete()
        else:
            left = segment.left
            self._journal.discard(segment)
            self._journal.settle(left)

    def _survey(self) -> None:
        """Adopt what processes that are gone left, tidy up, and keep the folder within its bound."""
        journal = self._journal
        if not journal.folder.is_dir():
            return
        sealed, active = journal.own()
        held = {segment.path for segment in [*sealed, *self.adopted, *([active] if active else [])]}
        for path in segment_paths(journal.folder):
            if path not in held and (segment := Segment.adopt(path)) is not None:
                self.adopted.append(segment)
        self.adopted.sort(key=lambda segment: segment.path)
        tidy(journal.folder, time.time() - 60)
        if total_bytes(journal.folder) > self._max_bytes:
            with turn_to_drop(journal.folder) as mine:
                while mine and total_bytes(journal.folder) > self._max_bytes and self._drop_oldest():
                    pass

    def _drop_oldest(self) -> bool:
        """Drop the oldest segment that this process holds; False where it holds but a little that it still writes."""
        journal = self._journal
        sealed, active = journal.own()
        if not sealed and not self.adopted:
            if active is None or active.size * 2 < journal.segment_bytes:
                return False
            journal.roll()
            sealed, _ = journal.own()
        candidates = sorted([*self.adopted, *sealed], key=lambda segment: segment.path)
        if not candidates:
            return False
        oldest = candidates[0]
        counts: dict[str | None, int] = {}
        for line in lines_of(oldest.read_rest()):
            organization = organization_of(line)
            counts[organization] = counts.get(organization, 0) + 1
        self._delete(oldest)
        for organization, count in counts.items():
            self.lost(organization, f"the journal reached its bound of {self._max_bytes:,} bytes", count)
        return True

    def lost(self, organization: str | None, reason: str, count: int) -> None:
        """Count events as lost, and say so in the log."""
        _log.warning("trailkeeper: lost %d event(s) of organization %s: %s", count, organization or "(unknown)", reason)
        if organization:
            self._journal.losses.add(organization, reason, count)

    def _report_losses(self) -> None:
        losses = self._journal.losses.take()
        while losses:
            try:
                self._journal.append(encode(loss_event(losses[-1], self._source)))
            except OSError:
                for loss in losses:
                    self._journal.losses.put_back(loss)
                return
            losses.pop()
