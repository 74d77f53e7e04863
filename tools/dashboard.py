"""A Grafana dashboard as a table of panels: what each is called, what it asks, how it is drawn; and its JSON.

Made here and not by a library: grafana-foundation-sdk has a release for each Grafana under an epoch of its own and is
marked alpha, and all that is used of the schema is in `_panel`. It is that of Grafana 10, which later ones bring up to
date when they read it.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

Json = dict[str, Any]

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_COLUMNS = 24
_HEIGHT = {"stat": 4, "timeseries": 8, "table": 9}


class Query(NamedTuple):
    """PromQL, and what a series of it is called: a template of labels, or a name."""

    expr: str
    legend: str = ""


class Panel(NamedTuple):
    """One picture. `unit` is Grafana's name of it; `width` in 24ths of the page."""

    title: str
    unit: str
    meaning: str
    queries: Sequence[Query]
    kind: str = "timeseries"
    width: int = 12
    stacked: bool = False


class Variable(NamedTuple):
    """A choice above the panels: values of a label."""

    name: str
    query: str
    several: bool = False


class Dashboard(NamedTuple):
    """One page."""

    uid: str
    title: str
    variables: Sequence[Variable]
    panels: Sequence[Panel]


def rendered(dashboard: Dashboard) -> str:
    """As Grafana reads it."""
    body = {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["scalableapp"],
        "schemaVersion": 38,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_data_source(), *map(_variable, dashboard.variables)]},
        "panels": list(panels(dashboard.panels)),
        "links": [
            {
                "type": "dashboards",
                "tags": ["scalableapp"],
                "title": "ScalableApp",
                "asDropdown": True,
                "keepTime": True,
            }
        ],
    }
    return json.dumps(body, indent=1, ensure_ascii=False) + "\n"


def _data_source() -> Json:
    return {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "current": {}}


def _variable(variable: Variable) -> Json:
    several = {"multi": True, "includeAll": True, "allValue": ".+", "current": {"text": "All", "value": "$__all"}}
    return {
        "name": variable.name,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": variable.query, "refId": "variable"},
        "refresh": 2,
        "sort": 1,
        **(several if variable.several else {"multi": False, "includeAll": False}),
    }


def panels(table: Sequence[Panel]) -> Iterator[Json]:
    """From left to right, line by line."""
    x = y = 0
    for number, panel in enumerate(table, start=1):
        if x + panel.width > _COLUMNS:
            x, y = 0, y + _HEIGHT[table[number - 2].kind]
        place = {"x": x, "y": y, "w": panel.width, "h": _HEIGHT[panel.kind]}
        yield _panel(number, panel, place)
        x += panel.width


def _panel(number: int, panel: Panel, place: Json) -> Json:
    defaults: Json = {"unit": panel.unit}
    options: Json = {}
    if panel.kind == "timeseries":
        lines = {"lineWidth": 1, "fillOpacity": 20 if panel.stacked else 0, "showPoints": "never"}
        defaults |= {"min": 0, "custom": lines | {"stacking": {"mode": "normal" if panel.stacked else "none"}}}
        options = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
    if panel.kind == "stat":
        options = {"colorMode": "none", "graphMode": "area", "reduceOptions": {"calcs": ["lastNotNull"]}}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.meaning,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [_target(index, query, panel.kind) for index, query in enumerate(panel.queries)],
    }


def _target(index: int, query: Query, kind: str) -> Json:
    form = {"format": "table", "instant": True} if kind == "table" else {"format": "time_series"}
    return {
        "refId": chr(ord("A") + index),
        "datasource": SOURCE,
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        **form,
    }
