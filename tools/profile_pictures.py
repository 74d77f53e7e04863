"""Draws docs/images/profile-{uncached,cached}.svg: what one request costs without and with the cache.

The real application, profiled by its own profiler: the first request to /cached computes, the second one does not.
"""

import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "sample-app"))

from sample_app.app import create_app  # noqa: E402 - a script's own folder is on the path, the application is not
from sample_app.icicle import Graph, rows, svg  # noqa: E402 - as above
from sample_app.profiles import Store  # noqa: E402 - as above
from sample_app.profiling import Switch  # noqa: E402 - as above
from sample_app.serving import Serving  # noqa: E402 - as above
from sample_app.settings import Settings  # noqa: E402 - as above

IMAGES = REPOSITORY / "docs" / "images"


def main() -> None:
    """Take the two profiles, draw them, and print what cost most."""
    with tempfile.TemporaryDirectory() as folder:
        serving = Serving(profile_token="only-needed-to-have-a-profiler", profile_folder=Path(folder))  # noqa: S106
        client = create_app(Settings(serving=serving)).test_client()
        client.get("/")  # what Flask does once, at the first request, is no part of the picture
        Switch(Path(folder)).turn_on(every=1, seconds=60)
        for name in ("uncached", "cached"):
            cached = client.get("/cached").headers["X-Cache"]
            _draw(name, cached, Store(Path(folder)))


def _draw(name: str, cached: str, store: Store) -> None:
    taken = store.all()[0]
    stats = store.stats([taken.name])
    if stats is None:
        raise SystemExit("the profile has gone")
    graph = Graph(stats)
    title = f"GET /cached, {cached}: {graph.seconds * 1000:.2f} ms under the profiler"
    (IMAGES / f"profile-{name}.svg").write_text(svg(graph, title))
    print(title)
    for row in rows(graph, 3):
        print(f"  {row.own / graph.seconds:6.1%} {row.calls:7d} calls  {row.name}")
    store.clear()


if __name__ == "__main__":
    main()
