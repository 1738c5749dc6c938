"""What a node can do: the official image has ISM, Maven Central's artifact has no plugins at all."""

import ssl
from pathlib import Path
from urllib.parse import urlsplit

import httpx


def has_ism(url: str, *, auth: tuple[str, str] | None = None, ca_file: Path | None = None) -> bool:
    """Whether Index State Management answers at `url`.

    A plain server says 400 "no handler found for uri"; with the plugin the list of policies comes with 200, or 404 as
    long as there is none to list. Anything else (401, 503) is an error and raised: it does not mean "no ISM".
    """
    verify = ssl.create_default_context(cafile=str(ca_file)) if ca_file else True
    parts = urlsplit(url)
    if auth is None and parts.username is not None:
        auth = (parts.username, parts.password or "")
    with httpx.Client(base_url=url, auth=auth, verify=verify, timeout=30.0, trust_env=False) as client:
        answer = client.get("/_plugins/_ism/policies")
    if answer.status_code == httpx.codes.BAD_REQUEST and "no handler found" in answer.text:
        return False
    if answer.status_code == httpx.codes.NOT_FOUND:
        return True
    answer.raise_for_status()
    return True
