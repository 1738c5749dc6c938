"""Day indices by name, there and back."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.names import day_index, parse_day_index


def test_a_name_says_its_class_and_day() -> None:
    assert day_index("90d", date(2026, 11, 3)) == "audit-90d-2026.11.03"


@given(retention=st.integers(1, 36_500).map("{}d".format) | st.just("forever"), day=st.dates())
def test_every_name_is_read_back(retention: str, day: date) -> None:
    assert parse_day_index(day_index(retention, day)) == (retention, day)


@pytest.mark.parametrize(
    "name",
    [
        "audit-90d-2026.02.30",
        "audit-90d-2026.1.3",
        "audit-90-2026.11.03",
        "audit-0d-2026.11.03",
        "audit-90d-2026.11.03-000001",
        "audit-90d-٢٠٢٦.11.03",
        "audit-logs",
        "trailkeeper-records",
        "",
    ],
)
def test_a_name_that_is_not_ours_is_none(name: str) -> None:
    assert parse_day_index(name) is None
