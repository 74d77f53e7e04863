"""Packages as a bill of materials: CycloneDX 1.6, checked against its schema. The same packages make the same text."""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense, License
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from tools.sbom.found import Package

_PREFIX = "org.opencontainers.image."
_NAMESPACES = {"deb": "debian"}


def bill(reference: str, labels: Mapping[str, str], packages: Iterable[Package]) -> str:
    """The bill of one image as JSON; `labels` are the image's own.

    Raises ValueError when it breaks CycloneDX's schema.
    """
    name, _, version = reference.rpartition(":")
    bom = Bom(components=(_component(package) for package in packages))
    bom.metadata.component = Component(
        name=name,
        version=version,
        type=ComponentType.CONTAINER,
        bom_ref=reference,
        description=labels.get(f"{_PREFIX}description"),
        licenses=[_licence(text) for text in [labels.get(f"{_PREFIX}licenses")] if text],
        properties=[Property(name=key, value=value) for key, value in labels.items()],
    )
    # Not the time and not by chance, else no two bills of one image would be the same.
    if created := labels.get(f"{_PREFIX}created"):
        bom.metadata.timestamp = datetime.fromisoformat(created)
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_URL, f"{reference} {labels.get(_PREFIX + 'revision')}")
    bom.register_dependency(bom.metadata.component, bom.components)
    text = JsonV1Dot6(bom).output_as_string(indent=2)
    if problem := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise ValueError(f"the bill of {reference} breaks CycloneDX's schema: {problem}")
    return text


def _component(package: Package) -> Component:
    url = PackageURL(
        type=package.kind,
        namespace=_NAMESPACES.get(package.kind),
        name=package.name,
        version=package.version,
        qualifiers=package.qualifiers,
    )
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        bom_ref=url.to_string(),
        purl=url,
        licenses=_licences(package.licences),
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=package.sha256)] if package.sha256 else [],
    )


def _licences(texts: tuple[str, ...]) -> list[License]:
    """An expression stands alone, by CycloneDX's rules; beside others it is no more than a name."""
    if len(texts) == 1:
        return [_licence(texts[0])]
    found = [_licence(text) for text in texts]
    return [
        licence if isinstance(licence, DisjunctiveLicense) else DisjunctiveLicense(name=text)
        for licence, text in zip(found, texts, strict=True)
    ]


def _licence(text: str) -> License:
    return LicenseFactory().make_from_string(text)
