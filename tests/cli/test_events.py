"""Import, search and export: a file onto the trail, and back."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import Command
from tests.ingest.sending import days_ago, event

ORGANIZATION = ("--organization", "org_1")


def write(folder: Path, *records: Any) -> Path:
    """A file of NDJSON; bytes are lines as they are."""
    path = folder / "events.ndjson"
    path.write_bytes(b"".join((r if isinstance(r, bytes) else json.dumps(r).encode()) + b"\n" for r in records))
    return path


def imported(trailkeeper: Command, *records: Any) -> dict[str, Any]:
    """Import records; give the summary."""
    summary: dict[str, Any] = trailkeeper("import", write(trailkeeper.folder, *records), *ORGANIZATION, "--json").json()
    return summary


def counts(summary: dict[str, Any]) -> tuple[int, int, int]:
    return summary["accepted"], summary["duplicate"], summary["rejected"]


def without_own(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out what the trail recorded of itself."""
    return [each for each in events if each.get("source") != "trailkeeper"]


class TestImport:
    def test_a_file_joins_the_trail(self, trailkeeper: Command) -> None:
        sent = [event() for _ in range(3)]

        assert counts(imported(trailkeeper, *sent)) == (3, 0, 0)
        found = without_own(trailkeeper("search", *ORGANIZATION, "--json").lines())
        assert {each["id"] for each in found} == {each["id"] for each in sent}

    def test_again_it_stores_nothing_twice(self, trailkeeper: Command) -> None:
        sent = [event() for _ in range(3)]
        imported(trailkeeper, *sent)

        assert counts(imported(trailkeeper, *sent)) == (0, 3, 0)

    def test_an_event_without_an_organization_joins_the_named_one(self, trailkeeper: Command) -> None:
        assert counts(imported(trailkeeper, event(organization_id=None))) == (1, 0, 0)

    def test_more_than_one_request_holds(self, trailkeeper: Command) -> None:
        assert counts(imported(trailkeeper, *(event() for _ in range(1203)))) == (1203, 0, 0)

    @pytest.mark.parametrize(
        ("bad", "says"),
        [
            (b"hello", "can't be read"),
            (b"[]", "JSON object"),
            (b'{"details":{"a":NaN}}', "NaN"),
            (b'{"action":"a.b","action":"a.c"}', "twice"),
            (b'{"details":{"a":"\\ud800"}}', "surrogates"),
            (b'{"details":{"a":"\xff"}}', "utf-8"),
            (b"[" * 100_000, "can't be read"),
            (json.dumps(event(action="No")).encode(), "action"),
            (json.dumps(event(organization_id="org_2")).encode(), "may not write"),
            (json.dumps(event(occurred_at=days_ago(91))).encode(), "retention"),
            (json.dumps(event(details={"n": 10**30})).replace("1" + "0" * 30, "1e400").encode(), "Out of range"),
        ],
    )
    def test_a_bad_line_is_told_by_its_number_and_its_neighbours_are_taken(
        self, trailkeeper: Command, bad: bytes, says: str
    ) -> None:
        path = write(trailkeeper.folder, event(), b"", bad, event())

        ran = trailkeeper("import", path, *ORGANIZATION, "--json", code=1)

        assert counts(ran.json()) == (2, 0, 1)
        (reject,) = ran.json()["rejects"]
        assert reject["line"] == 3
        assert says in reject["problem"]["detail"]

    def test_large_integers_are_kept_to_the_digit(self, trailkeeper: Command) -> None:
        imported(trailkeeper, event(details={"n": 10**30}))

        (found,) = without_own(trailkeeper("search", *ORGANIZATION, "--json").lines())
        assert found["details"] == {"n": 10**30}

    def test_a_bom_is_no_error(self, trailkeeper: Command) -> None:
        assert counts(imported(trailkeeper, b"\xef\xbb\xbf" + json.dumps(event()).encode())) == (1, 0, 0)

    def test_rejected_lines_can_be_kept(self, trailkeeper: Command) -> None:
        trailkeeper("import", write(trailkeeper.folder, b"hello"), *ORGANIZATION, "--rejects", "bad.ndjson", code=1)

        kept = json.loads((trailkeeper.folder / "bad.ndjson").read_text())
        assert kept["line"] == 1

    def test_for_people_each_rejected_line_says_why_and_the_way_out_is_named(self, trailkeeper: Command) -> None:
        ran = trailkeeper("import", write(trailkeeper.folder, event(occurred_at=days_ago(91))), *ORGANIZATION, code=1)

        assert "line 1: occurred_at is before" in ran.err
        assert "What to do: Give the organization a longer retention first" in ran.err

    def test_a_dry_run_shows_the_first_event_and_stores_nothing(self, trailkeeper: Command) -> None:
        sent = event()

        ran = trailkeeper("import", write(trailkeeper.folder, sent), *ORGANIZATION, "--dry-run", code=0)

        assert ran.json() == sent
        assert not (trailkeeper.folder / "trailkeeper.sqlite").exists()

    def test_a_file_that_is_not_there_is_2(self, trailkeeper: Command) -> None:
        assert trailkeeper("import", "gone.ndjson", *ORGANIZATION).code == 2

    def test_a_format_nobody_knows_is_named(self, trailkeeper: Command) -> None:
        ran = trailkeeper("import", write(trailkeeper.folder, event()), *ORGANIZATION, "--format", "xml", code=1)

        assert "field: --format" in ran.err

    def test_a_server_takes_it_with_a_key(self, trailkeeper: Command) -> None:
        key = trailkeeper("keys", "create", *ORGANIZATION).out.strip()
        path = write(trailkeeper.folder, *(event(details={"text": "x" * 8000}) for _ in range(600)))
        with trailkeeper.serving() as served:
            ran = trailkeeper("import", path, *ORGANIZATION, "--url", served.url, "--key", key, "--json", code=0)

        assert counts(ran.json()) == (600, 0, 0)

    def test_a_server_without_a_key_is_told(self, trailkeeper: Command) -> None:
        ran = trailkeeper(
            "import", write(trailkeeper.folder, event()), *ORGANIZATION, "--url", "http://127.0.0.1:9", code=1
        )

        assert "field: TRAILKEEPER_INGEST_KEY" in ran.err

    def test_a_server_that_does_not_answer_is_told(self, trailkeeper: Command) -> None:
        arguments = ("--url", "http://127.0.0.1:9", "--key", "tk_x_y")

        ran = trailkeeper("import", write(trailkeeper.folder, event()), *ORGANIZATION, *arguments, code=1)

        assert "doesn't answer" in ran.err


