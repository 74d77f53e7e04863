"""Where the commands find Prometheus, by the address that the operator or the user states."""

from typing import Any

import pytest

from scalableapp.commands.console import prometheus
from scalableapp.errors import MetricsUnavailable


class Api:
    """A cluster whose operator asks the Prometheus at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def ask(self, _request: Any, **_: Any) -> Any:
        environment = [{"name": "SCALABLEAPP_PROMETHEUS_URL", "value": self.url}]
        return {"spec": {"template": {"spec": {"containers": [{"env": environment}]}}}}


FOUND = {
    "in the cluster": ("http://prom.mon.svc:9090/", ("mon/services/prom:9090/proxy", ())),
    "with a path": ("http://prom.mon.svc.cluster.local/x/", ("mon/services/prom:80/proxy/x", ())),
    "with parameters": ("http://prom.mon.svc:9090?dedup=true", ("mon/services/prom:9090/proxy", (("dedup", "true"),))),
    "encrypted": ("https://prom.mon.svc", ("mon/services/https:prom:443/proxy", ())),
}


@pytest.mark.parametrize(("url", "found"), FOUND.values(), ids=FOUND.keys())
async def test_a_service_of_the_cluster_is_asked_with_all_parts_of_its_address(url: str, found: Any) -> None:
    service = await prometheus._operators_own(Api(url))  # type: ignore[arg-type] # as much of it as is asked
    assert isinstance(service, prometheus.Service)
    assert (service.path.removeprefix("/api/v1/namespaces/"), service.parameters) == found


async def test_an_address_elsewhere_is_taken_as_it_is() -> None:
    url = "https://metrics.example.com/prom?dedup=true"
    assert await prometheus._operators_own(Api(url)) == url  # type: ignore[arg-type] # as above


@pytest.mark.parametrize("stated", ["http://admin:S3cret@x", None], ids=["by the user", "by the operator"])
async def test_an_address_with_a_password_is_refused_without_showing_it(stated: str | None) -> None:
    api: Any = Api("http://admin:S3cret@prom.mon.svc:9090")
    with pytest.raises(MetricsUnavailable, match="a user name or a password") as error:
        async with prometheus.prometheus_at(api, stated):
            pass
    assert "S3cret" not in str(error.value)
