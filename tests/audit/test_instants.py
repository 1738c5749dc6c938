"""Instants: RFC 3339 in, one grid of milliseconds inside, RFC 3339 in UTC out."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.instants import EPOCH, ceil_ms, floor_ms, format_instant, from_ms, parse_instant, to_ms

_FIRST, _LAST = EPOCH.replace(year=1, day=2, tzinfo=None), EPOCH.replace(year=9999, month=12, day=30, tzinfo=None)
moments = st.datetimes(_FIRST, _LAST, timezones=st.just(UTC))
offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MILLISECOND = timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("text", "expected"),
    {
        "2026-11-23T10:00:00.123Z": "2026-11-23T10:00:00.123Z",
        "2026-11-23T10:00:00Z": "2026-11-23T10:00:00.000Z",
        "2026-11-23t10:00:00z": "2026-11-23T10:00:00.000Z",
        "2026-11-23 10:00:00Z": "2026-11-23T10:00:00.000Z",
        "2026-11-23T10:00:00.1Z": "2026-11-23T10:00:00.100Z",
        "2026-11-23T10:00:00.123456789Z": "2026-11-23T10:00:00.123Z",
        "2026-11-23T11:00:00+01:00": "2026-11-23T10:00:00.000Z",
        "2026-11-23T00:30:00-09:30": "2026-11-23T10:00:00.000Z",
        "2026-11-23T10:00:00-00:00": "2026-11-23T10:00:00.000Z",
        "2026-01-01T00:30:00+01:00": "2025-12-31T23:30:00.000Z",
        "2024-02-29T00:00:00Z": "2024-02-29T00:00:00.000Z",
        "0001-01-01T00:00:00Z": "0001-01-01T00:00:00.000Z",
        "9999-12-31T23:59:59.999Z": "9999-12-31T23:59:59.999Z",
    }.items(),
)
def test_forms_that_rfc_3339_has(text: str, expected: str) -> None:
    assert format_instant(floor_ms(parse_instant(text))) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-23",
        "10:00:00Z",
        "2026-11-23T10:00:00",
        "2026-11-23T10:00:00.123",
        "2026-11-23T10:00Z",
        "2026-11-23T10Z",
        "20261123T100000Z",
        "2026-W48-1T10:00:00Z",
        "2026-327T10:00:00Z",
        "2026-11-23T10:00:00+1",
        "2026-11-23T10:00:00+0100",
        "2026-11-23T10:00:00+01:60",
        "2026-11-23T10:00:00 Z",
        "2026-11-23T10:00:00.Z",
        "2026-11-23T10:00:00,5Z",
        " 2026-11-23T10:00:00Z",
        "2026-11-23T10:00:00Z\n",
        "1790000000",
        "٢026-11-23T10:00:00Z",
        "2026-11-23T10:00:00UTC",
    ],
)
def test_forms_that_it_has_not(text: str) -> None:
    with pytest.raises(ValueError, match="Write it like"):
        parse_instant(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-29T00:00:00Z",
        "2026-00-10T00:00:00Z",
        "2026-13-10T00:00:00Z",
        "2026-11-31T00:00:00Z",
        "2026-11-23T24:00:00Z",
        "2026-11-23T24:00:00.000Z",
        "2026-11-23T10:60:00Z",
        "2016-12-31T23:59:60Z",  # a leap second that was: no clock here can hold it
        "2026-11-23T10:00:00+24:00",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59-00:01",
    ],
)
def test_dates_that_do_not_exist(text: str) -> None:
    with pytest.raises(ValueError, match="not a date that exists"):
        parse_instant(text)


@pytest.mark.parametrize("value", [None, 1790000000, 1.5, True, b"2026-11-23T10:00:00Z", EPOCH])
def test_what_is_no_text(value: object) -> None:
    with pytest.raises(ValueError, match="must be a string"):
        parse_instant(value)


@given(moments, offsets)
def test_an_instant_comes_back_from_any_offset(moment: datetime, offset: timezone) -> None:
    assert parse_instant(moment.astimezone(offset).isoformat()) == moment


@given(moments)
def test_what_is_written_is_read_as_the_millisecond_it_was_in(moment: datetime) -> None:
    assert parse_instant(format_instant(moment)) == floor_ms(moment)


@given(moments)
def test_floor_and_ceil_are_the_next_places_on_the_grid(moment: datetime) -> None:
    floor, ceil = floor_ms(moment), ceil_ms(moment)

    assert floor <= moment <= ceil
    assert ceil - floor == (timedelta() if floor == moment else MILLISECOND)
    assert floor.microsecond % 1000 == ceil.microsecond % 1000 == 0


@given(moments, moments)
def test_for_what_is_on_the_grid_a_bound_and_its_ceil_say_the_same(moment: datetime, bound: datetime) -> None:
    on_grid = floor_ms(moment)

    assert (on_grid >= bound) == (on_grid >= ceil_ms(bound))


@given(moments)
def test_milliseconds_there_and_back(moment: datetime) -> None:
    assert from_ms(to_ms(moment)) == floor_ms(moment)


@given(moments, moments)
def test_the_order_of_texts_is_the_order_of_time(one: datetime, other: datetime) -> None:
    assert (format_instant(one) < format_instant(other)) == (floor_ms(one) < floor_ms(other))


def test_before_the_epoch_milliseconds_are_rounded_down_too() -> None:
    assert to_ms(EPOCH - timedelta(microseconds=1)) == -1