class TestSearch:
    def test_filters_find(self, trailkeeper: Command) -> None:
        imported(trailkeeper, event(action="project.create"), event(action="project.delete", outcome="denied"), event())

        found = trailkeeper("search", *ORGANIZATION, "--action", "project.create", "--action", "project.delete",
                            "--outcome", "denied", "--json", code=0).lines()  # fmt: skip

        assert [each["action"] for each in found] == ["project.delete"]

    def test_for_people_it_is_a_table(self, trailkeeper: Command) -> None:
        imported(trailkeeper, event(details={"changes": {"limit": {"old": 1, "new": 2}}}))

        ran = trailkeeper("search", *ORGANIZATION, "--action", "api_key.create", code=0)

        assert "api_key.create" in ran.out
        assert "limit 1 → 2" in ran.out

    def test_what_an_event_says_is_never_markup_nor_a_command_to_the_terminal(self, trailkeeper: Command) -> None:
        imported(trailkeeper, event(actor={"type": "user", "id": "u", "name": "[bold]A\u009b2J[/]"}))

        ran = trailkeeper("search", *ORGANIZATION, "--action", "api_key.create", code=0)

        assert "[bold]A 2J[/]" in ran.out

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (("--url", "localhost:8321", "--token", "t"), "field: --url"),
            (("--url", "http://127.0.0.1:9", "--token", "é"), "characters that none has"),
            (("--url", "http://127.0.0.1:9", "--token", "a b"), "characters that none has"),
        ],
    )
    def test_an_address_or_a_token_that_is_none_is_told(
        self, trailkeeper: Command, arguments: tuple[str, ...], says: str
    ) -> None:
        assert says in trailkeeper("search", *ORGANIZATION, *arguments, code=1).err

    def test_nothing_found_is_no_error(self, trailkeeper: Command) -> None:
        ran = trailkeeper("search", *ORGANIZATION, code=0)

        assert "Nothing matches." in ran.err

    @pytest.mark.parametrize(
        ("arguments", "field"),
        [
            (("--action", "No"), "action"),
            (("--outcome", "maybe"), "outcome"),
            (("--from", "yesterday"), "from"),
            (("--order", "up"), "order"),
            (("--organization", ""), "--organization"),
        ],
    )
    def test_what_can_not_match_is_refused(self, trailkeeper: Command, arguments: tuple[str, ...], field: str) -> None:
        ran = trailkeeper("search", *ORGANIZATION, *arguments, code=1)

        assert f"field: {field}" in ran.err

    def test_the_reading_is_on_the_trail(self, trailkeeper: Command) -> None:
        trailkeeper("search", *ORGANIZATION, code=0)

        (view,) = trailkeeper("search", *ORGANIZATION, "--action", "audit_log.view", "--json").lines()
        assert view["actor"]["id"].startswith("operator:")

    def test_a_server_answers_to_a_token(self, trailkeeper: Command) -> None:
        sent = event()
        imported(trailkeeper, sent)
        token = trailkeeper("token", *ORGANIZATION).out.strip()
        with trailkeeper.serving() as served:
            found = trailkeeper(
                "search", *ORGANIZATION, "--url", served.url, "--token", token, "--json", code=0
            ).lines()

        assert sent["id"] in {each["id"] for each in found}

    def test_a_server_refuses_a_developer(self, trailkeeper: Command) -> None:
        token = trailkeeper("token", *ORGANIZATION, "--role", "developer").out.strip()
        with trailkeeper.serving() as served:
            ran = trailkeeper("search", *ORGANIZATION, "--url", served.url, "--token", token, code=1)

        assert "Only owners and admins" in ran.err

    @pytest.mark.parametrize("url", ["http://127.0.0.1:9", "nowhere", "http://[::1"])
    def test_a_server_that_is_not_there_is_told(self, trailkeeper: Command, url: str) -> None:
        ran = trailkeeper("search", *ORGANIZATION, "--url", url, "--token", "x", code=1)

        assert "Error:" in ran.err


