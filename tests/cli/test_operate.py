"""`trailkeeper setup`, `status` and `retention`, embedded."""

import pytest

from tests.cli.command import Command
from tests.cli.test_events import imported
from tests.ingest.sending import days_ago, event


class TestSetup:
    def test_the_file_is_made(self, trailkeeper: Command) -> None:
        trailkeeper("setup", code=0)

        assert (trailkeeper.folder / "trailkeeper.sqlite").exists()

    def test_a_dry_run_makes_nothing(self, trailkeeper: Command) -> None:
        ran = trailkeeper("setup", "--dry-run", code=0)

        assert "Nothing was changed" in ran.err
        assert not (trailkeeper.folder / "trailkeeper.sqlite").exists()

    def test_as_json_it_is_a_list_of_changes(self, trailkeeper: Command) -> None:
        assert trailkeeper("setup", "--json", code=0).json() == []

    @pytest.mark.parametrize("url", ["postgres://localhost", "sqlite:", "trailkeeper.sqlite", "opensearch://"])
    def test_a_store_that_is_none_is_named_by_its_variable(self, trailkeeper: Command, url: str) -> None:
        trailkeeper.settings["TRAILKEEPER_STORE_URL"] = url

        ran = trailkeeper("setup", code=1)

        assert "field: TRAILKEEPER_STORE_URL" in ran.err
        assert "fix:" in ran.err

    def test_a_store_that_does_not_answer_is_told(self, trailkeeper: Command) -> None:
        trailkeeper.settings["TRAILKEEPER_STORE_URL"] = "opensearch://127.0.0.1:9"

        assert "Error:" in trailkeeper("setup", code=1).err


class TestRetention:
    def test_it_is_set_and_listed(self, trailkeeper: Command) -> None:
        trailkeeper("retention", "set", "org_1", "365d", code=0)

        assert trailkeeper("retention", "list", "--json", code=0).json() == {
            "default": "90d",
            "organizations": {"org_1": "365d"},
        }

    def test_from_then_on_older_events_are_taken(self, trailkeeper: Command) -> None:
        trailkeeper("retention", "set", "org_1", "365d", code=0)

        assert imported(trailkeeper, event(occurred_at=days_ago(200)))["accepted"] == 1

    def test_setting_it_is_on_the_trail(self, trailkeeper: Command) -> None:
        trailkeeper("retention", "set", "org_1", "365d", code=0)

        (found,) = trailkeeper("search", "--organization", "org_1", "--action", "retention.update", "--json").lines()
        assert found["details"] == {"changes": {"retention": {"old": "90d", "new": "365d"}}}

    def test_as_json_it_says_what_holds_now(self, trailkeeper: Command) -> None:
        ran = trailkeeper("retention", "set", "org_1", "forever", "--json", code=0)

        assert ran.json() == {"organization_id": "org_1", "retention": "forever"}

    @pytest.mark.parametrize(
        ("organization", "length", "field"),
        [("org_1", "90", "retention"), ("org_1", "0d", "retention"), ("", "90d", "--organization")],
    )
    def test_what_is_none_is_refused(self, trailkeeper: Command, organization: str, length: str, field: str) -> None:
        ran = trailkeeper("retention", "set", organization, length, code=1)

        assert f"field: {field}" in ran.err


class TestStatus:
    def test_without_events_it_says_so(self, trailkeeper: Command) -> None:
        assert "No day is held yet" in trailkeeper("status", code=0).err

    def test_each_day_is_shown_with_its_due_date(self, trailkeeper: Command) -> None:
        imported(trailkeeper, event(occurred_at="2026-01-02T03:04:05Z"), event())
        trailkeeper("retention", "set", "org_1", "3650d", code=0)
        imported(trailkeeper, event(occurred_at="2026-01-02T03:04:05Z"))

        days = trailkeeper("status", "--json", code=0).json()["days"]

        assert "audit-3650d-2026.01.02" in [day["name"] for day in days]

    def test_for_people_it_is_a_table(self, trailkeeper: Command) -> None:
        imported(trailkeeper, event())

        assert "audit-90d-" in trailkeeper("status", code=0).out


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "many"), ("RETENTION", "90"), ("JWT_SECRET", "short"), ("CATALOG_FILE", "gone.toml")]
)
def test_a_bad_setting_is_named_by_its_variable(trailkeeper: Command, name: str, value: str) -> None:
    trailkeeper.settings[f"TRAILKEEPER_{name}"] = value

    ran = trailkeeper("status", code=1)

    assert f"field: TRAILKEEPER_{name}" in ran.err
