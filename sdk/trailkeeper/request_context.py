"""What a request tells about where it came from; asgi.py and wsgi.py bind it for the time of the request."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from trailkeeper.errors import ConfigurationError
from trailkeeper.event import address
from trailkeeper.uuid7 import new_id

# W3C Trace Context, section 3.2: version, trace id, parent id, flags. Ids of zeros alone are invalid.
_traceparent = re.compile(
    r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"
).fullmatch
# A request id is the client's word: take it only where it looks like one.
_request_id = re.compile(r"[A-Za-z0-9._:/+=@-]{1,200}").fullmatch


class TrustedProxies:
    """The peers whose X-Forwarded-For is believed: addresses and networks, and `"unix"` for a Unix socket's peer."""

    def __init__(self, proxies: Iterable[str]) -> None:
        if isinstance(proxies, str):
            proxies = (proxies,)
        proxies = list(proxies)
        self._unix = "unix" in proxies
        try:
            self._networks: list[IPv4Network | IPv6Network] = [
                ip_network(proxy, strict=False) for proxy in proxies if proxy != "unix"
            ]
        except ValueError as error:
            raise ConfigurationError(
                f"trusted_proxies: {error}. Name addresses or networks like 10.0.0.0/8."
            ) from error

    def client_ip(self, peer: str | None, forwarded_for: str | None) -> str | None:
        """Give the client's address: the peer's, or, read from the right, the first that no trusted proxy has."""
        client = address(peer) if peer else None
        trusted = self._trusts(client) if client is not None else self._unix and not peer
        if not trusted or not forwarded_for:
            return client
        for hop in reversed(forwarded_for.split(",")):
            ip = address(_without_port(hop.strip()))
            if ip is None:  # nobody knows what stands left of it
                return client
            client = ip
            if not self._trusts(ip):
                return ip
        return client

    def _trusts(self, ip: str) -> bool:
        parsed = ip_address(ip)
        return any(parsed in network for network in self._networks)


def _without_port(hop: str) -> str:
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def request_fields(proxies: TrustedProxies, peer: str | None, header: Callable[[str], str | None]) -> dict[str, str]:
    """Give the context fields of a request; `header` looks a header up by its lower-case name."""
    request_id = header("x-request-id")
    fields = {"request_id": request_id if request_id and _request_id(request_id) else new_id(time.time_ns())}
    if ip := proxies.client_ip(peer, header("x-forwarded-for")):
        fields["ip"] = ip
    if user_agent := header("user-agent"):
        fields["user_agent"] = user_agent
    if found := _traceparent((header("traceparent") or "").strip()):
        fields["trace_id"] = found[1]
    return fields
