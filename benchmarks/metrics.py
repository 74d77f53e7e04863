"""What a scrape of the operator's own metrics costs, with as many apps as it may have.

python -m benchmarks.metrics
"""

import sys
import time
from datetime import UTC, datetime

from prometheus_client import disable_created_metrics, generate_latest

from scalableapp.adapters.telemetry import Telemetry
from scalableapp.adapters.telemetry_apps import AppView
from scalableapp.core.explain import Reason
from scalableapp.core.model import AppKey, Decision, MetricReport
from scalableapp.core.status.conditions import Abnormal

_ROUNDS = 5
# As manifests/components/monitoring has it.
_SCRAPE_INTERVAL_SECONDS = 15.0


def main() -> int:
    """Measure and print."""
    disable_created_metrics()  # type: ignore[no-untyped-call] # as the operator does; unannotated upstream
    print(f"{'apps':>6}{'series':>9}{'page MB':>9}{'CPU s a scrape':>16}{'of a core, every 15 s':>23}")
    for apps in (1, 1_000, 5_000):
        _measure(apps)
    return 0


def _measure(apps: int) -> None:
    telemetry = Telemetry()
    telemetry.ticked(0.1, 0, [_view(number) for number in range(apps)])
    started = time.process_time()
    for _ in range(_ROUNDS):
        page = generate_latest(telemetry.registry)
    seconds = (time.process_time() - started) / _ROUNDS
    series = sum(1 for line in page.splitlines() if not line.startswith(b"#"))
    share = f"{100 * seconds / _SCRAPE_INTERVAL_SECONDS:.1f} %"
    print(f"{apps:>6}{series:>9}{len(page) / 1e6:>9.2f}{seconds:>16.3f}{share:>23}")


def _view(number: int) -> AppView:
    """An app on two metrics; each tenth rests on a bound."""
    reports = (MetricReport("RequestsPerSecond", "41.7", "50", 3), MetricReport("CPU", "187m", "300m", 2))
    decision = Decision(datetime.now(UTC), 3, 3, Reason.DESIRED_WITHIN_RANGE, "", (), reports)
    limited = (Abnormal("ScalingLimited", "True", Reason.TOO_FEW_REPLICAS),) if number % 10 == 0 else ()
    return AppView(AppKey(f"team-{number % 50}", f"app-{number}"), decision, (3, 3), (1, 10), None, limited)


if __name__ == "__main__":
    sys.exit(main())
