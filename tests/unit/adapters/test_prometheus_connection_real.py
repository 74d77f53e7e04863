"""A real Prometheus behind TLS of a private CA, credentials, a tenant, a path and redirects; and what is said then."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scalableapp.adapters.prometheus_answers import Answer
from scalableapp.adapters.prometheus_file import ConnectionFile
from scalableapp.adapters.prometheus_http import Queries
from scalableapp.core.model import DataProblem
from tests.prometheus_proxy import PREFIX, Authority, Proxy
from tests.prometheus_servers import Program, write_past

pytestmark = pytest.mark.process
SECRET = "tok-S3cret-1"  # noqa: S105 - of a server on loopback


@pytest.fixture(scope="module")
def upstream(prometheus: Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("prometheus")
    write_past(["# EOF"], folder)
    with prometheus.running(folder) as url:
        yield url


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.made(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> tuple[Path, Path]:
    return authority.signed("server", "IP:127.0.0.1")


@pytest.fixture
def proxy(upstream: str) -> Proxy:
    return Proxy(upstream)


State = Callable[..., Queries]


@pytest.fixture
def stated(tmp_path: Path) -> Iterator[State]:
    """Queries over the connection that is stated in a file."""
    made: list[Queries] = []

    def state(**fields: Any) -> Queries:
        path = tmp_path / "prometheus.yaml"
        path.write_text(yaml.safe_dump(fields))
        made.append(Queries(ConnectionFile(path).now, 10.0, 2))
        return made[-1]

    yield state
    for queries in made:
        queries.close()


def seven(answer: Answer) -> bool:
    assert answer.problem is None, answer.message
    return [sample.value for sample in answer.samples] == [7.0]


def test_tls_of_a_private_ca_with_token_tenant_path_and_parameters(
    proxy: Proxy, authority: Authority, certificate: tuple[Path, Path], stated: State, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(f"{SECRET}\n")
    proxy.authorization, proxy.tenant = f"Bearer {SECRET}", "team-a"
    with proxy.running(certificate) as url:
        queries = stated(
            url=url,
            authorization={"credentials_file": "token"},
            tls_config={"ca_file": str(authority.certificate)},
            http_headers={"X-Scope-OrgID": {"values": ["team-a"]}},
            params={"dedup": True, "max_source_resolution": ["5m", "1h"]},
        )
        assert seven(queries.ask("vector(7)"))
        assert queries.ask_range("vector(7)", 1000.0, 1060.0, 60.0).series
    assert proxy.asked[0].query_string == "dedup=true&max_source_resolution=5m&max_source_resolution=1h"


def test_a_client_certificate_and_the_name_in_the_server_s(proxy: Proxy, authority: Authority, stated: State) -> None:
    with proxy.running(authority.signed("named", "DNS:metrics.example"), authority) as url:
        tls = {"ca_file": str(authority.certificate), "server_name": "metrics.example"}
        without = stated(url=url, tls_config=tls).ask("vector(7)")
        assert without.problem is DataProblem.UNREACHABLE
        shown = dict(zip(("cert_file", "key_file"), map(str, authority.signed("client", "DNS:operator")), strict=True))
        assert seven(stated(url=url, tls_config=tls | shown).ask("vector(7)"))


def test_user_and_password_by_get(proxy: Proxy, stated: State, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("pass")
    proxy.authorization = "Basic dXNlcjpwYXNz"
    with proxy.running() as url:
        auth = {"username": "user", "password_file": "password"}
        assert seven(stated(url=f"{url}/?a=b", basic_auth=auth, method="GET").ask("vector(7)"))
    assert proxy.asked[0].method == "GET"
    assert proxy.asked[0].query_string.startswith("a=b&query=vector(7)&timeout=")


def test_a_token_is_read_again_when_it_has_been_replaced(proxy: Proxy, stated: State, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first")
    proxy.authorization = "Bearer first"
    with proxy.running() as url:
        queries = stated(url=url, authorization={"credentials_file": "token"})
        assert seven(queries.ask("vector(7)"))
        proxy.authorization = "Bearer second"
        assert queries.ask("vector(7)").problem is DataProblem.UNAUTHORIZED
        (tmp_path / "next").write_text("second")
        (tmp_path / "next").replace(token)
        assert seven(queries.ask("vector(7)"))
        token.unlink()
        gone = queries.ask("vector(7)")
        assert gone.problem is DataProblem.UNAUTHORIZED
        assert f"authorization.credentials_file {token} cannot be read (No such file or directory)" in gone.message


def test_a_ca_is_read_again_when_it_has_been_replaced(
    proxy: Proxy, authority: Authority, certificate: tuple[Path, Path], stated: State, tmp_path: Path
) -> None:
    later = Authority.made(tmp_path / "later")
    ca = tmp_path / "ca.crt"
    ca.write_bytes(authority.certificate.read_bytes())
    with proxy.running(certificate) as url:
        queries = stated(url=url, tls_config={"ca_file": "ca.crt"})
        assert seven(queries.ask("vector(7)"))
    with proxy.running(later.signed("server", "IP:127.0.0.1")):
        assert queries.ask("vector(7)").problem is DataProblem.UNREACHABLE
        ca.write_bytes(later.certificate.read_bytes())
        assert seven(queries.ask("vector(7)"))


def test_the_file_is_read_again_when_it_changes_and_a_wrong_one_is_not_taken(
    proxy: Proxy, upstream: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "prometheus.yaml"
    path.write_text(f"url: {upstream}")
    queries = Queries(ConnectionFile(path).now, 10.0, 2)
    assert seven(queries.ask("vector(7)"))
    with proxy.running() as url:
        path.write_text(f"url: {url}\nhttp_headers: {{X-Scope-OrgID: {{values: [a]}}}}")
        assert seven(queries.ask("vector(7)"))
        assert proxy.asked[0].headers["X-Scope-OrgID"] == "a"
        path.write_text(f"url: {url}\npassword: {SECRET}")
        assert seven(queries.ask("vector(7)"))
    queries.close()
    assert "password: unknown; correct or remove it; the connection stays as it was" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_from_http_to_https_is_followed_with_method_and_token(
    proxy: Proxy, authority: Authority, certificate: tuple[Path, Path], *, stated: State, status: int
) -> None:
    proxy.authorization = f"Bearer {SECRET}"
    with proxy.running(certificate) as safe:
        plain = Proxy(proxy.upstream, redirect=(status, f"{safe}/api/v1/query"))
        with plain.running() as url:
            queries = stated(
                url=url,
                authorization={"credentials": SECRET},
                tls_config={"ca_file": str(authority.certificate)},
            )
            assert seven(queries.ask("vector(7)"))
    assert [request.method for request in (*plain.asked, *proxy.asked)] == ["POST", "POST"]


def test_credentials_are_not_sent_to_another_server(proxy: Proxy, upstream: str, stated: State) -> None:
    with proxy.running() as other:
        first = Proxy(upstream, redirect=(307, f"{other}/api/v1/query"))
        with first.running() as url:
            answer = stated(url=url, authorization={"credentials": SECRET}).ask("vector(7)")
    assert answer.problem is DataProblem.REDIRECTED
    assert "another server, which is not sent the credentials" in answer.message
    assert not proxy.asked


def test_matchers_reach_every_selector_and_further_copies_are_told_apart(proxy: Proxy, stated: State) -> None:
    with proxy.running() as url:
        queries = stated(url=url, matchers='{cluster="prod-1"}', replica_labels=["store"])
        queries.ask('sum by (job, prometheus, prometheus_replica, replica, thanos_replica) (a{b="{"}) + max(c{})')
    copies = "job, prometheus, prometheus_replica, replica, thanos_replica, store"
    assert proxy.forms[0]["query"] == (f'sum by ({copies}) (a{{cluster="prod-1",b="{{"}}) + max(c{{cluster="prod-1"}})')


WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], DataProblem, str]] = {
    "no credentials": (
        {"authorization": "Bearer x"},
        {},
        DataProblem.UNAUTHORIZED,
        "state authorization, basic_auth or a tenant's http_headers in the file of SCALABLEAPP_PROMETHEUS_CONFIG",
    ),
    "wrong credentials": (
        {"authorization": "Bearer x"},
        {"authorization": {"credentials": SECRET}},
        DataProblem.UNAUTHORIZED,
        "'not Bearer ***' (HTTP 401), requesting Bearer Bearer ***; it was shown Bearer authorization.credentials",
    ),
    "no tenant": (
        {"tenant": "team-a"},
        {"basic_auth": {"username": "u", "password": SECRET}},
        DataProblem.UNAUTHORIZED,
        "'no org id' (HTTP 401); it was shown basic_auth",
    ),
    "a page to log in": (
        {"redirect": (302, "https://sso.example/login?next=/")},
        {},
        DataProblem.REDIRECTED,
        "https://sso.example/login, which is not its API, perhaps a login page",
    ),
    "a page instead of an answer": (
        {"answer": (200, f"<html>{SECRET}</html>")},
        {"http_headers": {"X-Key": {"secrets": [SECRET]}}},
        DataProblem.UNREACHABLE,
        "perhaps a login page",
    ),
    "its error repeats the key": (
        {"answer": (400, json.dumps({"status": "error", "errorType": "x", "error": f"key {SECRET}"}))},
        {"http_headers": {"X-Key": {"secrets": [SECRET]}}},
        DataProblem.QUERY_FAILED,
        "key ***",
    ),
}


@pytest.mark.parametrize(("asks", "fields", "problem", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_named_without_secrets(
    proxy: Proxy,
    stated: State,
    caplog: pytest.LogCaptureFixture,
    *,
    asks: dict[str, Any],
    fields: dict[str, Any],
    problem: DataProblem,
    message: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    for name, value in asks.items():
        setattr(proxy, name, value)
    with proxy.running() as url:
        queries = stated(url=url, **fields)
        answer = queries.ask("vector(7)")
    assert answer.problem is problem
    assert message in answer.message
    shown = f"{answer.message} {caplog.text} {queries._connection!r} {queries._connection.credential}"
    assert SECRET not in shown


TLS_FAULTS = {
    "no CA": ({}, "tls_config.ca_file"),
    "another name": ({"server_name": "other.example"}, "tls_config.server_name"),
}


@pytest.mark.parametrize(("tls", "fix"), TLS_FAULTS.values(), ids=TLS_FAULTS.keys())
def test_a_certificate_that_does_not_fit_is_told_with_the_field_that_mends_it(
    proxy: Proxy,
    authority: Authority,
    certificate: tuple[Path, Path],
    *,
    stated: State,
    tls: dict[str, str],
    fix: str,
) -> None:
    with proxy.running(certificate) as url:
        trusted = {"ca_file": str(authority.certificate)} if tls else {}
        answer = stated(url=url, tls_config=tls | trusted).ask("vector(7)")
        assert answer.problem is DataProblem.UNREACHABLE
        assert fix in answer.message
        assert seven(stated(url=url, tls_config={"insecure_skip_verify": True}).ask("vector(7)"))


def test_a_proxy_that_is_stated_is_used(proxy: Proxy, stated: State) -> None:
    with proxy.running() as url:
        assert seven(
            stated(url=f"http://elsewhere.invalid{PREFIX}", proxy_url=url.removesuffix(PREFIX)).ask("vector(7)")
        )
    assert proxy.asked[0].host == "elsewhere.invalid"
