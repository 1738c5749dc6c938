"""`trailkeeper keys` and `trailkeeper token`."""

import jwt
import pytest

from tests.cli.command import SECRET, Command


def test_a_key_is_printed_once_and_alone_on_standard_output(trailkeeper: Command) -> None:
    ran = trailkeeper("keys", "create", "--organization", "org_1", code=0)

    assert ran.out.startswith("tk_")
    assert len(ran.out.split()) == 1


def test_a_key_as_json(trailkeeper: Command) -> None:
    made = trailkeeper(
        "keys", "create", "--all-organizations", "--name", "[red]CI", "--expires", "30d", "--json"
    ).json()

    assert made["key"].startswith(f"tk_{made['id']}_")
    assert (made["scope"], made["organization_id"], made["name"], made["state"]) == (
        "ingest",
        "(all)",
        "[red]CI",
        "active",
    )


def test_keys_are_listed_without_their_secrets(trailkeeper: Command) -> None:
    secret = trailkeeper("keys", "create", "--organization", "org_1", "--name", "[red]CI").out.strip()

    listed = trailkeeper("keys", "list", code=0)

    assert "[red]CI" in listed.out
    assert secret not in listed.out
    assert secret not in trailkeeper("keys", "list", "--json").out


def test_a_revoked_key_is_listed_as_that(trailkeeper: Command) -> None:
    made = trailkeeper("keys", "create", "--organization", "org_1", "--json").json()

    assert trailkeeper("keys", "revoke", made["id"], "--json", code=0).json()["state"] == "revoked"
    assert [key["state"] for key in trailkeeper("keys", "list", "--json").json()] == ["revoked"]


def test_making_and_revoking_is_on_the_trail(trailkeeper: Command) -> None:
    made = trailkeeper("keys", "create", "--organization", "org_1", "--json").json()
    trailkeeper("keys", "revoke", made["id"], code=0)

    found = trailkeeper("search", "--organization", "org_1", "--json").lines()

    assert [
        (event["action"], event["resource"]["id"]) for event in found if event["action"].startswith("ingest_key")
    ] == [
        ("ingest_key.revoke", made["id"]),
        ("ingest_key.create", made["id"]),
    ]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((), "--organization"),
        (("--organization", "org_1", "--all-organizations"), "--organization"),
        (("--organization", ""), "--organization"),
        (("--organization", "x" * 129), "--organization"),
        (("--organization", "a\nb"), "--organization"),
        (("--all-organizations", "--scope", "read"), "organization_id"),
        (("--organization", "org_1", "--expires", "soon"), "--expires"),
        (("--organization", "org_1", "--expires", "999999d"), None),
        (("--organization", "org_1", "--expires", "9999999d"), "--expires"),
        (("--organization", "org_1", "--expires", "0d"), "--expires"),
        (("--organization", "org_1", "--expires", "2020-01-01T00:00:00Z"), "--expires"),
        (("--organization", "org_1", "--expires", "2030-01-01T00:00:00"), "--expires"),
        (("--organization", "org_1", "--expires", "²d"), "--expires"),
    ],
)
def test_what_can_not_be_is_refused_with_the_way_out_and_no_key_is_made(
    trailkeeper: Command, arguments: tuple[str, ...], field: str | None
) -> None:
    ran = trailkeeper("keys", "create", *arguments)

    if field is None:
        assert ran.code == 0
        return
    assert ran.code == 1
    assert f"field: {field}" in ran.err
    assert "fix:" in ran.err
    assert trailkeeper("keys", "list", "--json").json() == []


def test_revoking_a_key_that_is_not_there_is_told(trailkeeper: Command) -> None:
    ran = trailkeeper("keys", "revoke", "nobody", code=1)

    assert "There is no key 'nobody'" in ran.err


def test_a_token_says_who_it_is_for(trailkeeper: Command) -> None:
    token = trailkeeper("token", "--organization", "org_1", "--role", "admin", "--subject", "u_1", code=0).out.strip()

    claims = jwt.decode(token, SECRET, ["HS256"], audience="trailkeeper", issuer="trailkeeper")
    assert (claims["organization_id"], claims["role"], claims["sub"]) == ("org_1", "admin", "u_1")


def test_a_token_as_json(trailkeeper: Command) -> None:
    assert set(trailkeeper("token", "--organization", "org_1", "--json").json()) == {"token"}


def test_without_a_secret_there_is_no_token(trailkeeper: Command) -> None:
    trailkeeper.settings["TRAILKEEPER_JWT_SECRET"] = ""

    ran = trailkeeper("token", "--organization", "org_1", code=1)

    assert "field: TRAILKEEPER_JWT_SECRET" in ran.err
