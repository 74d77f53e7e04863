"""What an image is made of, read from its own records: pip's, dpkg's and Python's. Text in, values out."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from email import message_from_string
from email.message import Message

# Longer ones are the text of a licence, not its name.
_LONGEST_NAME = 60
_CLASSIFIER = "License :: OSI Approved :: "


@dataclass(frozen=True)
class Package:
    """One package: its kind as in a package URL, name, version, licences as written, SHA-256 of what was installed."""

    kind: str
    name: str
    version: str
    licences: tuple[str, ...] = ()
    sha256: str = ""
    qualifiers: dict[str, str] = field(default_factory=dict, hash=False)


def python_package(metadata: str, hashes: dict[str, str]) -> Package:
    """Of the METADATA file of a distribution; `hashes`: normalised name -> SHA-256 of its wheel."""
    fields = message_from_string(metadata)
    name = fields["Name"]
    return Package("pypi", normalised(name), fields["Version"], _licences(fields), hashes.get(normalised(name), ""))


def _licences(fields: Message) -> tuple[str, ...]:
    """The SPDX expression where there is one, else the classifiers, which are more to the point than the free text."""
    if expression := fields.get("License-Expression"):
        return (expression,)
    classifiers = fields.get_all("Classifier", [])
    if named := [line.removeprefix(_CLASSIFIER) for line in classifiers if line.startswith(_CLASSIFIER)]:
        return tuple(named)
    text = fields.get("License", "").strip()
    return (text,) if 0 < len(text) <= _LONGEST_NAME and "\n" not in text else ()


def normalised(name: str) -> str:
    """A Python project's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wheel_hashes(reports: Iterable[str]) -> dict[str, str]:
    """Normalised name -> SHA-256, from pip's installation reports."""
    return {
        normalised(item["metadata"]["name"]): item["download_info"]["archive_info"]["hashes"]["sha256"]
        for report in reports
        for item in json.loads(report)["install"]
    }


def debian_packages(status: str, copyrights: dict[str, str], distribution: str) -> Iterator[Package]:
    """Of dpkg's status file; `copyrights`: package -> its copyright file; `distribution`: such as debian-13."""
    for stanza in status.strip().split("\n\n"):
        fields = message_from_string(stanza)
        if fields["Status"] == "install ok installed":
            qualifiers = {"arch": fields["Architecture"], "distro": distribution}
            name, licences = fields["Package"], _names_in(copyrights.get(fields["Package"], ""))
            yield Package("deb", name, fields["Version"], licences, qualifiers=qualifiers)


def _names_in(text: str) -> tuple[str, ...]:
    """The licences that a machine-readable copyright file (DEP 5) names; of any other, none."""
    found = re.findall(r"^License: *(\S.*)$", text, re.MULTILINE)
    return tuple(sorted({name.strip() for name in found if len(name) <= _LONGEST_NAME}))


def interpreter(patchlevel: str) -> Package:
    """The Python of upstream's base image, which is no Debian package, by its header patchlevel.h."""
    match = re.search(r'^#define PY_VERSION\s+"([^"]+)"', patchlevel, re.MULTILINE)
    return Package("generic", "python", match[1] if match else "unknown", ("PSF-2.0",))
