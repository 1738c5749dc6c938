"""Who may write: the order of refusals is 401, 403, then whatever is wrong with the request."""

from datetime import timedelta

from audit.access import KeyScope
from audit.instants import utc_now
from tests.ingest.sending import NDJSON, Way, line, statuses


def test_without_a_key_a_bad_body_is_401(way: Way) -> None:
    with way.client() as client:
        del client.headers["Authorization"]
        response = client.post("/v1/events?ack=never", content=b"hello")

    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert response.headers["content-type"] == "application/problem+json"


def test_a_key_nobody_made_is_401(way: Way) -> None:
    assert way.post(line(), key="tk_nobody_made").status_code == 401


def test_another_scheme_is_401(way: Way) -> None:
    assert way.post(line(), Authorization=f"Basic {way.key}").status_code == 401


def test_a_revoked_key_is_401(way: Way) -> None:
    key, token = way.keys.create(KeyScope.INGEST, "org_1", "")
    way.keys.revoke(key.id)

    assert way.post(line(), key=token).status_code == 401


def test_an_expired_key_is_401(way: Way) -> None:
    token = way.make_key(expires_at=utc_now() - timedelta(seconds=1))

    assert way.post(line(), key=token).status_code == 401


def test_the_answer_does_not_tell_an_unknown_key_from_a_revoked_one(way: Way) -> None:
    key, token = way.keys.create(KeyScope.INGEST, "org_1", "")
    way.keys.revoke(key.id)

    assert way.post(line(), key=token).json() == way.post(line(), key="tk_nobody_made").json()


def test_a_key_that_reads_is_403_before_the_body_is_looked_at(way: Way) -> None:
    _, token = way.keys.create(KeyScope.READ, "org_1", "")

    assert way.post(b"hello", "text/csv", key=token).status_code == 403


def test_a_key_for_one_organization_writes_for_no_other(way: Way) -> None:
    response = way.post(line(organization_id="org_2"))

    assert (response.status_code, response.json()["field"]) == (403, "organization_id")
    assert way.stored("org_2") == []


def test_in_a_batch_only_the_other_organizations_events_are_refused(way: Way) -> None:
    answer = way.batch(line(), line(organization_id="org_2"), line())

    assert statuses(answer) == ["accepted", "rejected", "accepted"]


def test_a_key_for_all_organizations_writes_for_each(way: Way) -> None:
    token = way.make_key(None)

    response = way.post(b"\n".join([line(organization_id="org_2"), line(organization_id="org_3")]), NDJSON, key=token)

    assert statuses(response.json()) == ["accepted", "accepted"]
    assert len(way.stored("org_2")) == len(way.stored("org_3")) == 1


def test_the_scheme_may_be_written_in_any_case(way: Way) -> None:
    assert way.post(line(), Authorization=f"bearer {way.key}").status_code == 202
