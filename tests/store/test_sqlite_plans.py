"""What SQLite does for each kind of query: it enters an index at the page's place and sorts nothing."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from audit.instants import from_ms
from audit.query import Query
from store.protocol import Position
from store.sqlite import SqliteStore
from store.sqlite_query import select
from tests.store.trail import NOON, RESOURCE_IDS, an_event, candidate

QUESTIONS: tuple[dict[str, object], ...] = (
    {},
    {"since": from_ms(NOON), "until": from_ms(NOON + 5)},
    {"actions": ("api_key.create",)},
    {"actions": ("api_key.create", "project.update", "api_key.delete")},
    {"resource_types": ("api_key",)},
    {"resource_ids": ("r_1",)},
    {"resource_ids": ("r_1", "r_2"), "actions": ("api_key.create",)},
    {"actors": ("u_1",)},
    {"actors": ("ada@example.com", "u_2"), "outcomes": ("denied",)},
    {"outcomes": ("denied", "failure")},
    {"outcomes": ("success",)},
    {"resource_ids": tuple(f"r_{n}" for n in range(200))},
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    store = SqliteStore(tmp_path_factory.mktemp("plans") / "trail.sqlite")
    actions = ("api_key.create", "project.update", "api_key.delete")
    actors = ({"type": "user", "id": "u_1", "email": "ada@example.com"}, {"type": "user", "id": "u_2"})
    store.append(
        [
            candidate(
                an_event(
                    "acme",
                    NOON + n,
                    action=actions[n % 3],
                    actor=actors[n % 2],
                    resource={"type": "api_key", "id": RESOURCE_IDS[n % 2]},
                    outcome=("success", "denied", "failure")[n % 3],
                )
            )
            for n in range(60)
        ]
    )
    yield store.path
    store.close()


@pytest.mark.parametrize("order", ["desc", "asc"])
@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: "+".join(question) or "newest")
def test_a_page_is_read_in_order(file: Path, question: dict[str, object], order: str) -> None:
    query = Query.model_validate({"organization_id": "acme", "order": order, **question})
    after = Position(NOON + 30, "01a1ee54-c900-7d0d-ba8f-5373bc68c36a")
    for place in (None, after):
        steps = _plan(file, query, place)
        reads = [step for step in steps if " events " in step]
        days = [step for step in steps if " days " in step]
        assert all("SEARCH days USING PRIMARY KEY (organization=?" in step for step in days)
        assert not [step for step in steps if "TEMP B-TREE" in step]
        assert reads
        assert all("SEARCH events USING INDEX by_" in step for step in reads)
        if place is not None or "since" in question:
            assert all("(time,id)" in step for step in reads)


def _plan(file: Path, query: Query, after: Position | None) -> list[str]:
    connection = apsw.Connection(str(file))
    selection = select(connection, query)
    assert selection is not None
    sql, values = selection.page(50, after)
    steps = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    connection.close()
    return steps  # type: ignore[return-value]
