"""GET …/audit-logs, in the order in which it decides: 401, 403, 404, 422, then data."""

import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from audit.catalog import load_catalog
from audit.instants import format_instant
from audit.retention import Retention
from tests.search_api.trail import NOW, Trail, ids, newest_first, token


class TestWhoMayNot:
    def test_no_token_is_401(self, trail: Trail):
        response = trail.client(None).get(trail.path)

        assert response.status_code == 401
        assert response.headers["www-authenticate"] == 'Bearer realm="trailkeeper"'

    def test_a_token_that_does_not_hold_is_401_and_says_no_more(self, trail: Trail):
        response = trail.client("nonsense").get(trail.path)

        assert response.status_code == 401
        assert 'error="invalid_token"' in response.headers["www-authenticate"]
        assert response.json()["detail"] == "The token does not hold."

    @pytest.mark.parametrize("role", ["developer", "viewer", "Owner", "", None])
    def test_a_role_that_may_not_read_is_403(self, trail: Trail, role: str | None):
        response = trail.client(token(trail.organization_id, "x", role=role)).get(trail.path)

        assert response.status_code == 403
        assert response.json()["fix"] == "Ask an owner or an admin of your organization."

    @pytest.mark.parametrize("held", [None, [], ["other"], "other", {"audit_logs": True}, 1])
    def test_a_plan_without_the_entitlement_is_403_where_one_is_asked_for(self, embedded: Trail, held: Any):
        embedded.settings = {"entitlement": "audit_logs"}

        response = embedded.client(token(embedded.organization_id, entitlements=held)).get(embedded.path)

        assert response.status_code == 403

    @pytest.mark.parametrize("held", [["audit_logs"], ["other", "audit_logs"], "other audit_logs"])
    def test_a_plan_with_the_entitlement_may_read(self, embedded: Trail, held: Any):
        embedded.settings = {"entitlement": "audit_logs"}

        response = embedded.client(token(embedded.organization_id, entitlements=held)).get(embedded.path)

        assert response.status_code == 200

    def test_another_organization_is_404_whether_it_exists_or_not(self, trail: Trail):
        trail.add({}, organization_id="org_existing")

        existing = trail.client().get("/v1/organizations/org_existing/audit-logs")
        absent = trail.client().get("/v1/organizations/org_absent/audit-logs")

        assert existing.status_code == 404
        assert absent.json() == existing.json()

    def test_another_organizations_developer_gets_404_rather_than_403(self, trail: Trail):
        assert trail.client(token("org_other", "developer")).get(trail.path).status_code == 404

    @pytest.mark.parametrize(("bearer", "status"), [(None, 401), ("developer", 403), ("other", 404)])
    def test_parameters_are_not_looked_at_before(self, trail: Trail, bearer: str | None, status: int):
        tokens = {
            None: None,
            "developer": token(trail.organization_id, "developer"),
            "other": token("org_other"),
        }

        response = trail.client(tokens[bearer]).get(f"{trail.path}?nonsense=1&limit=x&cursor=y")

        assert status == response.status_code

    def test_nothing_is_recorded_for_somebody_who_may_not(self, trail: Trail):
        trail.client(token(trail.organization_id, "developer")).get(trail.path)

        assert trail.recorded == []


