"""The rules: what fires, what does not, and that each alert leads somewhere."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.prometheus_servers import promtool
from tests.unit.monitoring.alert_cases import CASES, Case
from tests.unit.monitoring.names import RULES, known, metrics_of
from tools import monitoring

ROOT = Path.cwd()
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RUNBOOKS = ROOT / "docs" / "runbooks"


def test_the_files_made_of_the_rules_are_current() -> None:
    assert [path for path, text in monitoring.rendered().items() if path.read_text() != text] == []


@pytest.mark.process
def test_prometheus_takes_the_rules() -> None:
    assert f"{len(RULES)} rules found" in promtool("check", "rules", str(monitoring.RULES))


@pytest.mark.process
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.alert}-{case.situation}")
def test_an_alert_fires_when_it_should_and_only_then(case: Case, tmp_path: Path) -> None:
    count = f'count(ALERTS{{alertname="{case.alert}",alertstate="firing"}}) or vector(0)'
    expected = {"expr": count, "eval_time": f"{case.minutes}m", "exp_samples": [{"value": int(case.fires)}]}
    series = [{"series": name, "values": values} for name, values in case.series.items()]
    situation = {"interval": "1m", "input_series": series, "promql_expr_test": [expected]}
    file = tmp_path / "case.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(monitoring.RULES)], "tests": [situation]}))
    promtool("test", "rules", str(file))


@pytest.mark.parametrize("fires", [True, False], ids=["fires", "does not fire"])
def test_every_alert_has_a_case_in_which_it(fires: bool) -> None:
    assert {case.alert for case in CASES if case.fires is fires} == set(ALERTS)


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert {path.stem for path in RUNBOOKS.iterdir()} == set(ALERTS)


@pytest.mark.parametrize(("name", "alert"), ALERTS.items(), ids=ALERTS)
def test_an_alert_says_how_bad_it_is_what_happened_and_where_to_read_on(name: str, alert: Mapping[str, Any]) -> None:
    assert re.fullmatch(r"ScalableApp([A-Z][a-z]+)+", name)
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert (ROOT / alert["annotations"]["runbook_url"]).stem == name


@pytest.mark.parametrize("page", sorted(RUNBOOKS.iterdir()), ids=lambda page: page.stem)
def test_a_runbook_says_what_it_means_what_it_does_where_to_look_and_what_to_do(page: Path) -> None:
    text = page.read_text()
    assert re.findall(r"^#+ (.+)$", text, re.MULTILINE) == [page.stem, "Meaning", "Impact", "Diagnosis", "Mitigation"]
    assert "$ kubectl " in text
    links = re.findall(r"\]\(([^)#]+)\)", text)
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_is_made_of_metrics_that_exist(rule: Mapping[str, Any]) -> None:
    found = metrics_of(rule["expr"])
    assert found
    assert found <= known()
