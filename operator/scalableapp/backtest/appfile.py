"""The ScalableApp in a YAML file."""

from pathlib import Path
from typing import NamedTuple

import yaml

from scalableapp.backtest.errors import OptionError
from scalableapp.core.api.spec import ScalableAppSpec, parse_spec
from scalableapp.core.children.resources import KIND
from scalableapp.core.targets import computable


class App(NamedTuple):
    """An app as written down."""

    namespace: str
    name: str
    spec: ScalableAppSpec


def read_app(path: Path) -> App:
    """The first ScalableApp in the file.

    Raises OptionError when there is none, SpecError (with the field and the fix) when its spec is wrong.
    """
    try:
        documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise OptionError(f"{path}: cannot be read as YAML ({error})") from error
    for document in documents:
        if isinstance(document, dict) and document.get("kind") == KIND:
            metadata = document.get("metadata") or {}
            spec = computable(parse_spec(document.get("spec") or {}))
            return App(metadata.get("namespace", "default"), metadata.get("name", path.stem), spec)
    raise OptionError(f"{path}: contains no object of kind {KIND}; pass the file that you would apply with kubectl")
