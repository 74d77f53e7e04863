"""The file that states the connection to Prometheus: what is refused, by name, and whose connection is whose."""

from base64 import b64decode
from pathlib import Path

import pytest

from scalableapp.adapters.prometheus_config import CredentialProblem
from scalableapp.adapters.prometheus_file import ConnectionFile
from scalableapp.errors import WrongConnection

URL = "url: http://prometheus:9090\n"
REFUSED = {
    "no YAML": ("url: [", "prometheus.yaml is not YAML in line 1"),
    "nothing": ("", "has no connection; write url: http://HOST:PORT/PATH"),
    "no URL": ("method: POST", "url: missing"),
    "an unknown key": (f"{URL}scrape_interval: 15s", "scrape_interval: unknown; correct or remove it"),
    "an old word": (
        f"{URL}bearer_token_file: /t",
        "bearer_token_file: unknown; write authorization: {credentials_file",
    ),
    "what needs a proxy": (f"{URL}sigv4: {{}}", "sigv4: unknown; ask through aws-sigv4-proxy (docs/prometheus.md)"),
    "an unknown key within": (f"{URL}tls_config: {{ca: x}}", "tls_config.ca: unknown; write ca_file"),
    "a password in the URL": ("url: http://me:S3cret@x", "url: contains a user name or a password"),
    "a URL that is none": ("url: prometheus", "url: has no scheme"),
    "a file that is not there": (
        f"{URL}authorization: {{credentials_file: token}}",
        "token cannot be read (No such file or directory)",
    ),
    "a token of no kind": (f"{URL}authorization: S3cret", "authorization: Input should be"),
    "two tokens": (
        f"{URL}authorization: {{credentials: S3cret, credentials_file: prometheus.yaml}}",
        "authorization: needs one of credentials and credentials_file, and has credentials and credentials_file",
    ),
    "no token": (f"{URL}authorization: {{type: Bearer}}", "and has neither"),
    "basic as a type": (f"{URL}authorization: {{type: basic, credentials: S3cret}}", "use basic_auth"),
    "two ways to log in": (
        f"{URL}authorization: {{credentials: S3cret}}\nbasic_auth: {{username: a, password: S3cret}}",
        "has both authorization and basic_auth; remove one of them",
    ),
    "a certificate without key": (
        f"{URL}tls_config: {{cert_file: prometheus.yaml}}",
        "needs both cert_file and key_file",
    ),
    "a header without value": (f"{URL}http_headers: {{X-A: {{}}}}", "http_headers.X-A: has neither values"),
    "a header that is ours": (
        f"{URL}http_headers: {{authorization: {{values: [S3cret]}}}}",
        "http_headers: sets authorization; use authorization or basic_auth",
    ),
    "a header name": (f"{URL}http_headers: {{'X A': {{values: [b]}}}}", "http_headers.X A"),
    "a parameter that is ours": (f"{URL}params: {{query: up}}", "params: sets query"),
    "another method": (f"{URL}method: PUT", "method: Input should be 'POST' or 'GET'"),
    "matchers that are none": (f"{URL}matchers: prod", "matchers: is not a list of matchers"),
    "matchers that close the braces": (f'{URL}matchers: \'a="b"}} or c{{d="e"\'', "matchers: is not a list"),
    "matchers of ours": (f"{URL}matchers: 'namespace=\"a\"'", "matchers: matches namespace, which the operator does"),
    "a label": (f"{URL}replica_labels: ['a)']", "replica_labels[0]: String should match"),
    "a proxy with a password": (f"{URL}proxy_url: http://a:S3cret@p", "proxy_url: contains a user name or a password"),
    "a list": (f"- {URL}", "has no connection; write url:"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_a_wrong_file_is_refused_with_the_field_and_without_secrets(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "prometheus.yaml"
    path.write_text(text)
    with pytest.raises(WrongConnection) as caught:
        ConnectionFile(path)
    assert message in str(caught.value)
    chain: BaseException | None = caught.value
    while chain is not None:
        assert "S3cret" not in f"{chain} {chain!r}"
        chain = chain.__cause__ or chain.__context__


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongConnection, match=r"none\.yaml cannot be read \(No such file or directory\)"):
        ConnectionFile(tmp_path / "none.yaml")


UNSENDABLE = {
    "a token of two lines": "authorization: {credentials: 'S3cret\n\n  S3cret'}",
    "a token that is empty": "authorization: {credentials: ''}",
    "a header of two lines": "http_headers: {X-A: {secrets: ['S3cret\n\n  X-B: c']}}",
    "a header in another alphabet": "http_headers: {X-A: {values: ['S3cret\u2603']}}",
}


@pytest.mark.parametrize("text", UNSENDABLE.values(), ids=UNSENDABLE.keys())
def test_what_no_header_may_have_is_named_and_not_sent(tmp_path: Path, text: str) -> None:
    path = tmp_path / "prometheus.yaml"
    path.write_text(f"{URL}{text}")
    with pytest.raises(CredentialProblem, match=r"^(authorization\.credentials|http_headers\.X-A) ") as caught:
        ConnectionFile(path).now().credentials()
    assert "S3cret" not in str(caught.value)


def test_a_password_may_have_any_character(tmp_path: Path) -> None:
    path = tmp_path / "prometheus.yaml"
    path.write_text(f"{URL}basic_auth: {{username: me, password: ' \u2603 '}}")
    credentials = ConnectionFile(path).now().credentials()
    assert b64decode(credentials.headers["Authorization"].removeprefix("Basic ")).decode() == "me: \u2603 "


def test_secrets_are_in_no_repr(tmp_path: Path) -> None:
    path = tmp_path / "prometheus.yaml"
    path.write_text(f"{URL}basic_auth: {{username: a, password: S3cret}}\nhttp_headers: {{X-A: {{secrets: [S3cret]}}}}")
    connection = ConnectionFile(path).now()
    assert connection.credentials().headers["X-A"] == "S3cret"
    assert "S3cret" not in f"{connection!r} {connection} {connection.model_dump()} {connection.model_dump_json()}"
