"""The container's own view of its limits and use, as metrics: what the autoscaler gave, and what was used of it."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from sample_app.cgroup import Cgroup


class CgroupCollector(Collector):
    """Read at every scrape; what the kernel does not tell is left out, never a zero."""

    def __init__(self, cgroup: Cgroup) -> None:
        self._cgroup = cgroup

    def collect(self) -> Iterator[Metric]:
        """Limits and use of the whole container, whichever worker is asked."""
        used = self._cgroup.usage()
        yield from _known(
            GaugeMetricFamily,
            ("cgroup_cpu_limit_cores", "CPU limit of the container.", self._cgroup.cpu_limit()),
            ("cgroup_memory_limit_bytes", "Memory limit of the container.", self._cgroup.memory_limit()),
            ("cgroup_memory_usage_bytes", "Memory used, page cache included.", used.memory),
            ("cgroup_memory_working_set_bytes", "Memory that cannot be reclaimed at will.", used.working_set),
        )
        yield from _known(
            CounterMetricFamily,
            ("cgroup_cpu_usage_seconds", "CPU time used.", used.cpu_seconds),
            ("cgroup_cpu_periods", "Scheduler periods of 0.1 s with something to run.", used.periods),
            ("cgroup_cpu_throttled_periods", "Those in which the CPU limit stopped us.", used.throttled_periods),
            ("cgroup_cpu_throttled_seconds", "Time for which the CPU limit stopped us.", used.throttled_seconds),
            ("cgroup_memory_oom_kills", "Processes killed because the memory limit was reached.", used.oom_kills),
        )


def _known(
    kind: type[GaugeMetricFamily | CounterMetricFamily], *values: tuple[str, str, float | None]
) -> Iterator[Metric]:
    return (kind(name, text, value=value) for name, text, value in values if value is not None)
