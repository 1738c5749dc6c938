"""The catalog: the 22 actions of the design, a deployment's own, and what is said of a file that can't be used."""

from pathlib import Path

import pytest

from audit.catalog import Catalog, load_catalog
from audit.errors import ConfigurationError, InvalidEvent

DESIGN = {
    "organization.update": "organization",
    "organization.delete": "organization",
    "project.create": "project",
    "project.update": "project",
    "project.delete": "project",
    "team_member.add": "team_member",
    "team_member.update": "team_member",
    "team_member.remove": "team_member",
    "api_key.create": "api_key",
    "api_key.update_status": "api_key",
    "api_key.update_limit": "api_key",
    "api_key.delete": "api_key",
    "api_key.iam_rule.create": "iam_rule",
    "api_key.iam_rule.update": "iam_rule",
    "api_key.iam_rule.delete": "iam_rule",
    "provider_key.create": "provider_key",
    "provider_key.update": "provider_key",
    "provider_key.delete": "provider_key",
    "subscription.create": "subscription",
    "subscription.cancel": "subscription",
    "subscription.resume": "subscription",
    "payment.credit_topup": "payment",
}
OWN = """
[actions."invoice.send"]
description = "An invoice was sent"
resource_type = "bill"
[actions."invoice.send".details_schema]
type = "object"
required = ["number"]
properties.number = { type = "integer" }

[actions."invoice.line.add"]
description = "A line was added"
"""


@pytest.fixture
def own(tmp_path: Path) -> Catalog:
    return load_catalog(written(tmp_path, OWN))


def written(folder: Path, text: str) -> Path:
    path = folder / "catalog.toml"
    path.write_text(text, "utf-8")
    return path


class TestBuiltIn:
    def test_its_actions_and_their_resource_types_are_the_designs(self) -> None:
        assert {each.name: each.resource_type for each in load_catalog() if not each.of_the_trail} == DESIGN

    def test_there_are_22(self) -> None:
        assert len(DESIGN) == 22

    @pytest.mark.parametrize("action", DESIGN)
    def test_each_says_what_it_means(self, action: str) -> None:
        assert load_catalog().actions[action].description

    @pytest.mark.parametrize("action", ["audit_log.view", "audit_log.export", "audit_log.conflict"])
    def test_what_the_trail_records_of_itself_is_in_it(self, action: str) -> None:
        assert load_catalog().actions[action].of_the_trail

    @pytest.mark.parametrize("action", DESIGN)
    def test_each_is_known_in_strict_mode(self, action: str) -> None:
        assert load_catalog(mode="strict").check(action, None)


class TestModes:
    def test_open_takes_an_unknown_action_and_says_so(self) -> None:
        assert load_catalog().check("invoice.send", None) is False

    def test_strict_refuses_it_with_a_way_out(self) -> None:
        with pytest.raises(InvalidEvent) as refusal:
            load_catalog(mode="strict").check("invoice.send", None)

        assert refusal.value.field == "action"
        assert "TRAILKEEPER_CATALOG_FILE" in str(refusal.value.fix)

    @pytest.mark.parametrize(("action", "type"), [("invoice.send", "invoice"), ("a.b.c", "b")])
    def test_an_unknown_actions_resource_is_the_part_before_its_verb(self, action: str, type: str) -> None:
        assert load_catalog().resource_type(action) == type


class TestOwnFile:
    def test_its_actions_join_the_built_in_ones(self, own: Catalog) -> None:
        assert {"invoice.send", "invoice.line.add", *DESIGN} <= set(own.actions)

    def test_a_resource_type_that_is_given_counts(self, own: Catalog) -> None:
        assert own.resource_type("invoice.send") == "bill"

    def test_else_it_is_the_part_before_the_verb(self, own: Catalog) -> None:
        assert own.resource_type("invoice.line.add") == "line"

    def test_it_may_describe_a_built_in_action_anew(self, tmp_path: Path) -> None:
        catalog = load_catalog(
            written(tmp_path, '[actions."project.create"]\ndescription = "Ours"\nresource_type = "space"')
        )

        assert (catalog.actions["project.create"].description, catalog.resource_type("project.create")) == (
            "Ours",
            "space",
        )

    def test_an_empty_file_adds_nothing(self, tmp_path: Path) -> None:
        assert load_catalog(written(tmp_path, "")).actions == load_catalog().actions


