"""Audit events among the entries of an application's own structlog chain."""

from __future__ import annotations

from typing import Any

import pytest
import structlog
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.testing import CapturingLogger

import trailkeeper
from trailkeeper import Action, AuditProcessor, capture_audit


def chain(processor: AuditProcessor) -> tuple[Any, CapturingLogger]:
    end = CapturingLogger()
    processors: list[Any] = [merge_contextvars, structlog.processors.add_log_level, processor]
    logger = structlog.wrap_logger(end, processors=processors, wrapper_class=structlog.BoundLogger)
    return logger.bind(organization_id="org_1", actor={"id": "u_1"}), end


def test_an_entry_named_by_an_action_is_emitted_and_stays_in_the_log() -> None:
    log, end = chain(AuditProcessor())

    with capture_audit() as events:
        log.info(Action.API_KEY_CREATE, resource_id="key_1", region="eu")
        log.info("api_key.create", resource_id="key_1", region="eu")

    assert [event["action"] for event in events] == ["api_key.create"] * 2
    assert events[0]["resource"] == {"id": "key_1"}
    assert events[0]["details"] == {"region": "eu"}
    assert len(end.calls) == 2
    assert end.calls[1].kwargs["level"] == "info"


def test_everything_else_passes_through_untouched() -> None:
    log, end = chain(AuditProcessor())

    with capture_audit() as events:
        log.info("cache.miss", key="k")
        log.info("api_key.create", audit=False)

    assert events == []
    assert [call.kwargs["event"] for call in end.calls] == ["cache.miss", "api_key.create"]


def test_an_entry_that_says_so_is_an_audit_event() -> None:
    log, end = chain(AuditProcessor(actions=["invoice.void"]))

    with capture_audit() as events:
        log.warning("invoice.send", audit=True)
        log.error("invoice.void", outcome="failure", exc_info=False)

    assert [(event["action"], event["outcome"]) for event in events] == [
        ("invoice.send", "success"),
        ("invoice.void", "failure"),
    ]
    assert "details" not in events[1]
    assert "audit" not in end.calls[0].kwargs


def test_what_contextvars_brought_for_the_log_stays_in_the_log() -> None:
    log, end = chain(AuditProcessor())

    with capture_audit() as events, bound_contextvars(request_id="r_1", path="/keys"):
        log.info("api_key.create")

    assert events[0]["context"] == {"request_id": "r_1"}
    assert "details" not in events[0]
    assert end.calls[0].kwargs["path"] == "/keys"


def test_without_keep_the_entry_ends_in_the_trail() -> None:
    log, end = chain(AuditProcessor(keep=False))

    with capture_audit() as events:
        log.info("api_key.create")

    assert (len(events), end.calls) == (1, [])


def test_the_audit_logger_leaves_structlogs_configuration_alone(audit: trailkeeper.AuditLogger) -> None:
    before = structlog.get_config()

    with capture_audit():
        audit.info("api_key.create")

    assert structlog.get_config() == before


def test_capture_sees_every_logger_and_thread_and_ends_with_its_block(audit: trailkeeper.AuditLogger) -> None:
    import threading

    with capture_audit() as outer:
        with capture_audit() as inner:
            thread = threading.Thread(target=audit.info, args=("api_key.create",))
            thread.start()
            thread.join()
        audit.info("api_key.delete")

    assert [event["action"] for event in inner] == ["api_key.create"]
    assert [event["action"] for event in outer] == ["api_key.delete"]


def test_capture_raises_what_a_delivery_would_only_log() -> None:
    with capture_audit(), pytest.raises(trailkeeper.InvalidEventError, match="Bind it"):
        trailkeeper.get_logger().info("api_key.create")


def test_bind_makes_a_new_logger(audit: trailkeeper.AuditLogger) -> None:
    other = audit.bind(organization_id="org_2")

    with capture_audit() as events:
        audit.info("api_key.create")
        other.unbind("actor").info("api_key.create", actor=trailkeeper.Actor("u_2"))

    assert [(event["organization_id"], event["actor"]["id"]) for event in events] == [
        ("org_1", "u_1"),
        ("org_2", "u_2"),
    ]
