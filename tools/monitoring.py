"""Write what manifests/components/monitoring generates; with --check, fail when it is not current.

The rules of the Prometheus Operator are those that a plain Prometheus loads, and the dashboards are made by
tools/dashboards.py.
"""

import re
import sys
from pathlib import Path
from typing import Any

import yaml

MARK = "<!-- alerts: written by `make monitoring` -->"
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools import dashboard, dashboards  # noqa: E402 - a script's own folder is on the path, the repository is not

RULES = ROOT / "manifests" / "components" / "prometheus" / "rules.yml"
GUIDE = ROOT / "docs" / "monitoring.md"
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


def guide() -> str:
    """The guide, with the table of alerts as the rules have it. Between the mark and the next text is the table."""
    alerts = [
        rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"] if "alert" in rule
    ]
    rows = "".join(map(_row, alerts))
    table = "| alert | severity | after | what happened |\n| --- | --- | --- | --- |\n"
    head, _, rest = GUIDE.read_text().partition(MARK)
    after = re.sub(r"\A(\s*\|.*\n)*\s*", "", rest)
    return f"{head}{MARK}\n\n{table}{rows}\n{after}"


def _row(alert: dict[str, Any]) -> str:
    name, summary = alert["alert"], alert["annotations"]["summary"]
    summary = summary.replace("{{ $labels.namespace }}/{{ $labels.app }}", "An app")
    summary = re.sub(r"(?<!^)An app", "an app", summary)
    severity, after = alert["labels"]["severity"], alert.get("for", "at once")
    return f"| [{name}](runbooks/{name}.md) | {severity} | {after} | {summary} |\n"


def rendered() -> dict[Path, str]:
    """Every generated file and what it holds."""
    pages = {f"{page.uid}.json": dashboard.rendered(page) for page in dashboards.DASHBOARDS}
    files = {COMPONENT / "dashboards" / name: text for name, text in pages.items()}
    return files | {GUIDE: guide(), COMPONENT / "prometheus-rule.yaml": prometheus_rule()}


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
        print(f"{path.relative_to(ROOT)} is out of date; run `make monitoring`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
