"""The picture that moves: made from a recorded run, and current in the repository."""

import dataclasses
import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from demo.animation import animation, replicas_text
from demo.recording import AppState, Recording, from_json

IMAGES = Path(__file__).resolve().parents[3] / "docs" / "images"
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def recording() -> Recording:
    return from_json(json.loads((IMAGES / "demo-run.json").read_text()))


def test_the_picture_of_the_readme_is_that_of_the_recorded_run(recording: Recording) -> None:
    assert (IMAGES / "demo.svg").read_text() == animation(recording, replicas_text(recording)), "run `make docs`"


def test_each_change_of_the_replicas_is_reported_while_it_is_the_last_one(recording: Recording) -> None:
    root = ET.fromstring(animation(recording, "a run"))  # noqa: S314 - our own
    headlines = [group[0].text or "" for group in root.iter(f"{SVG}g") if "caption" in group.get("class", "")]
    changes = [f"{change.replicas_from} → {change.replicas_to}" for change in recording.changes()]
    assert [change in headline for change, headline in zip(changes, headlines, strict=True)] == [True] * len(changes)


def test_there_is_a_box_for_every_pod_that_was_asked_for(recording: Recording) -> None:
    larger = dataclasses.replace(recording, states=[*recording.states, AppState(recording.end, 7, 6, "", 1.0, 16.0)])
    for run, most in ((recording, 5), (larger, 7)):
        drawn = animation(run, "a run")
        assert drawn.count("@keyframes asked") == drawn.count("@keyframes ready") == most


def test_words_of_a_decision_cannot_break_the_picture(recording: Recording) -> None:
    odd = dataclasses.replace(recording.changes()[0], message="queue < 3 & rising")
    root = ET.fromstring(animation(dataclasses.replace(recording, decisions=[odd]), "a run"))  # noqa: S314 - our own
    assert "queue < 3 & rising" in "".join(root.itertext())
