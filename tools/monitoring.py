"""Write what manifests/components/monitoring generates; with --check, fail when it is not current.

The rules of the Prometheus Operator are those that a plain Prometheus loads, and the dashboards are made by
tools/dashboards.py.
"""

import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools import dashboard, dashboards  # noqa: E402 - a script's own folder is on the path, the repository is not

RULES = ROOT / "manifests" / "components" / "prometheus" / "rules.yml"
COMPONENT = ROOT / "manifests" / "components" / "monitoring"


def prometheus_rule() -> str:
    """The rules as the Prometheus Operator takes them."""
    body = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {
            "name": "scalableapp",
            "namespace": "scalableapp-system",
            "labels": {"app.kubernetes.io/name": "scalableapp-operator"},
        },
        "spec": yaml.safe_load(RULES.read_text()),
    }
    header = "# Generated from ../prometheus/rules.yml by `make monitoring`. Edit that instead.\n"
    return header + yaml.safe_dump(body, sort_keys=False, width=110)


def rendered() -> dict[Path, str]:
    """Every generated file and what it holds."""
    pages = {f"{page.uid}.json": dashboard.rendered(page) for page in dashboards.DASHBOARDS}
    files = {COMPONENT / "dashboards" / name: text for name, text in pages.items()}
    return files | {COMPONENT / "prometheus-rule.yaml": prometheus_rule()}


def main() -> int:
    """Write or check the files. Returns the exit code."""
    stale = [path for path, text in rendered().items() if not path.exists() or path.read_text() != text]
    if "--check" not in sys.argv[1:]:
        for path, text in rendered().items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        print(f"wrote {len(stale)} of {len(rendered())} files that changed")
        return 0
    for path in stale:
        print(f"{path.relative_to(ROOT)} is not current; run `make monitoring`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
