import pytest

from cluster import bases

MAIN = "http://mirror.example/debian"
SECURITY = "http://mirror.example/debian-security"


@pytest.mark.parametrize(
    ("index_targets", "expected"),
    [
        pytest.param([f"{MAIN}/ bookworm Debian main"], {"main": MAIN}, id="only the main archive"),
        pytest.param(
            [f"{SECURITY}/ bookworm-security Debian main", f"{MAIN}/ bookworm Debian main"],
            {"main": MAIN, "security": SECURITY},
            id="both",
        ),
        pytest.param(
            ["http://other.example/ubuntu/ noble Ubuntu main"], {}, id="an Ubuntu machine has none for Debian"
        ),
        pytest.param(["http://vendor.example/apt/ stable Vendor", ""], {}, id="lines without all four fields"),
        pytest.param(
            [f"{MAIN}/ bookworm Debian contrib", "http://second.example/d/ bookworm Debian main"],
            {"main": "http://second.example/d"},
            id="only the main component counts",
        ),
    ],
)
def test_the_machines_own_mirrors_are_found(index_targets: list[str], expected: dict[str, str]) -> None:
    assert bases.mirrors_from(index_targets) == expected


def test_the_sources_name_security_updates_only_where_their_mirror_is_known() -> None:
    assert "trixie-security" not in bases.sources("trixie", {"main": MAIN})
    text = bases.sources("trixie", {"main": MAIN, "security": SECURITY})
    assert f"URIs: {MAIN}\nSuites: trixie trixie-updates\n" in text
    assert f"URIs: {SECURITY}\nSuites: trixie-security\n" in text


def test_certificates_are_distinguished_from_the_text_around_them() -> None:
    first, second = (f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----" for body in ("AAA", "BBB"))
    assert bases.certificates(f"# a comment\n{first}\n\n{second}\n") == [first, second]
