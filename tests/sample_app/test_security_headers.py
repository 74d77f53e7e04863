"""What browsers are told not to do. That the pages still work with it is seen in test_browser.py."""

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

import sample_app
from sample_app.app import create_app
from sample_app.serving import Serving
from sample_app.settings import Settings

TEMPLATES = sorted(Path(sample_app.__file__).parent.joinpath("templates").rglob("*.html"))


@pytest.mark.parametrize(
    "path",
    ["/", "/products", "/spread", "/cached", "/healthz", "/metrics", "/nowhere", "/work?ms=x", "/static/app.css"],
)
def test_every_answer_has_them(client: FlaskClient, path: str) -> None:
    for _ in range(2):  # from the cache, too
        with client.get(path) as answer:
            assert answer.headers.getlist("X-Content-Type-Options") == ["nosniff"]
            assert answer.headers.getlist("X-Frame-Options") == ["DENY"]
            assert answer.headers.getlist("Referrer-Policy") == ["same-origin"]
            (policy,) = answer.headers.getlist("Content-Security-Policy")
            assert {"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(policy.split("; "))
            assert "unsafe" not in policy


def test_the_refusal_of_a_stranger_has_them_too() -> None:
    client = create_app(Settings(serving=Serving(profile_token="a-token-of-this-test"))).test_client()
    answer = client.get("/debug/profile/")
    assert (answer.status_code, answer.headers["X-Frame-Options"]) == (401, "DENY")


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_no_page_has_anything_inline_that_the_policy_would_stop(template: Path) -> None:
    text = template.read_text()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?![^>]*\ssrc=)", text)
