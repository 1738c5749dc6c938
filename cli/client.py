"""The API as the command line uses it: over HTTP where a URL is given, in this process where not.

In this process the very same application answers, so that reading is checked and recorded the same way: the operator, who
could read the files anyway, is on the trail as whoever runs the command.
"""

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import typer
from pydantic import SecretStr

from audit.errors import ConfigurationError, Invalid, TrailkeeperError
from audit.settings import Settings
from cli.access import make_token
from cli.arguments import a_bearer, an_address
from cli.compose import Trail, operator

Url = Annotated[
    str | None,
    typer.Option(
        envvar="TRAILKEEPER_URL",
        callback=an_address,
        help="A running server; without it, the store of TRAILKEEPER_STORE_URL.",
    ),
]
Token = Annotated[
    str | None,
    typer.Option(envvar="TRAILKEEPER_TOKEN", callback=a_bearer, help="An owner's or admin's token, for --url."),
]


class ServerError(TrailkeeperError):
    """What the server answered, as it said it."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(
            problem.get("detail", "The server refused."),
            field=problem.get("field"),
            limit=problem.get("limit"),
            fix=problem.get("fix"),
        )


def connect_to(url: str, headers: Mapping[str, str]) -> httpx.AsyncClient:
    """Make a client of a running server. Raises Invalid for what is no address."""
    try:
        return httpx.AsyncClient(base_url=url, headers=headers, timeout=60)
    except httpx.InvalidURL as error:
        raise Invalid(
            f"{url!r} is no address: {error}.", field="--url", fix="Write it like http://127.0.0.1:8321."
        ) from None


@asynccontextmanager
async def reader(
    settings: Settings, url: str | None, token: str | None, organization: str
) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client that may read one organization's trail."""
    if url is not None:
        if token is None:
            raise ConfigurationError(
                "Reading from a server takes a token.",
                field="TRAILKEEPER_TOKEN",
                fix="Pass --token; for development `trailkeeper token` makes one.",
            )
        async with connect_to(url, _bearer(token)) as client:
            yield client
        return
    # A secret of this process alone: the token never leaves it.
    settings = settings.model_copy(
        update={"jwt_secret": SecretStr(secrets.token_hex(32)), "jwt_jwks_url": None, "jwt_jwks_file": None}
    )
    settings = settings.model_copy(update={"jwt_algorithms": ("HS256",)})
    token = make_token(settings, organization, "owner", f"operator:{operator()}", operator())
    with Trail.open(settings, ingest=True) as trail:
        app = trail.application(search=True)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app=app), base_url="http://in-process", headers=_bearer(token), timeout=60
            ) as client,
        ):
            yield client


async def get(client: httpx.AsyncClient, path: str, parameters: Sequence[tuple[str, str]]) -> Any:
    """Read one JSON answer. Raises ServerError with the server's own words."""
    try:
        response = await client.get(path, params=httpx.QueryParams(tuple(parameters)))
    except httpx.TransportError as error:
        raise ConfigurationError(
            f"The server at {client.base_url} doesn't answer: {error}.",
            field="--url",
            fix="Is it running? `trailkeeper serve` starts one.",
        ) from None
    if response.status_code != 200:
        raise ServerError(problem_of(response))
    return response.json()


def problem_of(response: httpx.Response) -> dict[str, Any]:
    """Read a problem document, or make one of whatever else came."""
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if isinstance(problem, dict):
        return problem
    return {"detail": f"The server answered {response.status_code} {response.reason_phrase}."}


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
