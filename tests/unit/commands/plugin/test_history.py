"""`kubectl scalableapp history`: rows from Events, Prometheus and status, each told once and by its source."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from scalableapp.commands.plugin.history import Samples, notes_of, rows_of
from tests.unit.adapters.canned import Asked, Canned, Refusal
from tests.unit.commands.plugin.conftest import SHOP, Terminal, app

NOW = datetime(2026, 11, 23, 12, 10, tzinfo=UTC)
SINCE = NOW - timedelta(hours=24)
EVENTS = "/api/v1/namespaces/shop/events"
PROXY = "/api/v1/namespaces/scalableapp-system/services/prometheus:9090/proxy/api/v1"


def rescale(time: str, before: int, after: int, **more: Any) -> dict[str, Any]:
    message = f"{before} -> {after} replicas (Burst): 40 requests/s; burst"
    return {"reason": "SuccessfulRescale", "message": message, "lastTimestamp": time, "metadata": {}, **more}


def sampled(*changes: tuple[str, int], step: float = 15.0) -> Samples:
    """A point every step, each number from its time on until NOW."""
    times = [(datetime.fromisoformat(time).timestamp(), number) for time, number in changes]
    ends = [*(at for at, _ in times[1:]), NOW.timestamp()]
    points = [
        (at + step * index, number)
        for (at, number), end in zip(times, ends, strict=True)
        for index in range(int((end - at) // step))
    ]
    return Samples(points, step)


def undecided() -> dict[str, Any]:
    held = app()
    del held["status"]["decision"]
    return held


def test_an_event_has_its_reason_and_message() -> None:
    (row,) = rows_of(undecided(), [rescale("2026-11-23T12:01:00Z", 2, 4)], Samples(), SINCE)
    assert row == {
        "time": "2026-11-23T12:01:00Z",
        "from": 2,
        "to": 4,
        "reason": "Burst",
        "message": "40 requests/s; burst",
        "source": "Event",
    }


def test_older_changes_come_from_prometheus_and_have_no_reason() -> None:
    samples = sampled(("2026-11-23T08:00:00+00:00", 3), ("2026-11-23T09:00:00+00:00", 5))
    (row,) = rows_of(undecided(), [], samples, SINCE)
    assert row == {"time": "2026-11-23T09:00:00Z", "from": 3, "to": 5, "source": "Prometheus"}


def test_a_change_that_both_sources_have_is_reported_once_with_the_reason() -> None:
    samples = sampled(("2026-11-23T11:00:00+00:00", 2), ("2026-11-23T12:01:15+00:00", 4))
    rows = rows_of(undecided(), [rescale("2026-11-23T12:01:00Z", 2, 4)], samples, SINCE)
    assert [row["source"] for row in rows] == ["Event"]


def test_the_same_number_much_later_is_another_change() -> None:
    samples = sampled(
        ("2026-11-23T11:00:00+00:00", 4), ("2026-11-23T11:30:00+00:00", 2), ("2026-11-23T11:40:00+00:00", 4)
    )
    rows = rows_of(undecided(), [rescale("2026-11-23T12:01:00Z", 2, 4)], samples, SINCE)
    assert [(row["source"], row["from"], row["to"]) for row in rows] == [
        ("Prometheus", 4, 2),
        ("Prometheus", 2, 4),
        ("Event", 2, 4),
    ]


def test_a_change_across_a_hole_says_so() -> None:
    samples = Samples([(NOW.timestamp() - 7200, 3), (NOW.timestamp() - 3600, 6)], 15.0)
    (row,) = rows_of(undecided(), [], samples, SINCE)
    assert row["message"] == "some time since 2026-11-23T10:10:00Z: there are no samples in between"


def test_the_decision_in_force_is_a_row_unless_its_event_is_there() -> None:
    (row,) = rows_of(app(), [], Samples(), SINCE)
    assert (row["source"], row["from"], row["to"], row["reason"]) == ("status", 4, 5, "DesiredWithinRange")
    rows = rows_of(app(), [rescale("2026-11-23T12:00:01Z", 4, 5)], Samples(), SINCE)
    assert [row["source"] for row in rows] == ["Event"]


def test_what_is_before_since_is_left_out_and_the_rest_in_order() -> None:
    events = [rescale("2026-11-23T12:05:00Z", 4, 6, count=3), rescale("2026-11-20T12:00:00Z", 1, 2)]
    rows = rows_of(app(), events, Samples(), SINCE)
    assert [(row["source"], row.get("count")) for row in rows] == [("status", None), ("Event", 3)]


@pytest.mark.parametrize(
    ("samples", "problem", "expected"),
    [
        pytest.param(Samples(), "no way to it", "not available, so older rows are missing: no way to it", id="away"),
        pytest.param(Samples(), "", "does it scrape the operator?", id="not scraped"),
        pytest.param(sampled(("2026-11-23T08:00:00+00:00", 3)), "", "since 08:00:00 UTC (its oldest)", id="young"),
        pytest.param(Samples([(SINCE.timestamp(), 3)]), "", "since 2026-11-22 12:10:00 UTC; they", id="whole"),
    ],
)
def test_how_far_back_each_source_goes_is_reported(samples: Samples, problem: str, expected: str) -> None:
    notes = notes_of([], samples, problem, SINCE, NOW)
    assert "Events: none left; the API server forgets them after an hour" in notes[0]
    assert expected in notes[1]


def matrix(asked: Asked) -> Any:
    """Prometheus behind the API server's proxy: from 3 to 5 replicas, half an hour ago."""
    assert "exported_namespace" in asked.query["query"]
    end = float(asked.query["end"])
    points = [[end - 3600 + 15 * index, "3" if index < 120 else "5"] for index in range(241)]
    return {"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": points}]}}


