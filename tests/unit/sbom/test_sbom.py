import json
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tools.sbom import __main__ as command
from tools.sbom import found
from tools.sbom.bill import bill
from tools.sbom.found import Package

WHEEL = "9243213661e29250eb41368e5daa826fc017156c3b8a11440826b2e3ed376472"
REPORT = json.dumps(
    {
        "install": [
            {
                "metadata": {"name": "Flask_Caching", "version": "2.5.1"},
                "download_info": {"url": "https://index.example/x.whl", "archive_info": {"hashes": {"sha256": WHEEL}}},
            }
        ]
    }
)
METADATA = "Metadata-Version: 2.4\nName: Flask-Caching\nVersion: 2.5.1\n{}\n\nA long description.\nLicense: not this\n"
STATUS = """\
Package: zlib1g
Status: install ok installed
Architecture: amd64
Version: 1:1.3.dfsg-3.1

Package: bash
Status: deinstall ok config-files
Architecture: amd64
Version: 5.2.37-2
"""
COPYRIGHT = "Files: *\nCopyright: somebody\nLicense: Zlib\n Text of it.\n\nFiles: debian/*\nLicense: GPL-2+\n"
LABELS = {
    "org.opencontainers.image.created": "2026-11-25T15:54:46+00:00",
    "org.opencontainers.image.revision": "7d819450feccfff7d60f4cd80427ef1ee9adc531",
    "org.opencontainers.image.licenses": "Apache-2.0",
}
FLASK_CACHING = Package("pypi", "flask-caching", "2.5.1", ("BSD-3-Clause",), WHEEL)


def written(*packages: Package) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(bill("app:1.2", LABELS, packages))
    return content


@pytest.mark.parametrize(
    ("fields", "licences"),
    [
        pytest.param("License-Expression: MIT OR Apache-2.0", ("MIT OR Apache-2.0",), id="an SPDX expression"),
        pytest.param(
            "License: BSD\nClassifier: License :: OSI Approved :: BSD License",
            ("BSD License",),
            id="a classifier before free text",
        ),
        pytest.param("License: BSD", ("BSD",), id="free text that is a name"),
        pytest.param(f"License: {'words ' * 20}", (), id="the text of a licence is no name"),
        pytest.param("Summary: nothing", (), id="none"),
    ],
)
def test_a_python_package_shows_its_licence(fields: str, licences: tuple[str, ...]) -> None:
    package = found.python_package(METADATA.format(fields), {"flask-caching": WHEEL})
    assert (package.name, package.version, package.licences) == ("flask-caching", "2.5.1", licences)


def test_the_hash_is_that_of_the_wheel_that_pip_installed() -> None:
    hashes = found.wheel_hashes([REPORT])
    assert found.python_package(METADATA.format("License: BSD"), hashes).sha256 == WHEEL


def test_of_debians_packages_those_that_are_installed_count() -> None:
    (package,) = found.debian_packages(STATUS, {"zlib1g": COPYRIGHT}, "debian-13")
    assert (package.name, package.version) == ("zlib1g", "1:1.3.dfsg-3.1")
    assert package.licences == ("GPL-2+", "Zlib")
    assert package.qualifiers == {"arch": "amd64", "distro": "debian-13"}


def test_the_python_of_upstreams_image_is_reported_though_no_package_brought_it() -> None:
    assert found.interpreter('#define PY_VERSION              "3.13.9"\n').version == "3.13.9"


def test_an_image_is_all_its_packages_in_one_order() -> None:
    records = command.Records(
        {
            "usr/lib/os-release": 'ID=debian\nVERSION_ID="13"\n',
            "var/lib/dpkg/status": STATUS,
            "usr/share/doc/zlib1g/copyright": COPYRIGHT,
            "venv/lib/python3.13/site-packages/flask_caching-2.5.1.dist-info/METADATA": METADATA.format("License: BSD"),
            "usr/local/include/python3.13/patchlevel.h": '#define PY_VERSION "3.13.9"',
        }
    )
    packages = command.of_image(records, {"flask-caching": WHEEL})
    assert [(package.kind, package.name) for package in packages] == [
        ("deb", "zlib1g"),
        ("generic", "python"),
        ("pypi", "flask-caching"),
    ]
    assert packages[0].licences == ("GPL-2+", "Zlib")


def test_a_bill_keeps_cyclonedxs_schema_and_says_what_the_image_is() -> None:
    zlib = Package("deb", "zlib1g", "1:1.3", ("GPL-2+", "Zlib"), qualifiers={"arch": "amd64", "distro": "debian-13"})
    content = written(FLASK_CACHING, zlib)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(content)) is None
    assert content["metadata"]["component"]["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    assert content["metadata"]["timestamp"].startswith("2026-11-25T15:54:46")
    components = {component["name"]: component for component in content["components"]}
    assert components["flask-caching"]["purl"] == "pkg:pypi/flask-caching@2.5.1"
    assert components["flask-caching"]["hashes"] == [{"alg": "SHA-256", "content": WHEEL}]
    assert components["zlib1g"]["purl"] == "pkg:deb/debian/zlib1g@1:1.3?arch=amd64&distro=debian-13"
    assert [licence["license"] for licence in components["zlib1g"]["licenses"]] == [{"id": "Zlib"}, {"name": "GPL-2+"}]


def test_an_expression_beside_another_licence_becomes_a_name() -> None:
    (component,) = written(Package("pypi", "a", "1", ("MIT OR Apache-2.0", "ISC")))["components"]
    assert {"license": {"name": "MIT OR Apache-2.0"}} in component["licenses"]


def test_the_same_image_has_the_same_bill() -> None:
    assert written(FLASK_CACHING) == written(FLASK_CACHING)


def test_what_breaks_the_schema_is_no_bill() -> None:
    with pytest.raises(ValueError, match="breaks CycloneDX's schema"):
        written(Package("pypi", "a", "1", sha256="no hash"))