class TestParameters:
    @pytest.mark.parametrize(
        ("query", "field", "in_fix"),
        [
            ("nonsense=1", "nonsense", "There are action"),
            ("actions=api_key.create", "actions", "Did you mean action?"),
            ("resource=x", "resource", "Did you mean resource_"),
            ("since=2026-11-01T00:00:00Z", "since", "Did you mean from?"),
            ("user=u_1", "user", "Did you mean actor?"),
            ("visible_from=2020-01-01T00:00:00Z", "visible_from", "There are"),
            ("organization_id=org_2", "organization_id", ""),
            ("action=", "action", "Leave it out"),
            ("action", "action", "Leave it out"),
            ("action=API_KEY.create", "action", "dotted lower case"),
            ("action=api_key", "action", "dotted lower case"),
            ("action=api_key.create%0A", "action", "dotted lower case"),
            ("action=" + "a" * 100 + "." + "b" * 100, "action", "dotted lower case"),
            ("action=api_key.create&action=x", "action", "dotted lower case"),
            ("resource_type=api.key", "resource_type", "lower case"),
            ("resource_id=" + "x" * 513, "resource_id", "whole id"),
            ("resource_id=a%00b", "resource_id", "Remove"),
            ("actor=%1b[2J", "actor", "Remove"),
            ("outcome=ok", "outcome", "success, failure or denied"),
            ("from=yesterday", "from", "2026-11-23T10:00:00Z"),
            ("from=2026-11-01", "from", "2026-11-23T10:00:00Z"),
            ("from=2026-11-01T00:00:00", "from", "2026-11-23T10:00:00Z"),
            ("from=2026-11-01T00:00:00+01:00", "from", "%2B"),
            ("from=2026-02-30T00:00:00Z", "from", "2026-11-23T10:00:00Z"),
            ("to=9999-12-31T23:59:59.9999Z", "to", ""),
            ("from=2026-11-02T00:00:00Z&to=2026-11-01T00:00:00Z", "from", "earlier"),
            ("from=2026-11-01T00:00:00Z&from=2026-11-02T00:00:00Z", "from", "once"),
            ("order=newest", "order", "desc or asc"),
            ("order=asc&order=asc", "order", "once"),
            ("limit=0", "limit", "range"),
            ("limit=-1", "limit", "range"),
            ("limit=1001", "limit", "range"),
            ("limit=1e3", "limit", "range"),
            ("limit=%D9%A3", "limit", "range"),
            ("limit=" + "9" * 5000, "limit", "range"),
            ("limit=5&limit=5", "limit", "once"),
            ("cursor=a&cursor=b", "cursor", "once"),
            ("cursor=", "cursor", "Leave it out"),
            ("&".join(["actor=x"] * 101), "actor", "fewer"),
        ],
    )
    def test_what_can_not_be_is_422_with_field_and_fix(self, embedded: Trail, query: str, field: str, in_fix: str):
        response = embedded.client().get(f"{embedded.path}?{query}")

        assert (422, field) == (response.status_code, response.json().get("field"))
        assert in_fix in response.json()["fix"]
        assert response.headers["content-type"] == "application/problem+json"
        assert embedded.recorded == []

    @pytest.mark.parametrize(
        "query", ["actor=%ed%a0%80", "actor=%ff", "%ff=1", "actor=%zz", "actor=%", "actor=1%&order=asc"]
    )
    def test_what_is_not_percent_encoded_utf8_is_422(self, embedded: Trail, query: str):
        url = httpx.URL(f"http://trail.test{embedded.path}", query=query.encode())

        assert embedded.client().get(url).status_code == 422

    def test_a_huge_query_is_422_with_its_limit(self, embedded: Trail):
        response = embedded.client().get(f"{embedded.path}?actor={'x' * 9000}")

        assert (response.status_code, response.json()["limit"]) == (422, 8192)

    def test_limits_are_named(self, embedded: Trail):
        embedded.settings = {"page_limit": 10}

        assert embedded.client().get(f"{embedded.path}?limit=11").json()["limit"] == 10
        assert embedded.client().get(f"{embedded.path}?actor={'x' * 513}").json()["limit"] == 512

    def test_an_unknown_action_is_422_in_strict_mode_and_nothing_found_in_open(self, embedded: Trail):
        query = f"{embedded.path}?action=api_key.creat"
        assert embedded.client().get(query).json()["items"] == []

        embedded.catalog = load_catalog(mode="strict")
        response = embedded.client().get(query)

        assert (response.status_code, response.json()["field"]) == (422, "action")
        assert response.json()["fix"] == "Did you mean api_key.create?"
        assert embedded.client().get(f"{embedded.path}?resource_type=apikey").status_code == 422
        assert embedded.client().get(f"{embedded.path}?action=audit_log.view").status_code == 200


