"""Write crds/scalableapps.scalableapp.io.yaml from the models; with --check, fail when it is not current."""

import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "crds" / "scalableapps.scalableapp.io.yaml"
HEADER = "# Generated from operator/scalableapp/core/api/spec.py and crd.py by `make crds`. Edit those instead.\n"


class _Plain(yaml.SafeDumper):
    """Writes a list that stands in two places twice: an alias is hard to read."""

    def ignore_aliases(self, _data: object) -> bool:
        return True


def rendered() -> str:
    """The file's whole content."""
    sys.path.insert(0, str(ROOT / "operator"))
    from scalableapp.core.api.crd import crd  # noqa: PLC0415 - runs without the package being installed

    return HEADER + yaml.dump(crd(), Dumper=_Plain, sort_keys=False, width=110)


def main() -> int:
    """Write or check the file. Returns the exit code."""
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(rendered())
        print(f"wrote {TARGET.relative_to(ROOT)}")
        return 0
    if TARGET.exists() and TARGET.read_text() == rendered():
        return 0
    print(
        f"{TARGET.relative_to(ROOT)} is not what the models in core/api/spec.py say; run `make crds`", file=sys.stderr
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
