"""An identity provider: key pairs, and a real HTTP server on loopback that publishes the public halves."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tests.search_api.trail import claims

_ALGORITHMS = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}


@cache
def private_key(algorithm: str, key_id: str) -> Any:
    """The private key of this id; made once, because RSA takes its time."""
    if algorithm == "RS256":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else ed25519.Ed25519PrivateKey.generate()


class Provider:
    """Signs tokens, and publishes keys at `url`. `status` other than 200 plays an outage; `asked` counts requests."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/keys"
        self.asked = 0
        self.status = 200
        self.body: bytes | None = None
        self._published: list[dict[str, Any]] = []

    def publish(self, *keys: tuple[str, str], **extra: Any) -> None:
        """Publish these keys, each an algorithm and an id, and no others."""
        self._published = [
            {
                **_ALGORITHMS[algorithm].to_jwk(private_key(algorithm, key_id).public_key(), as_dict=True),
                "kid": key_id,
                **extra,
            }
            for algorithm, key_id in keys
        ]

    def document(self) -> bytes:
        """The JWKS as it is published."""
        return self.body if self.body is not None else json.dumps({"keys": self._published}).encode()

    @staticmethod
    def token(organization_id: str, algorithm: str = "RS256", key_id: str = "k1", **changed: Any) -> str:
        """A token signed with the key of this id, and naming it; `kid` names another one, None none."""
        headers = {"kid": changed.pop("kid", key_id)}
        content = claims(organization_id, **changed)
        key = private_key(algorithm, key_id)
        return jwt.encode(content, key, algorithm, headers={name: kid for name, kid in headers.items() if kid})


@contextmanager
def serve() -> Iterator[Provider]:
    """Run a provider on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            provider.asked += 1
            self.send_response(provider.status)
            if provider.status == 302:
                self.send_header("Location", provider.url)
            self.end_headers()
            self.wfile.write(provider.document())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider = Provider(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join()
