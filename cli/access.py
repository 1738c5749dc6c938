"""`trailkeeper keys` and `trailkeeper token`: what machines and people show to get in."""

import re
from datetime import datetime, timedelta
from typing import Annotated

import jwt
import typer

from audit.access import KeyScope
from audit.errors import ConfigurationError, Invalid
from audit.instants import format_instant, parse_instant, utc_now
from audit.settings import Settings, load_settings
from cli.arguments import organization_option
from cli.compose import Trail
from cli.output import AsJson, err, out, print_json, table
from store.keys import Key

_days = re.compile(r"([0-9]{1,6})d").fullmatch

keys = typer.Typer(no_args_is_help=True, help="API keys: for applications that emit, and machines that read.")


def add_to(app: typer.Typer) -> None:
    """Add these subcommands."""
    app.add_typer(keys, name="keys")
    app.command()(token)


@keys.command()
def create(
    organization: Annotated[str | None, organization_option("The one organization it is for.")] = None,
    all_organizations: Annotated[bool, typer.Option(help="For every organization (ingest only).")] = False,
    scope: Annotated[KeyScope, typer.Option(help="What it may do.")] = KeyScope.INGEST,
    name: Annotated[str, typer.Option(help="What it is for, in your words.")] = "",
    expires: Annotated[str | None, typer.Option(help="When it ends: a number of days (30d), or RFC 3339.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, once: only its hash is kept."""
    if (organization is None) is not all_organizations:
        raise Invalid(
            "A key is for one organization or for all.",
            field="--organization",
            fix="Pass --organization ID, or --all-organizations.",
        )
    until = _until(expires)
    with Trail.open(load_settings(), ingest=True) as trail:
        key, secret = trail.keys.create(
            scope,
            organization,
            name,
            until,
            first=lambda key: trail.record_operation(
                "ingest_key.create", organization, resource_id=key.id, details={"scope": str(scope)}
            ),
        )
    if as_json:
        print_json({**_as_dict(key), "key": secret})
        return
    out.print(secret, soft_wrap=True)
    whose = f"the organization {organization}" if organization else "every organization"
    err.print(f"This key may {scope} for {whose}. It can't be shown again.", markup=False)


@keys.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the keys, without their secrets."""
    with Trail.open(load_settings()) as trail:
        rows = [_as_dict(key) for key in trail.keys.all()]
    if as_json:
        print_json(rows)
        return
    table(
        None, ["id", "scope", "organization", "name", "state", "created", "expires"], [list(r.values()) for r in rows]
    )
    if not rows:
        err.print("There are no keys yet: trailkeeper keys create --organization ID")


@keys.command()
def revoke(key_id: Annotated[str, typer.Argument(help="Its id, from `keys list`.")], as_json: AsJson = False) -> None:
    """Stop a key from working, everywhere within 5 seconds, for good."""
    with Trail.open(load_settings(), ingest=True) as trail:
        key = trail.keys.revoke(
            key_id,
            first=lambda key: trail.record_operation("ingest_key.revoke", key.organization_id, resource_id=key.id),
        )
    if as_json:
        print_json(_as_dict(key))
    else:
        err.print(f"The key {key_id} is revoked.", markup=False)


def token(
    organization: Annotated[str, organization_option("The organization the token is for.")],
    role: Annotated[str, typer.Option(help="owner and admin may read; other roles are refused.")] = "owner",
    subject: Annotated[str, typer.Option(help="Who it is: the user's id.")] = "local-operator",
    name: Annotated[str | None, typer.Option(help="The user's name.")] = None,
    email: Annotated[str | None, typer.Option(help="The user's email.")] = None,
    hours: Annotated[float, typer.Option(min=0.01, max=24 * 31, help="How long it works.")] = 12,
    as_json: AsJson = False,
) -> None:
    """Make a reader's token for development, signed with TRAILKEEPER_JWT_SECRET.

    In production your identity provider makes them, and TRAILKEEPER_JWT_JWKS_URL says where its keys are.
    """
    settings = load_settings()
    encoded = make_token(settings, organization, role, subject, name, email, hours)
    if as_json:
        print_json({"token": encoded})
    else:
        out.print(encoded, soft_wrap=True)


def make_token(
    settings: Settings,
    organization: str,
    role: str,
    subject: str,
    name: str | None = None,
    email: str | None = None,
    hours: float = 1,
) -> str:
    """Sign the claims that this deployment's settings name (RFC 7519), with HS256."""
    if settings.jwt_secret is None:
        raise ConfigurationError(
            "There is no secret to sign a token with.",
            field="TRAILKEEPER_JWT_SECRET",
            fix="Set it, here and for the server, to 32 random bytes or more: `openssl rand -hex 32`.",
        )
    now = utc_now()
    claims = {
        "iss": settings.jwt_issuer,
        "aud": settings.jwt_audience,
        "sub": subject,
        "iat": now,
        "exp": now + timedelta(hours=hours),
        settings.claim_organization: organization,
        settings.claim_role: role,
        settings.claim_name: name,
        settings.claim_email: email,
        settings.claim_entitlements: [settings.entitlement] if settings.entitlement else None,
    }
    return jwt.encode(
        {claim: value for claim, value in claims.items() if value is not None},
        settings.jwt_secret.get_secret_value(),
        algorithm="HS256",
    )


def _until(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        days = _days(text)
        moment = parse_instant(text) if days is None else utc_now() + timedelta(days=int(days.group(1)))
    except (ValueError, OverflowError) as error:
        raise Invalid(
            f"{text!r} is no time: {error}", field="--expires", fix="Write days like 30d, or 2027-01-01T00:00:00Z."
        ) from None
    if moment <= utc_now():
        raise Invalid("The key would have ended already.", field="--expires", fix="Name a time to come.")
    return moment


def _as_dict(key: Key) -> dict[str, str | None]:
    return {
        "id": key.id,
        "scope": str(key.scope),
        "organization_id": key.organization_id or "(all)",
        "name": key.name,
        "state": key.state(utc_now()),
        "created_at": format_instant(key.created_at),
        "expires_at": format_instant(key.expires_at) if key.expires_at else None,
    }
