"""Arguments that several subcommands take, checked before anything is opened."""

from typing import Annotated, Any

import typer
from pydantic import TypeAdapter, ValidationError

from audit.errors import Invalid
from audit.event import OrganizationId

_organization: TypeAdapter[str] = TypeAdapter(OrganizationId)


def organization_option(text: str, **options: Any) -> Any:
    """Make an option that takes an organization's id."""
    return typer.Option(help=text, callback=an_organization, **options)


def an_organization(value: str | None) -> str | None:
    """Return the id of an organization as it is. Raises Invalid for what no event could name."""
    if value is None:
        return None
    try:
        _organization.validate_python(value)
    except ValidationError as error:
        why = error.errors()[0]["msg"]
    else:
        if value.isprintable():
            return value
        why = "it has control characters"
    raise Invalid(
        f"{value[:50]!r} is no organization's id: {why[:1].lower()}{why[1:]}.",
        field="--organization",
        fix="Pass the id that events carry as organization_id.",
    )


def an_address(value: str | None) -> str | None:
    """Return the address of a server as it is. Raises Invalid for what is none."""
    if value is None or value.startswith(("http://", "https://")):
        return value
    raise Invalid(
        f"{value[:200]!r} is no address of a server.", field="--url", fix="Write it like http://127.0.0.1:8321."
    )


def a_bearer(value: str | None) -> str | None:
    """Return a token or a key, without the blanks it may have been copied with. Raises Invalid for what can be neither."""
    if value is None:
        return None
    text = value.strip()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise Invalid("The token or key has characters that none has.", fix="Copy it whole, and nothing else with it.")
    return text


Organization = Annotated[str, organization_option("Whose trail.", envvar="TRAILKEEPER_ORGANIZATION")]
