"""The part of a run's picture that is about the size of the pods: requests, limits, usage, throttling."""

from collections.abc import Callable
from typing import Any

from demo.recording import PodSize, Recording
from demo.style import BLUE, GREEN, INK, ORANGE, STYLE, VERMILION


def draw_cpu(axes: Any, recording: Recording) -> None:
    """Cores of each pod, and the share of CPU periods in which the busiest was throttled."""
    times = [usage.at for usage in recording.usages]
    axes.plot(times, [usage.cpu for usage in recording.usages], color=BLUE, label="used (busiest pod)", **STYLE)
    _steps(axes, recording, lambda size: size.cpu_request, color=GREEN, label="requested")
    _steps(axes, recording, lambda size: size.cpu_limit, color=VERMILION, linestyle="--", label="limit")
    axes.set_ylabel("cores per pod", color=INK)
    share = axes.twinx()
    throttled = [usage.throttled for usage in recording.usages]
    share.fill_between(times, throttled, color=ORANGE, alpha=0.25, linewidth=0)
    share.set_ylim(0, 1)
    share.set_yticks([])
    share.spines[["top", "right", "left", "bottom"]].set_visible(False)
    axes.fill_between([], [], color=ORANGE, alpha=0.25, label="throttled (0 to 100 %)")


def draw_memory(axes: Any, recording: Recording) -> None:
    """MiB of each pod."""
    times = [usage.at for usage in recording.usages]
    axes.plot(times, [usage.memory for usage in recording.usages], color=BLUE, label="used (largest pod)", **STYLE)
    _steps(axes, recording, lambda size: size.memory_request, color=GREEN, label="requested")
    _steps(axes, recording, lambda size: size.memory_limit, color=VERMILION, linestyle="--", label="limit")
    axes.set_ylabel("MiB per pod", color=INK)


def _steps(axes: Any, recording: Recording, value: Callable[[PodSize], float | None], **style: Any) -> None:
    """What the template gave, from the start of the run to its end."""
    times = [max(size.at, 0.0) for size in recording.sizes]
    values = [amount if (amount := value(size)) is not None else float("nan") for size in recording.sizes]
    if values:
        axes.plot([*times, recording.end], [*values, values[-1]], drawstyle="steps-post", **{**STYLE, **style})
