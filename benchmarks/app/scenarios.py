"""All that is measured, in the order of the table."""

from collections.abc import Callable, Mapping

from benchmarks.app import caching, capacity, delivery, queries
from benchmarks.app.plan import Plan
from benchmarks.app.results import Results
from benchmarks.app.servers import Lab

Scenario = Callable[[Lab, Plan], Results]

SCENARIOS: Mapping[str, tuple[Scenario, ...]] = {
    "cache": (caching.view_cache,),
    "hits": (caching.hit_ratio,),
    "stampede": (caching.stampede,),
    "queries": (queries.n_plus_one, queries.plans),
    "delivery": (delivery.not_modified, delivery.edge_cache),
    "workers": (capacity.workers,),
    "overload": (capacity.overload,),
}
