"""CloudTrail: real records of AWS become events, each once however often they are imported."""

import json
from pathlib import Path
from typing import Any

import pytest

from audit.errors import InvalidEvent
from audit.ids import new_id
from audit.instants import parse_instant, utc_now
from audit.wire import Limits, parse_event
from ingest.formats.cloudtrail import convert
from tests.cli.command import Command, start_zygote, until
from tests.nodes import Node

FILE = Path(__file__).parents[3] / "shared" / "data" / "cloudtrail-ec2-s3-exfiltration.ndjson"


@pytest.fixture(scope="module")
def file() -> Path:
    if not FILE.exists():
        pytest.skip(f"the real CloudTrail file is not at hand: ../shared/data/{FILE.name}")
    return FILE


@pytest.fixture(scope="module")
def records(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture
def trailkeeper(tmp_path: Path) -> Any:
    with start_zygote() as zygote:
        yield Command(tmp_path, zygote)


def record(**changes: Any) -> dict[str, Any]:
    """A small record that holds; a change to None takes a member out."""
    members = {
        "eventID": "e-1",
        "eventTime": "2020-09-14T00:44:23Z",
        "eventName": "RunInstances",
        "eventSource": "ec2.amazonaws.com",
        "recipientAccountId": "123456789012",
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::123456789012:user/ada", "userName": "ada"},
        **changes,
    }
    return {name: value for name, value in members.items() if value is not None}


def converted(**changes: Any) -> dict[str, Any]:
    return convert(record(**changes), "org_1")


class TestTheRealFile:
    def test_it_has_103_records(self, records: list[dict[str, Any]]) -> None:
        assert len(records) == 103

    def test_each_makes_an_event_of_its_own(self, records: list[dict[str, Any]]) -> None:
        events = [parse_event(json.dumps(convert(each, "org_1")).encode(), Limits())[0] for each in records]

        assert len({event.id for event in events}) == 103

    def test_nothing_of_a_record_is_lost(self, records: list[dict[str, Any]]) -> None:
        for each in records:
            kept = json.dumps(convert(each, "org_1"))
            texts = [text for text in _texts(each) if text not in kept and json.dumps(text)[1:-1] not in kept]
            moved = {
                each["eventName"],
                each["eventSource"],
                each.get("eventID"),
                each.get("@timestamp"),
                each.get("eventTime"),
            }
            assert set(texts) <= moved

    def test_every_event_is_of_september_2020(self, records: list[dict[str, Any]]) -> None:
        moments = [parse_instant(convert(each, "org_1")["occurred_at"]) for each in records]

        assert {(moment.year, moment.month) for moment in moments} == {(2020, 9)}


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


def run_import(trailkeeper: Command, file: Path, organization: str, code: int) -> dict[str, Any]:
    summary: dict[str, Any] = trailkeeper(
        "import", file, "--format", "cloudtrail", "--organization", organization, "--json", code=code
    ).json()
    return summary


def stored(trailkeeper: Command, organization: str) -> int:
    exported = trailkeeper("export", "--organization", organization, "--to", "2021-01-01T00:00:00Z", code=0)
    return len(exported.lines())


def long_enough() -> str:
    return f"{(utc_now().year - 2019) * 366}d"


def in_again_and_still(trailkeeper: Command, file: Path, organization: str) -> None:
    """What the import promises, on any engine."""
    trailkeeper("retention", "set", organization, long_enough(), code=0)

    first = run_import(trailkeeper, file, organization, 0)
    again = run_import(trailkeeper, file, organization, 0)

    assert (first["accepted"], first["duplicate"], first["rejected"]) == (103, 0, 0)
    assert (again["accepted"], again["duplicate"], again["rejected"]) == (0, 103, 0)
    until(lambda: stored(trailkeeper, organization) >= 103)  # OpenSearch finds it a second later
    assert stored(trailkeeper, organization) == 103


class TestImporting:
    def test_embedded_103_go_in_and_again_103_are_duplicates(self, trailkeeper: Command, file: Path) -> None:
        in_again_and_still(trailkeeper, file, "org_1")

    def test_two_organizations_may_import_the_same_file(self, trailkeeper: Command, file: Path) -> None:
        in_again_and_still(trailkeeper, file, "org_1")
        in_again_and_still(trailkeeper, file, "org_2")

    def test_on_opensearch_too(self, trailkeeper: Command, file: Path, opensearch_node: Node) -> None:
        trailkeeper.settings |= opensearch_node.environment()

        organization = f"org_{new_id()}"

        in_again_and_still(trailkeeper, file, organization)

        with opensearch_node.http() as client:
            client.delete(f"/audit-{long_enough()}-*")
            client.delete(f"/trailkeeper-records/_doc/retention:{organization}")

    def test_with_90_days_all_are_rejected_each_told_why(self, trailkeeper: Command, file: Path) -> None:
        summary = run_import(trailkeeper, file, "org_1", 1)

        assert (summary["accepted"], summary["rejected"]) == (0, 103)
        assert [reject["line"] for reject in summary["rejects"]] == list(range(1, 104))
        assert all("retention of 90d" in reject["problem"]["detail"] for reject in summary["rejects"])


class TestConverting:
    def test_the_name_becomes_an_action_and_the_service_its_resource(self) -> None:
        event = converted(eventName="DescribeDBInstances", eventSource="rds.amazonaws.com")

        assert (event["action"], event["resource"]["type"]) == ("rds.describe_db_instances", "rds")

    def test_the_id_is_the_same_each_time(self) -> None:
        assert converted()["id"] == converted(eventName="StopInstances")["id"]

    @pytest.mark.parametrize(
        "changes", [{"eventID": "e-2"}, {"recipientAccountId": "2"}, {"eventTime": "2020-09-14T00:44:24Z"}]
    )
    def test_another_record_has_another(self, changes: dict[str, str]) -> None:
        assert converted(**changes)["id"] != converted()["id"]

    @pytest.mark.parametrize(
        ("code", "outcome"),
        [
            (None, "success"),
            ("AccessDenied", "denied"),
            ("Client.UnauthorizedOperation", "denied"),
            ("NoSuchBucket", "failure"),
        ],
    )
    def test_the_error_code_is_the_outcome(self, code: str | None, outcome: str) -> None:
        assert converted(errorCode=code)["outcome"] == outcome

    def test_a_user_is_a_user(self) -> None:
        actor = converted()["actor"]

        assert actor == {"type": "user", "id": "arn:aws:iam::123456789012:user/ada", "name": "ada"}

    def test_a_role_is_a_service(self) -> None:
        identity = {
            "type": "AssumedRole",
            "arn": "arn:aws:sts::1:assumed-role/ci/x",
            "sessionContext": {"sessionIssuer": {"userName": "ci"}},
        }

        assert converted(userIdentity=identity)["actor"] == {"type": "service", "id": identity["arn"], "name": "ci"}

    @pytest.mark.parametrize("identity", [None, {}, {"type": "AWSService", "invokedBy": "autoscaling.amazonaws.com"}])
    def test_aws_itself_is_a_service(self, identity: dict[str, str] | None) -> None:
        assert converted(userIdentity=identity)["actor"]["type"] == "service"

    def test_a_source_that_is_no_address_stays_in_details(self) -> None:
        event = converted(sourceIPAddress="ec2.amazonaws.com")

        assert event["details"]["sourceIPAddress"] == "ec2.amazonaws.com"
        assert "ip" not in event["context"]

    @pytest.mark.parametrize("name", ["eventName", "eventSource", "eventID"])
    @pytest.mark.parametrize("value", [None, 7, ""])
    def test_what_a_record_must_have_is_named(self, name: str, value: object) -> None:
        with pytest.raises(InvalidEvent) as refusal:
            converted(**{name: value})
        assert refusal.value.field == name

    @pytest.mark.parametrize("time", [None, "yesterday", 1600000000])
    def test_a_time_is_needed(self, time: object) -> None:
        with pytest.raises(InvalidEvent) as refusal:
            converted(eventTime=time)
        assert refusal.value.field == "eventTime"

    @pytest.mark.parametrize(
        "changes",
        [
            {"userIdentity": "ada"},
            {"userIdentity": {"type": "IAMUser", "sessionContext": None}},
            {"userIdentity": {"type": "IAMUser", "sessionContext": {"sessionIssuer": None}}},
            {"userIdentity": {"type": "IAMUser", "arn": "x" * 300}},
            {"requestParameters": "a=b"},
            {"requestParameters": {"bucketName": "x" * 600}},
            {"resources": [{"ARN": "x" * 600}]},
            {"resources": "all"},
            {"resources": [None]},
            {"sourceIPAddress": 7},
            {"errorCode": 404},
            {"userAgent": "x" * 2000},
            {"requestID": 7},
            {"eventSource": "1password.example"},
            {"requestParameters": {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": 1}}}}}}}}}},
        ],
        ids=lambda changes: str(changes)[:60],
    )
    def test_a_record_that_is_odd_makes_an_event_that_holds(self, changes: dict[str, Any]) -> None:
        parse_event(json.dumps(converted(**changes)).encode(), Limits())

    def test_a_name_without_letters_is_refused(self) -> None:
        with pytest.raises(InvalidEvent) as refusal:
            converted(eventName="éé")
        assert refusal.value.field == "eventName"

    def test_what_does_not_fit_into_the_context_stays_in_details(self) -> None:
        event = converted(userAgent="x" * 2000, requestID="r-1")

        assert event["details"]["userAgent"] == "x" * 2000
        assert event["context"] == {"request_id": "r-1"}
