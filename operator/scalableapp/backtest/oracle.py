"""The perfect-foresight policy: what a given quality costs at least, in effect. A unit of measure, not a baseline."""

import numpy as np

from scalableapp.backtest.service import Floats, Ints
from scalableapp.backtest.simulator import Run, World, play

_SMOOTHED_SECONDS = 15


def oracle(arrivals: Floats, world: World, margin: float = 1.0) -> Run:
    """Just enough ready pods for the load of each 15 s, times `margin`; each created its start-up time before.

    n(t) = ceil(margin * A15(t) / capacity) within the bounds; alive(t) = max n over [t, t + D + 15).
    """
    startup = round(world.startup_seconds)
    load = _block_mean(arrivals, _SMOOTHED_SECONDS)
    wanted = np.ceil(margin * load / world.service.capacity - 1e-9).astype(np.int64)
    wanted = np.clip(wanted, world.bounds.least, world.bounds.most)
    alive = forward_max(wanted, startup + _SMOOTHED_SECONDS)
    ready = -forward_max(-alive[::-1], startup + 1)[::-1]
    return play("oracle", arrivals, alive, ready, world.service)


def forward_max(values: Ints, width: int) -> Ints:
    """Maximum over [t, t + width) for each t, by doubling: O(n log width)."""
    result, reach = values.copy(), 1
    while reach < width:
        step = min(reach, width - reach)
        result[:-step] = np.maximum(result[:-step], result[step:])
        reach += step
    return result


def _block_mean(values: Floats, width: int) -> Floats:
    starts = np.arange(0, len(values), width)
    lengths = np.diff(np.append(starts, len(values)))
    return np.repeat(np.add.reduceat(values, starts) / lengths, lengths)
