"""Draw the dashboards with what their own queries bring from a Prometheus: pictures for docs/monitoring.md.

Not Grafana's drawing, and the picture says so: it shows which panels there are and what they tell.

python tools/draw_dashboards.py URL NAMESPACE APP --minutes 6
"""

import argparse
import io
import math
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import requests
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

mpl.use("Agg")

from matplotlib import pyplot as plt  # noqa: E402 - after the choice of what it draws with
from matplotlib.axes import Axes  # noqa: E402 - as above
from matplotlib.figure import Figure  # noqa: E402 - as above
from matplotlib.ticker import FuncFormatter  # noqa: E402 - as above

from tools import dashboard, dashboards  # noqa: E402 - a script's own folder is on the path, the repository is not

_INCH_PER_COLUMN, _INCH_PER_ROW, _DPI = 0.58, 0.33, 90
_TIMEOUT_SECONDS = 20
_ALL = ".+"
_NOTE = (
    "Drawn by tools/draw_dashboards.py from the dashboard's own queries to a live Prometheus; Grafana looks different."
)


class Window(NamedTuple):
    """Where and when to ask, and the choices above the panels."""

    url: str
    start: float
    end: float
    choices: dict[str, str]

    def series(self, query: str) -> list[tuple[dict[str, str], list[tuple[float, float]]]]:
        """Labels, and pairs of minutes since the start and value, of each series."""
        step = max(1.0, (self.end - self.start) / 240)
        form = {"query": self._chosen(query), "start": self.start, "end": self.end, "step": step}
        answer = requests.post(f"{self.url}/api/v1/query_range", form, timeout=_TIMEOUT_SECONDS).json()
        if answer["status"] != "success":
            raise SystemExit(f"{query}: {answer['error']}")
        return [(entry["metric"], self._points(entry["values"])) for entry in answer["data"]["result"]]

    def _chosen(self, query: str) -> str:
        for name, value in self.choices.items():
            query = query.replace(f"${name}", value)
        return query

    def _points(self, values: list[tuple[float, str]]) -> list[tuple[float, float]]:
        points = [((at - self.start) / 60, float(value)) for at, value in values]
        return [(at, value) for at, value in points if math.isfinite(value)]


def draw(page: dashboard.Dashboard, window: Window, target: Path) -> None:
    """The whole page into one file."""
    panels = list(dashboard.panels(page.panels))
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels) + 2
    figure = plt.figure(figsize=(24 * _INCH_PER_COLUMN, rows * _INCH_PER_ROW), dpi=_DPI)
    chosen = ", ".join(f"{name} {value}" for name, value in window.choices.items() if value != _ALL)
    figure.text(0.012, 1 - 0.9 / rows, f"{page.title}   {chosen}", fontsize=13, weight="bold", va="center")
    figure.text(0.988, 1 - 0.9 / rows, _NOTE, fontsize=7, color="dimgray", ha="right", va="center")
    for panel in panels:
        _draw_panel(_axes(figure, panel["gridPos"], rows), panel, window)
    buffer = io.BytesIO()
    figure.savefig(buffer)
    plt.close(figure)
    Image.open(buffer).convert("RGB").quantize(200).save(target, optimize=True)


def _axes(figure: Figure, place: dict[str, int], rows: int) -> Axes:
    left, bottom = place["x"] / 24, 1 - (place["y"] + place["h"] + 2) / rows
    width, height = place["w"] / 24, place["h"] / rows
    small = place["h"] < 5
    return figure.add_axes(
        (
            left + (0.008 if small else 0.038),
            bottom + (0.4 if small else 2.1) / rows,
            width - (0.016 if small else 0.05),
            height - (0.8 if small else 3.0) / rows,
        )
    )


def _draw_panel(axes: Axes, panel: dict[str, Any], window: Window) -> None:
    drawn = [
        (_name(target["legendFormat"], labels), points)
        for target in panel["targets"]
        for labels, points in window.series(target["expr"])
        if points
    ]
    axes.set_title(panel["title"], fontsize=9, loc="left", pad=3)
    unit = panel["fieldConfig"]["defaults"]["unit"]
    if panel["type"] == "stat":
        _stat(axes, drawn, unit)
    elif panel["type"] == "table":
        last = (window.end - window.start) / 60 - 0.5
        drawn = [(name, points) for name, points in drawn if points[-1][0] > last]
        _table(axes, [name for name, _ in drawn])
    else:
        _lines(axes, drawn, panel)
        axes.set_xlim(0, (window.end - window.start) / 60)
        axes.set_xlabel("minutes", fontsize=6, loc="right", labelpad=-2)
    if not drawn:
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", color="gray", fontsize=8)


def _name(legend: str, labels: dict[str, str]) -> str:
    if legend == "__auto":
        return ", ".join(f"{value}" for label, value in labels.items() if label != "__name__")
    for label, value in labels.items():
        legend = legend.replace(f"{{{{{label}}}}}", value)
    return legend


def _lines(axes: Axes, drawn: list[tuple[str, list[tuple[float, float]]]], panel: dict[str, Any]) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    filled = defaults["custom"]["fillOpacity"] > 0
    for name, points in drawn:
        minutes, values = zip(*points, strict=True)
        (line,) = axes.step(minutes, values, where="post", linewidth=1.1, label=name)
        if filled:
            axes.fill_between(minutes, values, step="post", alpha=0.15, color=line.get_color())
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: text(value, defaults["unit"])))
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.3)
    if drawn:
        columns = max(1, min(len(drawn), 110 // max(len(name) + 6 for name, _ in drawn)))
        axes.legend(fontsize=6, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=columns, frameon=False)


def _stat(axes: Axes, drawn: list[tuple[str, list[tuple[float, float]]]], unit: str) -> None:
    axes.set_axis_off()
    shown = drawn[0][0] if drawn and unit == "none" and drawn[0][0].count(".") == 2 else None
    if drawn:
        value = shown or text(drawn[0][1][-1][1], unit)
        axes.text(0.02, 0.4, value, transform=axes.transAxes, fontsize=19, va="center", color="tab:blue")


def _table(axes: Axes, rows: list[str]) -> None:
    axes.set_axis_off()
    for number, row in enumerate(rows[:12]):
        axes.text(0, 0.95 - number / 12, row, transform=axes.transAxes, fontsize=8, va="top", family="monospace")


def text(value: float, unit: str) -> str:
    """A number with its unit, as Grafana has it, only simpler."""
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit == "bytes":
        return f"{value / 2**20:.3g} MiB"
    if unit == "s" and 0 < value < 1:
        return f"{1000 * value:.3g} ms"
    return f"{value:.3g}{ {'s': ' s', 'reqps': '/s', 'ops': '/s'}.get(unit, '') }"


def main() -> int:
    """Draw all of them. Returns the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url", help="of Prometheus")
    parser.add_argument("namespace", help="of the app to show")
    parser.add_argument("app", help="to show")
    parser.add_argument("--minutes", type=float, default=6.0, help="how far back to look")
    parser.add_argument("--end", type=float, default=time.time(), help="Unix time up to which to look (default: now)")
    options = parser.parse_args()
    end = options.end
    for page in dashboards.DASHBOARDS:
        choices = {"namespace": options.namespace, "app": options.app}
        if page.variables and page.variables[0].several:
            choices = {"namespace": _ALL}
        choices = choices if page.variables else {}
        window = Window(options.url.rstrip("/"), end - 60 * options.minutes, end, choices)
        target = ROOT / "docs" / "images" / f"dashboard-{page.uid.removeprefix('scalableapp-')}.png"
        draw(page, window, target)
        print(f"{target.relative_to(ROOT)}: {target.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
