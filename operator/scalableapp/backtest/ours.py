"""The operator's own policy: the decision core itself, shown the simulated app as the operator would observe it."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from scalableapp.backtest.deciders import decider_of
from scalableapp.backtest.errors import OptionError
from scalableapp.backtest.signals import Signals
from scalableapp.core.api.metrics import Metric, MetricType
from scalableapp.core.api.scaling import Mode
from scalableapp.core.api.spec import ScalableAppSpec
from scalableapp.core.horizontal import objective_plan
from scalableapp.core.horizontal.decide import decide, first_seen, record_scale, remember
from scalableapp.core.model import NO_SERVICE_LEVEL, Decision, History, Observation, PodState, Reading, ServiceLevel
from scalableapp.core.quality import CPU_RATE_WINDOW_SECONDS
from scalableapp.core.quantity import parse_quantity

# As adapters/prometheus.py asks for and manifests/ configure: rate()[30s] of counters scraped every 5 s.
RATE_WINDOW_SECONDS = 30
SLOW_SHARE_WINDOW_SECONDS = 60
SCRAPE_SECONDS = 5
INTERVAL_SECONDS = 5


class Ours:
    """scalableapp.core.horizontal.decide with its history kept as the operator keeps it."""

    def __init__(self, spec: ScalableAppSpec, started_at: float = 0.0) -> None:
        self.name = "scalableapp"
        self.interval_seconds = INTERVAL_SECONDS
        self.scrape_seconds: int | None = SCRAPE_SECONDS
        self.decision: Decision | None = None
        self.deciders: list[tuple[int, str]] = []  # since when which metric or rule has decided
        self._spec = spec
        self._cores = cores_at_full_load(spec)
        self._start = datetime.fromtimestamp(started_at, UTC)
        self._history: History | None = None
        self._known: dict[tuple[int, bool], PodState] = {}
        self._states: tuple[PodState, ...] = ()
        self._steady_since: int | None = None

    def replicas(self, signals: Signals) -> int:
        """One tick: observe, decide, remember, and record what will be done."""
        observation = self._observe(signals)
        history = self._history or first_seen(observation)
        decision = self.decision = decide(self._spec, observation, history)
        decider = decider_of(decision)
        if not self.deciders or self.deciders[-1][1] != decider:
            self.deciders.append((signals.now, decider))
        history = remember(history, decision, self._spec)
        if decision.changes:
            change = decision.replicas_to - decision.replicas_from
            history = record_scale(history, decision.at, change, self._spec)
        self._history = history
        return decision.replicas_to

    def _observe(self, signals: Signals) -> Observation:
        return Observation(
            now=self._start + timedelta(seconds=signals.now),
            replicas=signals.fleet.replicas,
            pods=self._pod_states(signals),
            readings={metric.label: self._reading(metric, signals) for metric in self._metrics()},
            service_level=self._service_level(signals),
        )

    def _metrics(self) -> tuple[Metric, ...]:
        """Those that the decision will look at: with a plan for the objective, none is made up."""
        planned = self._history is not None and self._history.learned.capacity is not None
        return self._spec.scaling.horizontal.metrics if planned else self._spec.metrics

    def _service_level(self, signals: Signals) -> ServiceLevel:
        if self._spec.scaling.horizontal.objective is None:
            return NO_SERVICE_LEVEL
        utilisation = signals.utilisation(round(CPU_RATE_WINDOW_SECONDS))
        used = {} if utilisation is None else {_name(pod): utilisation * self._cores for pod in signals.fleet.names}
        return ServiceLevel(
            Reading(signals.rate(objective_plan.RATE_WINDOW_SECONDS)),
            Reading(signals.slow_share(SLOW_SHARE_WINDOW_SECONDS)),
            Reading(per_pod=used),
        )

    def _pod_states(self, signals: Signals) -> tuple[PodState, ...]:
        steady = signals.fleet.steady_since
        if steady is not None and steady == self._steady_since:
            return self._states
        known, now = self._known, {}
        for name, born, ready_at in signals.fleet.pods:
            key = (name, ready_at <= signals.now)
            now[key] = known.get(key) or self._pod_state(name, born, ready_at, key[1])
        self._known, self._states, self._steady_since = now, tuple(now.values()), steady
        return self._states

    def _pod_state(self, name: int, born: int, ready_at: int, ready: bool) -> PodState:
        started, became_ready = (self._start + timedelta(seconds=at) for at in (born, ready_at))
        return PodState(_name(name), "Running", ready, False, started, became_ready if ready else started)

    def _reading(self, metric: Metric, signals: Signals) -> Reading:
        if metric.type is MetricType.CPU:
            busy = signals.per_pod(round(CPU_RATE_WINDOW_SECONDS))
            factor = self._cores / signals.service.rate
            cores = {_name(pod): rate * factor for pod, rate in busy.items()}
            return Reading(sum(cores.values()), cores)
        rates = {_name(pod): rate for pod, rate in signals.per_pod(RATE_WINDOW_SECONDS).items()}
        burst = self._spec.scaling.horizontal.burst
        return Reading(sum(rates.values()), rates, burst_total=signals.rate(burst.window_seconds) if burst else None)


def check_replayable(spec: ScalableAppSpec) -> None:
    """Raises OptionError when the app scales on what a load curve does not tell."""
    if spec.scaling.mode is Mode.VERTICAL:
        raise OptionError(
            "in mode Vertical replicas do not follow the load; pass a pod's usage as --trace: timestamp,cpu,memory"
        )
    measured = (MetricType.REQUESTS_PER_SECOND, MetricType.CPU)
    unknown = [f"{metric.label} ({metric.type})" for metric in spec.metrics if metric.type not in measured]
    if unknown:
        raise OptionError(
            f"a load curve has no values for the metric {', '.join(unknown)}; remove it from the file, or scale on "
            "RequestsPerSecond, CPU or an objective"
        )


@lru_cache(maxsize=4096)
def _name(pod: int) -> str:
    return f"pod-{pod}"


def cores_at_full_load(spec: ScalableAppSpec) -> float:
    """CPU of one pod that is busy all the time: its limit; without one, its request."""
    resources = spec.resources
    return parse_quantity(resources.limits.get("cpu") or resources.requests.get("cpu") or "1")
