"""Names of metrics: those in an expression, and those that somebody shows."""

import re
from typing import Any

import yaml
from promql_parser import parse

from tools import metrics_reference, monitoring

RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(monitoring.RULES.read_text())["groups"] for rule in group["rules"]
]
# Of apps, as the sample app has them; of cAdvisor; of every Python program; and what Prometheus makes of alerts.
FOREIGN = {"http_requests_total", "http_request_duration_seconds_bucket", "process_start_time_seconds", "ALERTS"}
FOREIGN |= {"container_cpu_usage_seconds_total", "container_memory_working_set_bytes"}
FOREIGN |= {"process_cpu_seconds_total", "process_resident_memory_bytes"}


def metrics_of(expression: str) -> set[str]:
    """Names of metrics in an expression; raises for what is no PromQL."""
    parse(expression)
    plain = re.sub(r'"[^"]*"|\b(?:by|on)\s*\([^)]*\)|\[[^\]]*\]|\{[^}]*\}', " ", expression)
    words = re.findall(r"\b[A-Za-z][A-Za-z0-9_:]{5,}\b(?!\s*\()", plain)
    return {word for word in words if "_" in word or ":" in word or word.isupper()}


def known() -> set[str]:
    """What the operator shows, with what a histogram is made of, what is recorded, and what others show."""
    parts = ("_bucket", "_sum", "_count")
    names = {metrics_reference.shown_name(family): family.type for family in metrics_reference.families()}
    of_histograms = {name + part for name, kind in names.items() if kind == "histogram" for part in parts}
    return set(names) | of_histograms | {rule["record"] for rule in RULES if "record" in rule} | FOREIGN
