"""Retention classes: what is one, until when it shows an event, and when its day may go."""

from datetime import UTC, date, datetime, timedelta

import pytest

from audit.errors import Invalid
from audit.retention import Retention, end_of

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize("text", ["1d", "90d", "365d", "36500d", "forever"])
def test_a_class_is_written_as_it_is_read(text: str) -> None:
    assert str(Retention.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "90", "0d", "-1d", "+1d", "1.5d", "090d", "90D", "90 d", "90d\n",
             "3m", "1y", "36501d", "999999999d", "Forever", "٩d"]
)  # fmt: skip
def test_anything_else_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(Invalid) as refusal:
        Retention.parse(text)

    assert (refusal.value.field, refusal.value.limit) == ("retention", "36500d")
    assert "90d" in str(refusal.value.fix)


def test_an_event_shows_for_so_long_to_the_second() -> None:
    assert Retention.parse("90d").visible_from(NOW) == NOW - timedelta(days=90)


def test_a_day_is_due_so_long_after_its_end() -> None:
    assert Retention.parse("90d").due(date(2026, 1, 1)) == datetime(2026, 4, 2, tzinfo=UTC)


def test_nothing_shown_is_ever_due() -> None:
    retention = Retention.parse("1d")
    earliest = retention.visible_from(NOW)
    assert earliest is not None

    due = retention.due(earliest.date())
    assert due is not None
    assert due > NOW


def test_forever_has_no_bounds() -> None:
    forever = Retention.parse("forever")

    assert (forever.visible_from(NOW), forever.due(NOW.date())) == (None, None)


def test_before_the_calendar_begins_everything_shows() -> None:
    assert Retention.parse("36500d").visible_from(datetime(50, 1, 1, tzinfo=UTC)) is None


def test_after_the_calendar_ends_nothing_is_due() -> None:
    assert Retention.parse("36500d").due(date(9990, 1, 1)) is None


def test_a_day_ends_at_the_next_midnight() -> None:
    assert end_of(date(2026, 12, 31)) == datetime(2027, 1, 1, tzinfo=UTC)
