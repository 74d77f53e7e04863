"""Whoever reads a reason in a status finds it in the documentation, and the API reference says what the code does."""

import ast
import re
from pathlib import Path

import pytest

from scalableapp.core.explain import Reason
from scalableapp.core.model import DataProblem
from scalableapp.core.vertical.rollout import Result
from tests.docs.pages import ROOT
from tools import generate_api
from tools.reasons import CONDITIONS, EVENTS, explained

CORE = ROOT / "operator" / "scalableapp"
TELLING = (
    *(
        "core/status/conditions.py",
        "core/status/deployment_status.py",
        "core/horizontal/objective_met.py",
        "core/vertical/recommendation.py",
        "core/vertical/combined.py",
        "core/children/routing.py",
    ),
    *(
        "engine/looks.py",
        "engine/mounts.py",
        "engine/observe.py",
        "engine/pod_check.py",
        "engine/reconcile.py",
        "engine/resizing.py",
    ),
)
# What looks like a reason there: types and states of conditions and Events, and names of rules.
OTHERS = {"True", "False", "Unknown", "Normal", "Warning"} | set(CONDITIONS)
# The parts of a look, which the operator's metrics name.
PARTS = {"Apps", "Metrics"}
RULES = {"Bounds", "Busy", "CPURequest", "Conflict", "Cost", "MemoryRequest", "Pace"}
# Words of the Kubernetes API.
KUBERNETES = {"Gateway", "HTTPRoute", "Ingress", "PathPrefix", "Prefix", "Progressing", "ResolvedRefs", "Service"}


def _words(source: Path) -> set[str]:
    constants = [node.value for node in ast.walk(ast.parse(source.read_text())) if isinstance(node, ast.Constant)]
    return {value for value in constants if isinstance(value, str) and re.fullmatch(r"[A-Z][A-Za-z]{3,}", value)}


def test_the_api_reference_is_what_the_code_says() -> None:
    assert generate_api.TARGET.read_text() == generate_api.rendered(), "run `make docs`"


@pytest.mark.parametrize("enum", [Reason, DataProblem, Result], ids=lambda enum: enum.__name__)
def test_every_reason_of_the_core_is_explained(enum: type[Reason | DataProblem | Result]) -> None:
    assert {member.value for member in enum if member.value} - explained() == set()


@pytest.mark.parametrize("source", TELLING)
def test_every_reason_that_is_written_in_place_is_explained(source: str) -> None:
    assert _words(CORE / source) - OTHERS - PARTS - RULES - KUBERNETES - explained() == set()


def test_every_reason_that_is_explained_exists() -> None:
    exist = set().union(*(_words(CORE / source) for source in (*TELLING, "core/explain.py", "core/model.py")))
    assert explained() - exist - {result.value for result in Result} == set()


def test_troubleshooting_knows_every_reason() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    events = {reason.name for reason in EVENTS}
    assert {name for name in explained() - events if f"`{name}`" not in page} == set()
