"""What a person sees in a terminal: whole names and times, in whatever width there is."""

import io
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import cli.operate
import cli.output
import cli.read
from lifecycle.status import status
from store.protocol import DayPartition
from store.retentions import Retentions
from store.sqlite import SqliteStore

EVENT: dict[str, Any] = {
    "occurred_at": "2026-11-23T14:38:14.123Z",
    "actor": {"type": "service", "id": "arn:aws:iam::123456789123:role/an-actor-with-a-very-long-name"},
    "action": "api_key.iam_rule.create",
    "resource": {"type": "iam_rule", "id": "rule_1", "name": "deny models on evals-preview"},
    "outcome": "denied",
    "details": {"changes": {"limit": {"old": 100, "new": 250}}},
}


def printed(monkeypatch: pytest.MonkeyPatch, width: int) -> list[str]:
    file = io.StringIO()
    console = Console(file=file, width=width, highlight=False)
    monkeypatch.setattr(cli.output, "out", console)
    monkeypatch.setattr(cli.read, "out", console)
    cli.read._print_table([EVENT])
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_in_a_wide_window_an_event_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    _, row = printed(monkeypatch, 200)
    assert row.startswith("2026-11-23 14:38:14  arn:aws:iam::")
    assert row.endswith("limit 100 → 250")


def test_in_80_columns_it_is_two_rows_with_time_action_and_change_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(monkeypatch, 80)
    assert any(line.startswith("2026-11-23 14:38:14 ") and "api_key.iam_rule.create" in line for line in lines)
    assert any("denied" in line and line.endswith("limit 100 → 250") for line in lines)
    assert len(lines) <= 4


@pytest.mark.parametrize(("ahead", "age"), [(-3, "2 d"), (-1, "0 d"), (0, "today"), (1, "tomorrow"), (5, "to come")])
def test_the_age_of_a_day_is_in_words_until_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: int, age: str
) -> None:
    assert rows(tmp_path, monkeypatch, "90d", ahead)[4] == age


@pytest.mark.parametrize(
    ("retention", "policy"), [("90d", "none: deleted by date"), ("forever", "none: kept for good")]
)
def test_without_ism_the_policy_column_says_what_happens_instead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, retention: str, policy: str
) -> None:
    assert rows(tmp_path, monkeypatch, retention, 0)[7] == policy


def rows(folder: Path, monkeypatch: pytest.MonkeyPatch, retention: str, ahead: int) -> list[object]:
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    day = date(2026, 11, 23) + timedelta(days=ahead)
    store = SqliteStore(folder / "trail.sqlite")
    monkeypatch.setattr(store, "days", lambda: [DayPartition(retention, day, 1, None, "audit")])
    (found,) = status(store, Retentions(store.records, "90d"), None, now).days
    store.close()
    return cli.operate._row(found)
