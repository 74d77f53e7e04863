"""An advice as it is printed: comments and a manifest, so that the whole can be piped to kubectl apply."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from scalableapp.commands.console.output import table
from scalableapp.commands.plugin.advice import Advice, Plan
from scalableapp.commands.plugin.usage import UsageHistory
from scalableapp.core.api.vertical_fields import Prices
from scalableapp.core.explain import clock, count, duration
from scalableapp.core.quantity import format_number
from scalableapp.core.size import write_size

_FEW_CHANGES = 5


def as_record(advice: Advice, usage: UsageHistory, prices: Prices | None) -> dict[str, Any]:
    """The advice for programs."""
    times = usage.times
    return {
        "deployment": f"{advice.manifest['metadata']['namespace']}/{advice.deployment}",
        "from": _text(times[0]),
        "to": _text(times[-1]),
        "stepSeconds": usage.step,
        "samples": {kind.value: len(usage.of(kind)) for kind in usage.moments},
        "today": advice.today.figures(prices),
        "horizontal": {
            **advice.scaled.figures(prices),
            "changes": [
                {"time": _text(each.at.timestamp()), "from": each.before, "to": each.after, "reason": each.reason}
                for each in advice.simulation.changes
            ],
        },
        "vertical": advice.sized.figures(prices),
        "notes": list(advice.notes),
        "manifest": advice.manifest,
    }


def as_text(advice: Advice, usage: UsageHistory, prices: Prices | None, now: datetime, *, wide: bool) -> str:
    """The advice for people; `wide` has every change of replicas, with its whole reason."""
    import yaml  # noqa: PLC0415 - a tenth of a second that only this takes

    manifest = yaml.safe_dump(advice.manifest, sort_keys=False, allow_unicode=True, width=10_000)
    comments = [f"# {line}".rstrip() for line in _lines(advice, usage, prices, now, wide=wide)]
    return "\n".join((*comments, manifest.rstrip()))


def _lines(advice: Advice, usage: UsageHistory, prices: Prices | None, now: datetime, *, wide: bool) -> Iterator[str]:
    first, last = (datetime.fromtimestamp(at, UTC) for at in (usage.times[0], usage.times[-1]))
    span = f"{duration((last - first).total_seconds())} since {clock(first, now)}, one sample every {usage.step:g} s"
    yield f"Deployment {advice.deployment}, based on its usage of {span}."
    yield ""
    plans = {
        "today": advice.today,
        "Horizontal (below)": advice.scaled,
        "Vertical": advice.sized,
    }
    yield from table([_head(prices), *(_row(name, plan, prices) for name, plan in plans.items())])
    yield ""
    yield from _changes(advice, now, wide=wide)
    yield ""
    yield "Notes:"
    yield from (f"- {note}" for note in advice.notes)
    yield ""


def _head(prices: Prices | None) -> tuple[str, ...]:
    cost = ("COST OF 30 DAYS",) if prices else ()
    return "", "REPLICAS min/avg/max", "CORES avg", "GiB avg", *cost, "REQUESTS PER POD"


def _row(name: str, plan: Plan, prices: Prices | None) -> tuple[str, ...]:
    figures = plan.figures(prices)
    replicas = "/".join(format_number(figures["replicas"][which]) for which in ("min", "average", "max"))
    cost = (f"{figures['costOf30Days']:.2f}",) if prices else ()
    requests = write_size(plan.size).get("requests") or {}
    size = ", ".join(f"{resource} {amount}" for resource, amount in requests.items()) or "nothing"
    return (
        name,
        replicas,
        format_number(figures["requestedCores"]),
        format_number(figures["requestedGibibytes"]),
        *cost,
        size,
    )


def _changes(advice: Advice, now: datetime, *, wide: bool) -> Iterator[str]:
    changes: Sequence[Any] = advice.simulation.changes
    if not changes:
        yield "Replicas would not have changed."
        return
    shown = changes if wide else changes[-_FEW_CHANGES:]
    all_of_them = "" if len(shown) == len(changes) else f", the last {len(shown)} (--output wide shows all)"
    yield f"{count(len(changes), 'change')} of replicas would have been made{all_of_them}:"
    for each in shown:
        why = f"{each.reason}: {each.message}" if wide else each.reason
        yield f"  {clock(each.at, now)}  {each.before} -> {each.after}  {why}"


def _text(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
