"""The Prometheus of the kind overlay, the operator in its pod, and what one learns of the other."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.cluster.shop import SYSTEM, Shop, eventually, kubectl

pytestmark = pytest.mark.cluster

PROMETHEUS = f"/api/v1/namespaces/{SYSTEM}/services/prometheus:9090/proxy/api/v1"


def ask(query: str) -> list[dict[str, Any]]:
    """Series that Prometheus has now, at least one."""
    answer = json.loads(kubectl("get", "--raw", f"{PROMETHEUS}/query?query={quote(query)}"))
    result: list[dict[str, Any]] = answer["data"]["result"]
    assert result, f"Prometheus has no {query}"
    return result


def test_an_app_is_reported_under_its_own_namespace_and_forgotten_with_it(deployed: Shop) -> None:
    query = f'scalableapp_desired_replicas{{namespace="{deployed.namespace}",app="web"}}'
    (series,) = eventually(lambda: ask(query))
    assert series["metric"]["job"] == "scalableapp-operator"
    assert series["value"][1] == "0"
    (paused,) = eventually(lambda: ask(f'scalableapp_condition{{namespace="{deployed.namespace}",type="Paused"}}'))
    assert paused["metric"]["reason"] == "Pinned"
    deployed.kubectl("delete", "sapp", "web")

    def forgotten() -> None:
        answer = json.loads(kubectl("get", "--raw", f"{PROMETHEUS}/query?query={quote(query)}"))
        assert answer["data"]["result"] == []

    eventually(forgotten)


def commands() -> list[str]:
    """Of all runbooks, each once; without those that need metrics-server, or find something only in trouble."""
    commands = {
        line.removeprefix("$ ")
        for page in sorted(Path("docs/runbooks").iterdir())
        for line in page.read_text().splitlines()
        if line.startswith("$ kubectl")
    }
    return sorted(line for line in commands if not re.search(r"\| grep| top |--previous", line))


def test_the_commands_of_the_runbooks_work(deployed: Shop, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(kubectl("config", "view", "--minify", "--flatten"))
    config.chmod(0o600)
    lines = [re.sub(r"\bAPP\b", "web", line.replace("NAMESPACE", deployed.namespace)) for line in commands()]
    script = "".join(f"{line} >/dev/null || echo {shlex.quote(line)}\n" for line in lines)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "KUBECONFIG": str(config)}

    def run() -> None:
        done = subprocess.run(
            ["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert (done.returncode, done.stdout) == (0, ""), done.stderr

    eventually(run)  # a pod that is only starting has no log


def test_the_operators_page_has_every_metric_of_the_reference(operator: str) -> None:
    def read() -> str:
        acting = ask("scalableapp_lease_held == 1")[0]["metric"]["pod"]
        return kubectl("get", "--raw", f"/api/v1/namespaces/{SYSTEM}/pods/{acting}:8080/proxy/metrics")

    page = eventually(read)
    shown = set(re.findall(r"^# HELP (scalableapp_\w+) ", page, re.MULTILINE))
    documented = set(re.findall(r"^\| `(scalableapp_\w+)` \|", Path("docs/metrics.md").read_text(), re.MULTILINE))
    assert shown == documented


def test_prometheus_evaluates_every_rule_and_sees_one_operator_at_work(operator: str) -> None:
    groups = json.loads(kubectl("get", "--raw", f"{PROMETHEUS}/rules"))["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) > 20
    assert [rule for rule in rules if rule["health"] == "err"] == []
    eventually(lambda: ask("sum(scalableapp_lease_held) == 1"))
