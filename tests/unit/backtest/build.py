"""Simulated situations, made of plain numbers."""

from collections.abc import Sequence
from itertools import accumulate

from scalableapp.backtest.fleet import Fleet, Startup
from scalableapp.backtest.service import Queue, Service
from scalableapp.backtest.signals import Scraping, Signals


def signals(rates: Sequence[float], replicas: int, new: int = 0, scrape: int = 5) -> Signals:
    """An app after so many seconds of load; `new` of its replicas have just been created."""
    arrivals = [float(rate) for rate in rates]
    queue, fleet = Queue(arrivals, Service()), Fleet(replicas - new, Startup(600))
    for start, end, ready in fleet.pass_time(0, len(arrivals)):
        queue.serve(start, end, ready)
    if new:
        fleet.scale(len(arrivals), replicas)
    arrived = list(accumulate(arrivals, initial=0.0))
    return Signals(arrived, arrivals, Service(), queue, fleet, Scraping(scrape), now=len(arrivals))
