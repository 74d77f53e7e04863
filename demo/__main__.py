"""Command line: `python -m demo` shows an app that scales under real load, and leaves a report."""

import argparse
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from cluster.console import ClusterError, say
from cluster.settings import CONTEXT
from demo import prepare
from demo.chart import picture
from demo.errors import DemoError
from demo.kube import api_client
from demo.live import showing
from demo.recording import Recording, to_json
from demo.report import headline, page, summary
from demo.run import App, run
from demo.scenarios import SCENARIOS, Scenario, sizes_of, sizes_text
from demo.verdict import Verdict, judge

FAILED, STOPPED, INTERRUPTED = 1, 2, 130


def parser() -> argparse.ArgumentParser:
    """The options."""
    options = argparse.ArgumentParser(
        prog="python -m demo",
        description="Create the local cluster, deploy the operator and a sample app, send load that rises fivefold "
        "and falls again, show how replicas or sizes follow, and write a report.",
        epilog="Exit code: 0 when the app followed the load up and down and no request failed, 1 when not, "
        "2 when the demo could not be run, 130 after Ctrl-C.",
    )
    options.add_argument(
        "--mode",
        choices=SCENARIOS,
        default="horizontal",
        help="what is scaled: replicas, the size of one pod, or both in one decision (default: horizontal)",
    )
    options.add_argument(
        "--report-dir",
        type=Path,
        default=prepare.REPOSITORY / "demo-report",
        metavar="DIR",
        help="where report.html, chart.png and run.json go (default: demo-report)",
    )
    return options


def main(arguments: list[str] | None = None) -> int:
    """Run the demonstration; returns the exit code."""
    options = parser().parse_args(arguments)
    console = Console()
    # A plain `kill` cleans up as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return demonstrate(console, SCENARIOS[options.mode], options.report_dir)
    except (DemoError, ClusterError) as error:
        Console(stderr=True).print(f"demo: {error}", markup=False, highlight=False, soft_wrap=True)
        return STOPPED
    except KeyboardInterrupt:
        say("stopped", "load stopped; the cluster and the app stay. Remove them with: make cluster-down")
        return INTERRUPTED


def demonstrate(console: Console, scenario: Scenario, report_dir: Path) -> int:
    """The steps, one after the other; returns the exit code."""
    report_dir.mkdir(parents=True, exist_ok=True)
    plan = scenario.plan
    prepare.cluster_up()
    prepare.operator_up()
    app = prepare.app_up(scenario.sample)
    say("load", f"calm {plan.calm.rate:.0f}, up to {plan.hold.rate:.0f} requests/s and back, at most {plan.seconds} s")
    name = f"{app.namespace}/{app.name}"
    with showing(console, plan, name) as show:
        recording = run(app, plan, api_client(CONTEXT), show, scenario.settled)
    verdict = judge(recording, plan, scenario.problems)
    write_report(report_dir, recording, scenario, verdict, name)
    for line in conclusion(verdict, scenario, app, report_dir):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    if recording.sizes[1:]:
        console.print(sizes_text(sizes_of(recording, plan)), markup=False, highlight=False, soft_wrap=True)
    return 0 if verdict.passed else FAILED


def write_report(folder: Path, recording: Recording, scenario: Scenario, verdict: Verdict, name: str) -> None:
    """Write report.html, chart.png and run.json."""
    say("report", f"writing {folder / 'report.html'}")
    (folder / "run.json").write_text(json.dumps(to_json(recording)))
    (folder / "chart.png").write_bytes(picture(recording, scenario.plan, headline(verdict, name), "png"))
    (folder / "report.html").write_text(page(recording, scenario.plan, verdict, name, scenario.shown))


def conclusion(verdict: Verdict, scenario: Scenario, app: App, folder: Path) -> Iterator[str]:
    """What the terminal says last: the verdict, where to look, how to clean up."""
    kubectl = f"kubectl --context {CONTEXT}"
    if verdict.passed:
        yield f"PASSED: {scenario.shown}, and no request failed."
    for problem in verdict.problems:
        yield f"FAILED: {problem}"
    for reason, count in verdict.failures.most_common(5):
        yield f"        {count} x {reason}"
    yield summary(verdict)
    yield f"""
The cluster stays up. Look around:
  the report            {folder / "report.html"}
  the app               {app.url}
  its replicas          {kubectl} -n {app.namespace} get sapp -w
  why that number       {kubectl} -n {app.namespace} describe sapp {app.name}
  the operator's log    {kubectl} -n scalableapp-system logs deployment/scalableapp-operator
Remove it all:          make cluster-down"""


if __name__ == "__main__":
    sys.exit(main())