@pytest.fixture
def remembered(terminal: Terminal) -> Terminal:
    terminal.known |= {
        f"{SHOP}/web": undecided(),
        EVENTS: {"items": [rescale(datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), 5, 6)]},
        f"{PROXY}/query": {"status": "success", "data": {}},
        f"{PROXY}/query_range": matrix,
    }
    return terminal


async def test_the_operators_prometheus_is_reached_through_the_api_server(remembered: Terminal) -> None:
    status, out, err = await remembered.run("history", "web", "--since", "1h", "-o", "json")
    assert (status, err) == (0, "")
    output = json.loads(out)
    assert [(row["source"], row["from"], row["to"]) for row in output["items"]] == [
        ("Prometheus", 3, 5),
        ("Event", 5, 6),
    ]
    assert set(output) == {"app", "since", "items", "notes"}


async def test_the_table_has_both_and_the_notes(remembered: Terminal) -> None:
    _, out, _ = await remembered.run("history", "web", "--since", "1h")
    lines = out.splitlines()
    assert lines[0].split() == ["TIME", "CHANGE", "REASON", "FROM", "MESSAGE"]
    assert [" 3 -> 5 " in lines[1], " 5 -> 6 " in lines[2]] == [True, True]
    assert [line.partition(":")[0] for line in lines[4:]] == ["Events", "Prometheus"]


async def test_where_the_operator_asks_elsewhere_that_service_is_asked(remembered: Terminal) -> None:
    variables = [{"name": "SCALABLEAPP_PROMETHEUS_URL", "value": "http://prom.monitoring.svc.cluster.local:80/prom/"}]
    pod = {"containers": [{"env": variables}]}
    operator = "/apis/apps/v1/namespaces/scalableapp-system/deployments/scalableapp-operator"
    there = "/api/v1/namespaces/monitoring/services/prom:80/proxy/prom/api/v1"
    remembered.known |= {
        operator: {"spec": {"template": {"spec": pod}}},
        f"{there}/query": {"status": "success"},
        f"{there}/query_range": matrix,
    }
    _, out, _ = await remembered.run("history", "web", "-o", "json")
    assert [row["source"] for row in json.loads(out)["items"]] == ["Prometheus", "Event"]
    assert not any(asked.path.startswith(PROXY) for asked in remembered.asked("GET"))


async def test_of_an_operator_with_a_connection_file_the_file_is_asked_for_and_taken(
    remembered: Terminal, canned: Canned, tmp_path: Path
) -> None:
    variables = [{"name": "SCALABLEAPP_PROMETHEUS_CONFIG", "value": "/etc/scalableapp/prometheus.yaml"}]
    operator = "/apis/apps/v1/namespaces/scalableapp-system/deployments/scalableapp-operator"
    remembered.known[operator] = {"spec": {"template": {"spec": {"containers": [{"env": variables}]}}}}
    _, out, _ = await remembered.run("history", "web")
    assert "connects to Prometheus as /etc/scalableapp/prometheus.yaml in its pod states; pass such a file with" in out
    (tmp_path / "prometheus.yaml").write_text(f"url: {canned.url}\nmatchers: cluster='a'")
    canned.json({"status": "success", "data": {"resultType": "matrix", "result": []}})
    await remembered.run("history", "web", "--prometheus-config", str(tmp_path / "prometheus.yaml"))
    assert all("{cluster='a'," in query for query in canned.queries)
    _, out, _ = await remembered.run("history", "web", "--prometheus-config", str(tmp_path / "none.yaml"))
    assert "none.yaml cannot be read" in out


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(
            Refusal(403, 'User "u" cannot get resource "services/proxy"'),
            "this needs the permission to get services/proxy there; otherwise forward a port with "
            "kubectl port-forward -n scalableapp-system service/prometheus 9090:9090 and pass --prometheus http://localhost:9090",
            id="forbidden",
        ),
        pytest.param(Refusal(404, "not found"), "There is no Service prometheus in namespace", id="none"),
        pytest.param(Refusal(503, "no endpoints available"), "check whether Prometheus runs", id="down"),
        pytest.param(
            {"hello": "world"}, "is not a Prometheus; pass Prometheus' URL as --prometheus", id="another program"
        ),
    ],
)
async def test_without_prometheus_the_events_are_reported_and_the_fix(
    remembered: Terminal, answer: Any, expected: str
) -> None:
    remembered.known[f"{PROXY}/query"] = answer
    status, out, _ = await remembered.run("history", "web")
    assert status == 0
    assert " 5 -> 6 " in out
    assert expected in out


async def test_a_stated_prometheus_that_is_away_and_events_that_are_forbidden_are_reported(
    remembered: Terminal,
) -> None:
    remembered.known[EVENTS] = Refusal(403, 'User "u" cannot list resource "events"')
    status, out, _ = await remembered.run("history", "web", "--prometheus", "http://127.0.0.1:1")
    assert status == 0
    assert "kubectl auth can-i list events -n shop; the role view grants it" in out
    assert "127.0.0.1:1: no connection" in out
    assert "pass the URL of a working Prometheus as --prometheus" in out
    assert "SCALABLEAPP_PROMETHEUS_URL" not in out


@pytest.mark.parametrize("text", ["1", "h", "0h", "-1d", "1y"])
async def test_a_span_that_is_none_is_refused(
    terminal: Terminal, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        await terminal.run("history", "web", f"--since={text}")
    assert stopped.value.code == 2
    assert "as in 30m, 12h or 7d" in capsys.readouterr().err
