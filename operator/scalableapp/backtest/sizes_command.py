"""`scalableapp backtest` for a trace of usage: the sizes of a pod, compared with VPA's."""

import argparse
import json
from typing import Any

from scalableapp.backtest.appfile import read_app
from scalableapp.backtest.sizes import SizeScore, policies, replay, start_of
from scalableapp.backtest.usagetrace import UsageTrace, read_usage


def run(options: argparse.Namespace) -> str:
    """The back-test as text, a table or JSON. Raises ScalableAppError for files that cannot be used."""
    spec, trace = read_app(options.spec).spec, read_usage(options.trace)
    scores = {
        name: replay(trace, policy, start_of(spec), options.startup_seconds) for name, policy in policies(spec).items()
    }
    return json.dumps(as_json(trace, scores), indent=2) if options.json else as_table(scores)


def as_json(trace: UsageTrace, scores: dict[str, SizeScore]) -> dict[str, Any]:
    """The back-test for machines."""
    return {
        "trace": trace.name,
        "duration_seconds": trace.seconds,
        "policies": {
            name: {
                "cpu_slack": round(score.cpu_slack, 4),
                "memory_slack": round(score.memory_slack, 4),
                "throttled_minutes": score.throttled_minutes,
                "oom_minutes": score.oom_minutes,
                "changes": score.changes,
                "cpu_core_hours": round(score.cpu_requested, 3),
                "memory_gib_hours": round(score.memory_requested, 3),
            }
            for name, score in scores.items()
        },
    }


def as_table(scores: dict[str, SizeScore]) -> str:
    """The back-test for people."""
    head = ("policy", "CPU slack", "memory slack", "throttled min", "OOM min", "changes", "core-hours", "GiB-hours")
    lines = ["{:<12} {:>9} {:>12} {:>13} {:>8} {:>8} {:>10} {:>10}".format(*head)]
    for name, score in scores.items():
        lines.append(
            f"{name:<12} {score.cpu_slack:>9.1%} {score.memory_slack:>12.1%} {score.throttled_minutes:>13} "
            f"{score.oom_minutes:>8} {score.changes:>8} {score.cpu_requested:>10.1f} {score.memory_requested:>10.1f}"
        )
    return "\n".join(lines)
