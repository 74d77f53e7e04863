"""What a run has to show of the pods' sizes."""

import dataclasses
import io

import pytest
import yaml
from PIL import Image

from demo.chart import picture
from demo.plan import Plan
from demo.recording import PodSize, Recording, Usage, from_json, to_json
from demo.scenarios import SCENARIOS, Scenario, size_problems, sizes_of, sizes_settled, sizes_text
from scalableapp.core.api.spec import parse_spec


def deployment(cpu: str, memory: str = "128Mi", replicas: int = 1) -> dict[str, object]:
    resources = {"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": "1"}}
    containers = [{"name": "sidecar"}, {"name": "app", "resources": resources}]
    return {"kind": "Deployment", "spec": {"replicas": replicas, "template": {"spec": {"containers": containers}}}}


@pytest.fixture
def sized_run(good_run: Recording) -> Recording:
    """The load rises at 20 s and falls at 70 s; the pod's CPU grows at 30 s and shrinks at 120 s."""
    run = dataclasses.replace(good_run, sizes=[], usages=[Usage(at, 0.1, 80.0, 0.5) for at in range(5, 130, 5)])
    for at, cpu in ((-1.0, "100m"), (30.0, "300m"), (40.0, "500m"), (120.0, "200m")):
        run.see(at, deployment(cpu))
    return run


def test_sizes_are_seen_when_they_change() -> None:
    run = Recording()
    for at, manifest in enumerate((deployment("100m"), deployment("100m", replicas=2), deployment("1500m", "1Gi"))):
        run.see(float(at), manifest)
    assert run.sizes == [PodSize(0.0, 0.1, 1.0, 128.0, None), PodSize(2.0, 1.5, 1.0, 1024.0, None)]


def test_a_recording_with_sizes_survives_its_file(sized_run: Recording) -> None:
    assert from_json(to_json(sized_run)) == sized_run


def test_growth_and_return_are_timed_from_the_load(sized_run: Recording, plan: Plan) -> None:
    seen = sizes_of(sized_run, plan)
    assert (seen.before, seen.peak, seen.end) == (0.1, 0.5, 0.2)
    assert (seen.grown_after, seen.shrunk_after) == (10.0, 50.0)
    assert "0.1 → 0.5 → 0.2 cores" in sizes_text(seen)
    assert list(size_problems(sized_run, plan)) == []


@pytest.mark.parametrize(
    ("kept", "problem"),
    [(1, "did not grow with the load"), (3, "was not lowered")],
    ids=["never grown", "never shrunk"],
)
def test_sizes_that_do_not_follow_are_a_problem(sized_run: Recording, plan: Plan, kept: int, problem: str) -> None:
    sized_run.sizes = sized_run.sizes[:kept]
    assert [problem in text for text in size_problems(sized_run, plan)] == [True]


@pytest.mark.parametrize(("at", "expected"), [(119, False), (125, False), (131, True)])
def test_a_run_is_over_a_while_after_the_size_is_back(
    sized_run: Recording, plan: Plan, at: float, expected: bool
) -> None:
    assert sizes_settled(sized_run, plan, at) is expected


def test_the_picture_has_room_for_sizes(sized_run: Recording, good_run: Recording, plan: Plan) -> None:
    tall, usual = (Image.open(io.BytesIO(picture(run, plan, "t", "png"))).size for run in (sized_run, good_run))
    assert tall[1] > usual[1]


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_each_scenario_has_an_app_that_the_operator_takes(scenario: Scenario) -> None:
    manifest = yaml.safe_load(scenario.sample.read_text())
    spec = parse_spec(manifest["spec"])
    assert SCENARIOS[spec.scaling.mode.value.lower()] is scenario
