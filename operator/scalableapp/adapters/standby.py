"""The liveness of an operator that waits for the Lease: Kopf answers for it only once it runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def waiting(port: int) -> AsyncIterator[None]:
    """Answers /healthz at `port` (0: any) meanwhile, and leaves the port free.

    Raises OSError where the port cannot be had.
    """
    app = web.Application()
    app.router.add_get("/healthz", _healthz)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "0.0.0.0", port).start()  # noqa: S104 - the kubelet asks at the pod's address
        yield
    finally:
        await runner.cleanup()


async def _healthz(_request: web.Request) -> web.Response:
    return web.json_response({"lease": "waiting for another operator to release it"})