class TestExport:
    def test_ndjson_goes_around(self, trailkeeper: Command) -> None:
        sent = [event(details={"n": 10**20, "text": "é\n"}) for _ in range(5)]
        imported(trailkeeper, *sent)

        exported = trailkeeper("export", *ORGANIZATION, "--action", "api_key.create", code=0).lines()

        assert [{name: each[name] for name in sent[0]} for each in exported] == sent

    def test_it_goes_to_a_file_that_is_whole(self, trailkeeper: Command) -> None:
        imported(trailkeeper, *(event() for _ in range(3)))

        trailkeeper("export", *ORGANIZATION, "--action", "api_key.create", "-o", "out.ndjson", code=0)

        assert len((trailkeeper.folder / "out.ndjson").read_text().splitlines()) == 3
        assert not (trailkeeper.folder / "out.ndjson.part").exists()

    def test_a_folder_that_is_not_there_is_told(self, trailkeeper: Command) -> None:
        ran = trailkeeper("export", *ORGANIZATION, "-o", "nowhere/out.ndjson", code=1)

        assert "field: --output" in ran.err

    def test_what_is_refused_leaves_no_file(self, trailkeeper: Command) -> None:
        trailkeeper("export", *ORGANIZATION, "--action", "No", "-o", "out.ndjson", code=1)

        assert sorted(path.suffix for path in trailkeeper.folder.glob("out*")) == []

    @pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1"])
    def test_a_spreadsheet_takes_no_cell_for_a_formula(self, trailkeeper: Command, name: str) -> None:
        imported(trailkeeper, event(actor={"type": "user", "id": "u", "name": name}))

        (row,) = rows(trailkeeper("export", *ORGANIZATION, "--format", "csv", "--action", "api_key.create", code=0).out)

        assert row["actor.name"] == f"'{name}"

    def test_csv_has_a_column_for_each_field(self, trailkeeper: Command) -> None:
        sent = event(details={"a": [1]}, context={"ip": "192.0.2.1"})
        imported(trailkeeper, sent)

        (row,) = rows(trailkeeper("export", *ORGANIZATION, "--format", "csv", "--action", "api_key.create", code=0).out)

        assert (row["id"], row["actor.email"], row["context.ip"]) == (sent["id"], "ada@example.com", "192.0.2.1")
        assert json.loads(row["details"]) == {"a": [1]}


def rows(text: str) -> list[dict[str, str]]:
    """Read CSV."""
    return list(csv.DictReader(io.StringIO(text, newline="")))
