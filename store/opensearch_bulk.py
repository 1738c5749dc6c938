"""Writing to OpenSearch exactly once: one `_bulk` of raw bytes, and what became of each document.

`create` with the event's id as `_id` makes a second copy impossible, as one id always belongs to one index (its day's). What
the engine says of each document is told apart here: done, there already, not now, or never.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, Protocol

import orjson

from audit.errors import StoreUnavailable
from audit.instants import DAY_MS, EPOCH
from store.names import WRITE_PREFIX, day_index
from store.opensearch_engine import Engine, sources
from store.opensearch_errors import reason
from store.protocol import Document, Outcome, Written
from store.same import same_event

_CREATED = Written(Outcome.CREATED)
_NDJSON = {"content-type": "application/x-ndjson"}
# Only what is asked about: an answer to 5,000 documents is 120 KB instead of 1 MB.
_ASKED = "errors,items.create.status,items.create.error"
_PARAMETERS = {"filter_path": _ASKED, "require_alias": "true"}


class DayOpener(Protocol):
    """Makes the index of one day of one retention class, if it isn't there: with its date, its policy, its mapping.

    Called for every day of every write, so it is quick where the day is known to be open. Raises StoreUnavailable.
    """

    def __call__(self, retention: str, day: date, /) -> None:
        """Return when the index is there."""


class Bulk:
    """Writes documents to the indices of their days."""

    def __init__(self, engine: Engine, open_day: DayOpener, forget_day: DayOpener | None) -> None:
        self._engine = engine
        self._open_day = open_day
        self._forget_day = forget_day

    def write(self, documents: Sequence[Document], *, searchable: bool) -> Sequence[Written]:
        """Write them; see `store.protocol.Store.write`."""
        results: list[Written | None] = [None] * len(documents)
        names = self._open(documents, results)
        self._send(documents, names, results, reopen=True)
        if searchable:
            self._refresh({names[place] for place, done in enumerate(results) if _stands(done)})
        return [result or Written(Outcome.RETRY) for result in results]

    def _open(self, documents: Sequence[Document], results: list[Written | None]) -> list[str]:
        """See to every day's index. Where one can't be made its documents wait, and the others go on."""
        failed: dict[tuple[str, int], StoreUnavailable] = {}
        opened: set[tuple[str, int]] = set()
        names: list[str] = []
        for place, document in enumerate(documents):
            key = (document.retention, document.occurred_at // DAY_MS)
            if key not in opened:
                opened.add(key)
                try:
                    self._open_day(document.retention, _day(key[1]))
                except StoreUnavailable as error:
                    failed[key] = error
            if key in failed:
                results[place] = Written(Outcome.RETRY, str(failed[key]))
            elif b"\n" in document.body:
                results[place] = Written(Outcome.REFUSED, "An event is one line of JSON.")
            names.append(_name(*key))
        if failed and len(failed) == len(opened):
            raise next(iter(failed.values()))
        return names

    def _send(
        self, documents: Sequence[Document], names: Sequence[str], results: list[Written | None], *, reopen: bool
    ) -> None:
        places = [place for place, result in enumerate(results) if result is None]
        if not places:
            return
        body = b"".join(
            [
                b'{"create":{"_index":"%b","_id":"%b"}}\n%b\n'
                % ((WRITE_PREFIX + names[place]).encode(), documents[place].id.encode(), documents[place].body)
                for place in places
            ]
        )
        answer = self._engine.json("POST", "/_bulk", body, headers=_NDJSON, params=_PARAMETERS)
        known: list[int] = []
        missing: list[int] = []
        for place, item in zip(places, answer["items"], strict=True):
            result = item["create"]
            if result["status"] == 201:
                results[place] = _CREATED
            elif result["status"] == 409:
                known.append(place)
            elif result["status"] == 404:
                missing.append(place)
            else:
                results[place] = _refused(result)
        self._compare(documents, names, results, known)
        if missing and reopen:
            # The day was deleted under us, or nobody had made it: once more, from the beginning.
            for key in {(documents[place].retention, documents[place].occurred_at // DAY_MS) for place in missing}:
                if self._forget_day is not None:
                    self._forget_day(key[0], _day(key[1]))
                self._open_day(key[0], _day(key[1]))
            self._send(documents, names, results, reopen=False)

    def _compare(
        self,
        documents: Sequence[Document],
        names: Sequence[str],
        results: list[Written | None],
        places: Sequence[int],
    ) -> None:
        """Look at what stands where ours was refused: the same event is a duplicate, another one a conflict."""
        if not places:
            return
        wanted = [{"_index": names[place], "_id": documents[place].id} for place in places]
        text = self._engine.text("POST", "/_mget", {"docs": wanted})
        stored = sources(text)
        for place, found in zip(places, orjson.loads(text)["docs"], strict=True):
            if not found.get("found"):
                results[place] = Written(Outcome.RETRY, "It was there, and is gone.")
                continue
            same = same_event(next(stored), documents[place].body)
            results[place] = Written(Outcome.DUPLICATE if same else Outcome.CONFLICT)

    def _refresh(self, names: Iterable[str]) -> None:
        """Make searchable what was written: at once, where waiting for the next refresh would take up to a second."""
        chosen = sorted(names)
        for start in range(0, len(chosen), 50):  # a path may have 4 KiB
            self._engine.text("POST", f"/{','.join(chosen[start : start + 50])}/_refresh", ignore=(404,))


def _stands(result: Written | None) -> bool:
    return result is not None and result.outcome in (Outcome.CREATED, Outcome.DUPLICATE, Outcome.CONFLICT)


def _refused(result: Mapping[str, Any]) -> Written:
    """Tell never from not now. Only 400 speaks of the document; 403 is a block or a permission, which somebody mends."""
    error = result.get("error") or {}
    outcome = Outcome.REFUSED if result["status"] in (400, 413) else Outcome.RETRY
    return Written(outcome, reason(error) if error else f"status {result['status']}")


def _day(number: int) -> date:
    return (EPOCH + timedelta(days=number)).date()


@lru_cache(maxsize=1024)
def _name(retention: str, number: int) -> str:
    return day_index(retention, _day(number))
