"""A synchronous httpx transport into an ASGI application, without a socket."""

import asyncio

import httpx
from fastapi import FastAPI

ADDRESS = "203.0.113.7"
"""Where requests come from, as the application sees it."""


class InProcess(httpx.BaseTransport):
    """Runs each request on the event loop it is given, which the tests of a session share."""

    def __init__(self, app: FastAPI, runner: asyncio.Runner, address: str = ADDRESS) -> None:
        self._asgi = httpx.ASGITransport(app=app, client=(address, 50000))
        self._runner = runner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._runner.run(self._exchange(request))

    async def _exchange(self, request: httpx.Request) -> httpx.Response:
        response = await self._asgi.handle_async_request(request)
        return httpx.Response(response.status_code, headers=response.headers, content=await response.aread())
