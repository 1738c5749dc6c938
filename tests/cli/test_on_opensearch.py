"""The command over a real OpenSearch node: setup, and the dead letters of a spool."""

from pathlib import Path

import pytest

from audit.ids import new_id
from ingest.spool import Spool
from tests.cli.command import Command, until
from tests.ingest.sending import candidate
from tests.nodes import Node


@pytest.fixture
def opensearch(trailkeeper: Command, opensearch_node: Node) -> Command:
    trailkeeper.settings |= opensearch_node.environment()
    return trailkeeper


def templates(node: Node) -> dict[str, object]:
    with node.http() as client:
        found: dict[str, object] = client.get("/_index_template").json()
    return found


class TestSetup:
    def test_a_dry_run_changes_nothing(self, opensearch: Command, opensearch_node: Node) -> None:
        before = templates(opensearch_node)

        ran = opensearch("setup", "--dry-run", code=0)

        assert "Nothing was changed" in ran.err
        assert templates(opensearch_node) == before

    def test_a_second_time_there_is_nothing_to_change(self, opensearch: Command) -> None:
        opensearch("setup", code=0)

        changes = opensearch("setup", "--json", code=0).json()

        assert changes
        assert {change["action"] for change in changes} == {"unchanged"}


class TestDeadLetters:
    @pytest.fixture
    def buried(self, opensearch: Command) -> str:
        """One event that the store refused, in the spool of an instance."""
        spool = Spool(opensearch.folder / "trailkeeper-spool.sqlite")
        spool.append([candidate(id=new_id(), organization_id=f"org_{new_id()}")])
        batches = spool.read(-1, 1 << 20)
        spool.settle(batches, [(batches[0].documents[0], "mapper_parsing_exception")])
        spool.close()
        return batches[0].documents[0].id

    def test_they_are_listed(self, opensearch: Command, buried: str) -> None:
        assert [letter["id"] for letter in opensearch("deadletters", "list", "--json", code=0).json()] == [buried]

    def test_one_is_shown_with_the_engines_words(self, opensearch: Command, buried: str) -> None:
        shown = opensearch("deadletters", "show", buried, code=0).json()

        assert (shown["error"], shown["event"]["id"]) == ("mapper_parsing_exception", buried)

    def test_replayed_it_is_in_the_store_and_no_dead_letter(self, opensearch: Command, buried: str) -> None:
        (replayed,) = opensearch("deadletters", "replay", buried, "--json", code=0).json()

        assert (replayed["id"], replayed["outcome"]) == (buried, "created")
        assert opensearch("deadletters", "list", "--json").json() == []

    def test_discarding_takes_a_reason(self, opensearch: Command, buried: str) -> None:
        assert "field: --reason" in opensearch("deadletters", "discard", buried, "--yes", code=1).err

    def test_discarded_it_is_gone_and_that_is_on_the_trail(self, opensearch: Command, buried: str) -> None:
        (letter,) = opensearch("deadletters", "list", "--json").json()
        opensearch("deadletters", "discard", buried, "--yes", "--reason", "a test", code=0)

        assert opensearch("deadletters", "list", "--json").json() == []
        asked = ("search", "--organization", letter["organization_id"], "--action", "dead_letter.discard", "--json")
        until(lambda: len(opensearch(*asked, code=0).lines()) > 0)  # OpenSearch finds it a second later
        (discard,) = opensearch(*asked).lines()
        assert discard["details"]["reason"] == "a test"

    def test_without_a_spool_that_is_said(self, trailkeeper: Command) -> None:
        ran = trailkeeper("deadletters", "list", code=1)

        assert "field: TRAILKEEPER_SPOOL_PATH" in ran.err

    def test_another_programs_file_is_none(self, trailkeeper: Command) -> None:
        Path(trailkeeper.folder / "trailkeeper-spool.sqlite").write_bytes(b"hello " * 500)

        assert "field: TRAILKEEPER_SPOOL_PATH" in trailkeeper("deadletters", "list", code=1).err
