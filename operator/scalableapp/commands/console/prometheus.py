"""Prometheus for who sits at a terminal: by its URL, or through the Kubernetes API to where the operator has its own.

The API server passes requests on to a Service (its `proxy` subresource). A forwarder on loopback makes an ordinary
URL of that for as long as a command lasts, so that everything that asks Prometheus works as in the cluster.
"""

import re
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import web

from scalableapp.adapters.kube_api import Denied, KubeApi, Request
from scalableapp.adapters.prometheus_file import Source, source_of
from scalableapp.adapters.prometheus_http import BUILD_INFO
from scalableapp.commands.console.cluster import TRIES
from scalableapp.core.address import address
from scalableapp.errors import ClusterError, MetricsUnavailable, NotFound, WrongAddress

OPERATOR = "/apis/apps/v1/namespaces/scalableapp-system/deployments/scalableapp-operator"
_SETTING, _FILE_SETTING = "SCALABLEAPP_PROMETHEUS_URL", "SCALABLEAPP_PROMETHEUS_CONFIG"
_IN_CLUSTER = re.compile(r"^https?://([a-z0-9-]+)\.([a-z0-9-]+)(?:\.svc[a-z0-9.-]*)?(?::(\d+))?(/.*)?$")
_HTTPS_PORT, _HTTP_PORT = "443", "80"
_ENDPOINTS = ("query", "query_range", BUILD_INFO)


class Service(NamedTuple):
    """Prometheus' Service. `prefix` is the path under which it answers, "" for the root; `parameters` go with queries.

    A `scheme` other than http is told to the API server, which connects to it.
    """

    namespace: str = "scalableapp-system"
    name: str = "prometheus"
    port: str = "9090"
    prefix: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    scheme: str = "http"

    @property
    def path(self) -> str:
        """Its proxy in the Kubernetes API."""
        scheme = "https:" if self.scheme == "https" else ""
        return f"/api/v1/namespaces/{self.namespace}/services/{scheme}{self.name}:{self.port}/proxy{self.prefix}"

    def query(self, form: Mapping[str, str]) -> dict[str, str]:
        """The parameters of a request."""
        return dict(self.parameters) | dict(form)


@asynccontextmanager
async def prometheus_at(
    api: KubeApi, stated: str | Path | None, operator: str = OPERATOR
) -> AsyncIterator[str | Source]:
    """What serves while the block lasts: what is stated, or a URL to the operator's Prometheus.

    Raises MetricsUnavailable that says what to do where there is no way to it, WrongConnection for a wrong file.
    """
    if isinstance(stated, Path):
        yield source_of(stated)
        return
    if stated:
        try:
            address(stated)
        except WrongAddress as error:
            raise MetricsUnavailable(f"the URL of --prometheus {error}") from None
        yield stated
        return
    where = await _operators_own(api, operator)
    if isinstance(where, str):
        yield where
        return
    await _reach(api, where)
    async with _forwarder(api, where) as url:
        yield url


async def _operators_own(api: KubeApi, operator: str = OPERATOR) -> Service | str:
    """What the operator asks: a Service of the cluster, or a URL elsewhere; where that is not told, the usual one."""
    try:
        pod = (await api.ask(Request("GET", operator), tries=TRIES))["spec"]["template"]["spec"]
        variables = pod["containers"][0].get("env") or ()
    except (ClusterError, KeyError, IndexError):
        return Service()
    values = {each.get("name"): str(each.get("value", "")) for each in variables}
    if values.get(_FILE_SETTING):
        raise MetricsUnavailable(
            f"the operator connects to Prometheus as {values[_FILE_SETTING]} in its pod states; pass such a file with "
            "--prometheus-config, or a URL with --prometheus"
        )
    url = values.get(_SETTING, "")
    if not url:
        return Service()
    try:
        found = address(url)
    except WrongAddress as error:
        raise MetricsUnavailable(f"the operator's {_SETTING} {error}; or pass a URL with --prometheus") from None
    match = _IN_CLUSTER.match(found.url)
    if match is None:
        return url
    name, namespace, port, prefix = match.groups()
    scheme = found.url.partition(":")[0]
    usual = _HTTPS_PORT if scheme == "https" else _HTTP_PORT
    return Service(namespace, name, port or usual, prefix or "", found.parameters, scheme)


async def _reach(api: KubeApi, service: Service) -> None:
    """Raises MetricsUnavailable when the Service does not answer as Prometheus does."""
    fix = (
        f"forward a port with kubectl port-forward -n {service.namespace} service/{service.name} 9090:{service.port} "
        "and pass --prometheus http://localhost:9090"
    )
    try:
        form = service.query({"query": "vector(1)"})
        answer = await api.ask(Request("GET", f"{service.path}/api/v1/query", form), tries=TRIES)
    except Denied as error:
        raise MetricsUnavailable(
            f"{error.answer}; this needs the permission to get services/proxy there; otherwise {fix}"
        ) from error
    except NotFound as error:
        raise MetricsUnavailable(
            f"There is no Service {service.name} in namespace {service.namespace}; pass Prometheus' URL as --prometheus"
        ) from error
    except ClusterError as error:
        raise MetricsUnavailable(f"{error}; check whether Prometheus runs, or {fix}") from error
    if answer.get("status") != "success":
        raise MetricsUnavailable(
            f"Service {service.namespace}/{service.name} is not a Prometheus; pass Prometheus' URL as --prometheus"
        )


@asynccontextmanager
async def _forwarder(api: KubeApi, service: Service) -> AsyncIterator[str]:
    """Prometheus' queries on loopback, under a path that nobody else on this machine can guess."""

    async def forward(request: web.Request) -> web.Response:
        endpoint = request.match_info["endpoint"]
        if endpoint not in _ENDPOINTS:
            raise web.HTTPNotFound
        form: Mapping[str, Any] = await request.post() if request.method == "POST" else request.query
        query = service.query({name: str(value) for name, value in form.items()})
        try:
            answer = await api.ask(Request("GET", f"{service.path}/api/v1/{endpoint}", query), tries=TRIES)
        except ClusterError as error:
            content = {"status": "error", "errorType": "kubernetes", "error": str(error)}
            return web.json_response(content, status=502)
        return web.json_response(answer)

    secret = secrets.token_urlsafe(24)
    application = web.Application(client_max_size=2**20)
    application.router.add_route("*", f"/{secret}/api/v1/{{endpoint:.+}}", forward)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}/{secret}"
    finally:
        await runner.cleanup()