class TestData:
    def test_events_are_the_stored_bytes(self, trail: Trail):
        odd = {"details": {"n": 1e3, "ü": "\u2028", "order": [3, 1], "deep": {"a": None}}}
        (event,) = trail.add(odd)

        content = trail.client().get(trail.path).content

        stored = json.dumps(event, separators=(",", ":")).encode()
        assert b'{"items":[' + stored + b'],"next_cursor":null}' == content

    def test_an_empty_trail_is_an_empty_page(self, trail: Trail):
        assert trail.client().get(trail.path).json() == {"items": [], "next_cursor": None}

    def test_newest_first_unless_asked_otherwise(self, trail: Trail):
        events = newest_first(trail.add(*[{}] * 5))

        assert ids(events) == ids(trail.client().get(trail.path).json()["items"])
        oldest_first = trail.client().get(trail.path, params={"order": "asc"}).json()["items"]
        assert ids(reversed(events)) == ids(oldest_first)

    def test_values_are_alternatives_and_parameters_restrict(self, trail: Trail):
        created, deleted, denied, _ = trail.add(
            {"action": "api_key.create"},
            {"action": "api_key.delete"},
            {"action": "api_key.delete", "outcome": "denied"},
            {"action": "project.create", "resource": {"type": "project", "id": "p_1"}},
        )
        query = "action=api_key.create&action=api_key.delete"

        either = trail.client().get(f"{trail.path}?{query}").json()["items"]
        both = trail.client().get(f"{trail.path}?{query}&outcome=denied").json()["items"]

        assert ids(newest_first([created, deleted, denied])) == ids(either)
        assert [denied["id"]] == ids(both)

    def test_from_is_inclusive_and_to_exclusive(self, trail: Trail):
        _, inside, _ = trail.add(
            *({"occurred_at": f"2026-11-20T10:00:00.{milliseconds}Z"} for milliseconds in ("999", "000", "001"))
        )
        query = "from=2026-11-20T11:00:00.000%2B01:00&to=2026-11-20T10:00:00.001Z"

        assert [inside["id"]] == ids(trail.client().get(f"{trail.path}?{query}").json()["items"])

    def test_an_empty_range_finds_nothing(self, trail: Trail):
        trail.add({})
        instant = format_instant(NOW)

        assert trail.client().get(trail.path, params={"from": instant, "to": instant}).json()["items"] == []

    def test_past_retention_is_hidden_to_the_millisecond(self, trail: Trail):
        edge = NOW - timedelta(days=90)
        _, kept = trail.add(
            {"occurred_at": format_instant(edge - timedelta(milliseconds=1))}, {"occurred_at": format_instant(edge)}
        )

        assert [kept["id"]] == ids(trail.client().get(trail.path).json()["items"])
        trail.clock.advance(milliseconds=1)
        assert trail.client().get(trail.path).json()["items"] == []

    def test_an_organizations_own_retention_counts(self, trail: Trail):
        trail.add({"occurred_at": format_instant(NOW - timedelta(days=2))})
        trail.retentions.set(trail.organization_id, Retention.parse("1d"))

        assert trail.client().get(trail.path).json()["items"] == []

    def test_another_organizations_events_do_not_occur(self, trail: Trail):
        (mine,) = trail.add({})
        trail.add({}, organization_id=f"{trail.organization_id}_other")

        assert [mine["id"]] == ids(trail.client().get(trail.path).json()["items"])

    def test_an_organization_may_have_any_name(self, trail: Trail):
        trail.organization_id += "/a b?ü%2F"
        (event,) = trail.add({})
        path = "/v1/organizations/" + trail.organization_id.replace("%", "%25").replace("?", "%3F") + "/audit-logs"

        assert [event["id"]] == ids(trail.client().get(path).json()["items"])
        assert event == trail.client().get(f"{path}/{event['id']}").json()

    def test_the_answer_may_not_be_kept_and_has_the_requests_id(self, embedded: Trail):
        response = embedded.client().get(embedded.path, headers={"X-Request-Id": "req-1"})

        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-request-id"] == "req-1"

    @pytest.mark.parametrize("sent", ["", "a b", "x" * 129, "<script>", "a\tb"])
    def test_an_unusable_request_id_is_replaced(self, embedded: Trail, sent: str):
        response = embedded.client().get(embedded.path, headers={"X-Request-Id": sent})

        assert sent != response.headers["x-request-id"]
        assert len(response.headers["x-request-id"]) == 36