class TestDetailsSchema:
    def test_details_that_hold_pass(self, own: Catalog) -> None:
        assert own.check("invoice.send", {"number": 7})

    def test_details_that_break_it_are_refused_where_they_do(self, own: Catalog) -> None:
        with pytest.raises(InvalidEvent) as refusal:
            own.check("invoice.send", {"number": "seven"})
        assert refusal.value.field == "details.number"

    @pytest.mark.parametrize("details", [None, {}])
    def test_no_details_are_empty_details(self, own: Catalog, details: dict[str, object] | None) -> None:
        with pytest.raises(InvalidEvent, match="'number' is a required property") as refusal:
            own.check("invoice.send", details)
        assert refusal.value.field == "details"

    def test_an_action_without_one_takes_any(self, own: Catalog) -> None:
        assert own.check("invoice.line.add", {"anything": []})

    def test_a_large_value_is_quoted_in_part(self, own: Catalog) -> None:
        with pytest.raises(InvalidEvent) as refusal:
            own.check("invoice.send", {"number": "x" * 60_000})
        assert len(refusal.value.detail) < 500

    def test_a_reference_within_it_is_followed(self, tmp_path: Path) -> None:
        text = OWN.replace('{ type = "integer" }', '{ "$ref" = "#/$defs/n" }\n"$defs".n.type = "integer"')

        with pytest.raises(InvalidEvent):
            load_catalog(written(tmp_path, text)).check("invoice.send", {"number": "seven"})


BROKEN = {
    "not TOML": ("[actions", "not TOML"),
    "an unknown section": ("[action.'a.b']", "action"),
    "an unknown key": ('[actions."a.b"]\ndescription = "x"\ncolour = "red"', "a.b.colour"),
    "no description": ('[actions."a.b"]', "a.b.description"),
    "a description of another type": ('[actions."a.b"]\ndescription = 7', "a.b.description"),
    "no resource in the name": ("[actions.a]\ndescription = 'x'", "'a' is no action name"),
    "capitals": ('[actions."a.B"]\ndescription = "x"', "'a.B' is no action name"),
    "a line feed behind the name": ('[actions."a.b\\n"]\ndescription = "x"', "is no action name"),
    "a name without quotes": ('[actions.a.b]\ndescription = "x"', "actions.a.description"),
    "a name that is too long": (f'[actions."{"a" * 127}.b"]\ndescription = "x"', "is no action name"),
    "a resource type with a dot": ('[actions."a.b"]\ndescription = "x"\nresource_type = "a.b"', "resource type"),
    "a resource type with a line feed": ('[actions."a.b"]\ndescription = "x"\nresource_type = "a\\n"', "resource type"),
    "a schema that is none": ('[actions."a.b"]\ndescription = "x"\ndetails_schema.type = "objekt"', "no JSON Schema"),
    "a schema with a hole": (
        '[actions."a.b"]\ndescription = "x"\ndetails_schema."$ref" = "#/$defs/gone"',
        "no JSON Schema",
    ),
    "a schema that is elsewhere": (
        '[actions."a.b"]\ndescription = "x"\ndetails_schema."$ref" = "https://example.com/schema.json"',
        "stands alone",
    ),
}


@pytest.mark.parametrize(("text", "says"), BROKEN.values(), ids=list(BROKEN))
def test_a_file_that_can_not_be_used_is_named_with_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    path = written(tmp_path, text)

    with pytest.raises(ConfigurationError) as refusal:
        load_catalog(path)

    assert says in refusal.value.detail
    assert str(path) in refusal.value.detail
    assert refusal.value.field == "TRAILKEEPER_CATALOG_FILE"


@pytest.mark.parametrize("kind", ["missing", "folder", "latin-1"])
def test_a_file_that_can_not_be_read_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "catalog.toml"
    if kind == "folder":
        path.mkdir()
    elif kind == "latin-1":
        path.write_bytes(b"# caf\xe9")

    with pytest.raises(ConfigurationError, match="can't be read") as refusal:
        load_catalog(path)
    assert refusal.value.field == "TRAILKEEPER_CATALOG_FILE"


class TestWhatTrailkeeperItselfRecords:
    def test_no_sender_may_put_on_the_trail_but_the_sdks_report_of_losses(self):
        catalog = load_catalog()

        own = {action.name for action in catalog if action.of_the_trail}

        assert own - catalog.reserved() == {"audit_trail.events_dropped"}

    @pytest.mark.parametrize("section", ["actions", "trail"])
    def test_a_deployments_file_may_not_redefine(self, tmp_path: Path, section: str):
        file = tmp_path / "catalog.toml"
        file.write_text(f'[{section}."audit_log.view"]\ndescription = "x"\n')

        with pytest.raises(ConfigurationError, match=r"audit_log\.view"):
            load_catalog(file)
