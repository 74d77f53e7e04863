"""/readyz, at the port of the operator's metrics: 503 and the reason while the operator does not know all apps."""

from collections.abc import Callable, Iterable
from typing import Any

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def with_readiness(metrics: Application, why_not: Callable[[], str]) -> Application:
    """The WSGI application with /readyz in front; `why_not` is "" while the operator is ready."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != "/readyz":
            return metrics(environ, start_response)
        why = why_not()
        status = "503 Service Unavailable" if why else "200 OK"
        start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [(why or "ready").encode()]

    return answer
