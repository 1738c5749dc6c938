"""Errors as programs see them: the problem documents of RFC 9457."""

from collections.abc import Iterator

import pytest

from audit import errors
from audit.errors import InvalidEvent, TrailkeeperError


def kinds(root: type[TrailkeeperError] = TrailkeeperError) -> Iterator[type[TrailkeeperError]]:
    """Every error of audit.errors."""
    yield root
    for kind in root.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield from kinds(kind)


def test_a_problem_has_its_members() -> None:
    problem = InvalidEvent("It is wrong.", field="action", limit=128, fix="Mend it.").problem()

    assert problem == {
        "type": "urn:trailkeeper:problem:invalid-event",
        "title": "The event is not valid",
        "status": 422,
        "detail": "It is wrong.",
        "field": "action",
        "limit": 128,
        "fix": "Mend it.",
    }


def test_what_is_not_known_is_left_out() -> None:
    assert set(InvalidEvent("It is wrong.").problem()) == {"type", "title", "status", "detail"}


def test_a_limit_of_zero_is_told() -> None:
    assert InvalidEvent("It is wrong.", limit=0).problem()["limit"] == 0


def test_as_text_it_says_what_to_do() -> None:
    assert str(InvalidEvent("It is wrong.", fix="Mend it.")) == "It is wrong. Mend it."


def test_every_kind_has_a_type_of_its_own() -> None:
    slugs = [kind.slug for kind in kinds()]

    assert len(slugs) == len(set(slugs)) > 15


@pytest.mark.parametrize("kind", list(kinds()), ids=lambda kind: kind.__name__)
def test_every_kind_is_drawn_in_the_tree(kind: type[TrailkeeperError]) -> None:
    assert errors.__doc__ is not None
    assert kind.__name__ in errors.__doc__


@pytest.mark.parametrize("kind", list(kinds()), ids=lambda kind: kind.__name__)
def test_every_kind_has_a_status_of_http(kind: type[TrailkeeperError]) -> None:
    assert kind.status in {400, 401, 403, 404, 409, 413, 415, 422, 500, 503, 507}
