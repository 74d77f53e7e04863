"""Write the CRDs in crds/ from the models; with --check, fail when one is not current."""

import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "crds" / "scalableapps.scalableapp.io.yaml"
SOURCES = ROOT / "crds" / "requestsources.scalableapp.io.yaml"
HEADER = "# Generated from operator/scalableapp/core/api/{} and crd.py by `make crds`. Edit those instead.\n"


class _Plain(yaml.SafeDumper):
    """Writes a list that stands in two places twice: an alias is hard to read."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def rendered() -> dict[Path, str]:
    """The whole content of each file."""
    sys.path.insert(0, str(ROOT / "operator"))
    from scalableapp.core.api.crd import crd, source_crd  # noqa: PLC0415 - runs without the package being installed

    return {
        TARGET: HEADER.format("spec.py") + _yaml(crd()),
        SOURCES: HEADER.format("request_source.py") + _yaml(source_crd()),
    }


def _yaml(manifest: dict[str, object]) -> str:
    return yaml.dump(manifest, Dumper=_Plain, sort_keys=False, width=110)


def main() -> int:
    """Write or check the file. Returns the exit code."""
    files = rendered()
    if "--check" not in sys.argv[1:]:
        for path, text in files.items():
            path.write_text(text)
            print(f"wrote {path.relative_to(ROOT)}")
        return 0
    old = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    for path in old:
        print(f"{path.relative_to(ROOT)} is not what the models in core/api say; run `make crds`", file=sys.stderr)
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main())
