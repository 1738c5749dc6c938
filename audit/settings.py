"""The one table of settings. Each is an environment variable `TRAILKEEPER_<NAME>`; secrets can come from a file.

`TRAILKEEPER_<NAME>_FILE` names a file to read a secret from (Docker and Kubernetes secrets), for those fields that are
SecretStr. The README's table is made from the descriptions here (`python -m audit.settings`), and a test holds it to them.
"""

import os
import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from audit.errors import ConfigurationError, Invalid
from audit.retention import Retention
from audit.wire import Limits

PREFIX = "TRAILKEEPER_"


class Settings(BaseSettings):
    """Everything a deployment can set. The defaults run the whole trail embedded, on one SQLite file."""

    # An empty variable is one that isn't set: that is what `${NAME:-}` in a compose file makes.
    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, env_ignore_empty=True)

    store_url: str = Field(
        "sqlite:///trailkeeper.sqlite",
        description="Where events live: `sqlite:///relative.sqlite`, `sqlite:////absolute.sqlite`, "
        "`opensearch://host:9200` or `opensearch+https://user@host:9200`.",
    )
    store_password: SecretStr | None = Field(None, description="OpenSearch password, where it isn't in the URL.")
    store_ca_file: Path | None = Field(None, description="CA certificates (PEM) that OpenSearch's is checked against.")
    store_verify: bool = Field(True, description="Check OpenSearch's certificate and host name.")
    store_aws_region: str | None = Field(None, description="Sign requests with AWS SigV4 for this region.")
    store_aws_service: Literal["es", "aoss"] = Field("es", description="What SigV4 signs for.")
    store_timeout_seconds: float = Field(30, gt=0, description="How long one request to OpenSearch may take.")
    index_replicas: str = Field(
        "0-1",
        pattern=r"^\d+(-(\d+|all))?$",
        description="Copies of each day index: a number, or a range that OpenSearch expands by itself.",
    )

    spool_path: Path = Field(
        Path("trailkeeper-spool.sqlite"),
        description="Where ingest commits events before OpenSearch has them.",
    )
    spool_bytes: int = Field(
        1 << 30, ge=1 << 20, description="The spool's high-water mark: past it ingest answers 503."
    )
    log_id: str | None = Field(
        None,
        pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$",
        description="The name of this ingest instance's log; made once and kept in its file where not set.",
    )
    dedupe_window: int = Field(
        1_000_000,
        ge=0,
        description="How many of its latest events ingest recognises by itself; the store knows all.",
    )
    relay_bytes: int = Field(5 << 20, ge=1 << 16, description="About how much one `_bulk` request carries.")
    relay_concurrency: int = Field(2, ge=1, le=32, description="`_bulk` requests in flight.")

    host: str = Field("127.0.0.1", description="The address to listen on.")
    port: int = Field(8321, ge=0, le=65535, description="The port to listen on; 0 takes a free one.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is logged.")
    log_format: Literal["console", "json"] = Field("console", description="How it is logged.")

    retention: str = Field("90d", description="How long events stay where an organization has nothing else set.")
    lifecycle_interval_seconds: float = Field(
        300, gt=0, description="How often the lifecycle prepares days and lets go of those that are due."
    )
    catalog: Literal["open", "strict"] = Field(
        "open", description="`open` takes and marks actions outside the catalog, `strict` refuses them."
    )
    catalog_file: Path | None = Field(None, description="A TOML file with the deployment's own actions.")

    event_bytes: int = Field(64 * 1024, ge=1024, le=1 << 20, description="The largest event, in bytes of JSON.")
    leaf_bytes: int = Field(
        8 * 1024,
        ge=256,
        le=30_000,
        description="The largest value in details, with its dotted path, in bytes.",
    )
    depth: int = Field(8, ge=1, le=16, description="How deeply details may be nested.")
    request_bytes: int = Field(5 << 20, ge=1024, description="The largest request to ingest, unpacked.")
    request_events: int = Field(10_000, ge=1, description="The most events in one request.")
    request_timeout_seconds: float = Field(
        30, gt=0, description="How long a client may take to send a request, headers and body."
    )
    ack_timeout_seconds: float = Field(
        30, gt=0, description="How long `?ack=indexed` and `?ack=searchable` wait for the engine."
    )
    clock_skew_seconds: int = Field(
        300, ge=0, le=86_400, description="How far ahead of the server an event's time may be."
    )

    jwt_secret: SecretStr | None = Field(None, description="The HS256 secret, for development; at least 32 bytes.")
    jwt_jwks_url: str | None = Field(None, description="Where the identity provider publishes its keys (JWKS).")
    jwt_jwks_file: Path | None = Field(None, description="The same from a file.")
    jwt_algorithms: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="The algorithms taken, by commas; default HS256 with a secret, RS256,ES256,EdDSA with a JWKS.",
    )
    jwt_issuer: str = Field("trailkeeper", description="The `iss` a token must have.")
    jwt_audience: str = Field("trailkeeper", description="The `aud` a token must have.")
    jwt_leeway_seconds: int = Field(30, ge=0, le=300, description="What clocks may differ by.")
    claim_organization: str = Field("organization_id", description="The claim with the organization's id.")
    claim_role: str = Field("role", description="The claim with the role: owner and admin may read.")
    claim_name: str = Field("name", description="The claim with the reader's name.")
    claim_email: str = Field("email", description="The claim with the reader's email.")
    claim_entitlements: str = Field("entitlements", description="The claim with the plan's entitlements, a list.")
    entitlement: str | None = Field(None, description="The entitlement a plan needs to read the trail, if any.")

    page_limit: int = Field(1000, ge=1, le=10_000, description="The largest `limit` of a page.")
    cursor_secret: SecretStr | None = Field(
        None, description="What cursors are signed with; made once and kept in the store where not set."
    )
    cursor_hours: int = Field(24, ge=1, description="How long a cursor works.")

    @model_validator(mode="before")
    @classmethod
    def _secrets_from_files(cls, values: dict[str, Any]) -> dict[str, Any]:
        for name, field in cls.model_fields.items():
            variable = f"{PREFIX}{name.upper()}_FILE"
            if field.annotation == SecretStr | None and (path := os.environ.get(variable)) and not values.get(name):
                try:
                    values[name] = Path(path).read_text("utf-8").strip()
                except OSError as error:
                    raise ValueError(f"{variable} names {path}, which can't be read: {error.strerror}") from None
        return values

    @field_validator("jwt_algorithms", mode="before")
    @classmethod
    def _by_commas(cls, value: object) -> object:
        return tuple(filter(None, value.replace(" ", "").split(","))) if isinstance(value, str) else value

    @field_validator("jwt_algorithms")
    @classmethod
    def _known_algorithms(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        known = {"HS256", "RS256", "ES256", "EdDSA"}
        if set(value) - known:
            raise ValueError(f"takes {', '.join(sorted(known))}")
        return value

    @field_validator("retention")
    @classmethod
    def _a_retention(cls, value: str) -> str:
        try:
            return str(Retention.parse(value))
        except Invalid as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="after")
    def _keys_fit_algorithms(self) -> Self:
        if self.jwt_secret is not None and len(self.jwt_secret.get_secret_value()) < 32:
            raise ValueError("TRAILKEEPER_JWT_SECRET is shorter than 32 bytes (RFC 7518, section 3.2)")
        if self.jwt_secret is not None and (self.jwt_jwks_url or self.jwt_jwks_file):
            raise ValueError("set either TRAILKEEPER_JWT_SECRET or a JWKS: with both, one's key could be the other's")
        return self

    @cached_property
    def limits(self) -> Limits:
        """The limits of one event."""
        return Limits(self.event_bytes, self.leaf_bytes, self.depth)


def load_settings(**overrides: Any) -> Settings:
    """Read the settings from the environment. Raises ConfigurationError naming the variable that can't work."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        message = first["msg"].removeprefix("Value error, ").rstrip(".")
        if not first["loc"]:  # what concerns several settings names them itself, the culprit first
            found = re.search(rf"{PREFIX}[A-Z_]+", message)
            raise ConfigurationError(
                f"{message}.", field=found.group() if found else None, fix="See the table of settings in the README."
            ) from None
        name = PREFIX + str(first["loc"][0]).upper()
        raise ConfigurationError(
            f"{name}: {message}.",
            field=name,
            fix="See the table of settings in the README.",
        ) from None


def settings_table() -> str:
    """Write the README's table: every variable, its default and what it is for."""
    lines = ["| variable | default | what it is for |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        secret = field.annotation == SecretStr | None
        default = "" if field.default in (None, ()) else f"`{field.default}`"
        files = " (or `…_FILE`)" if secret else ""
        lines.append(f"| `{PREFIX}{name.upper()}`{files} | {default} | {field.description} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(settings_table())  # noqa: T201 this is what it is for
