import dataclasses
import io
import re

import numpy as np
import pytest
from PIL import Image

from demo.chart import picture
from demo.plan import Plan
from demo.recording import Recording
from demo.report import clock, page, summary
from demo.style import BLUE, GREEN, ORANGE, VERMILION
from demo.verdict import judge


def make_page(run: Recording, plan: Plan) -> str:
    return page(run, plan, judge(run, plan), "default/sample-app")


def pixels(png: bytes, *colour: int) -> int:
    """How many pixels have exactly this colour."""
    return int((np.asarray(Image.open(io.BytesIO(png)).convert("RGB")) == colour).all(axis=2).sum())


def test_the_summary_has_every_figure_that_matters(good_run: Recording, plan: Plan) -> None:
    line = summary(judge(good_run, plan))

    for figure in ("15 → 75 → 15 requests/s", "replicas 1 → 5 → 1", "scaled up 8.0 s", "ready 19.0 s", "down 45.0 s"):
        assert figure in line
    assert "0 failed" in line
    assert "\n" not in line


def test_the_page_needs_nothing_from_anywhere_else(good_run: Recording, plan: Plan) -> None:
    html = make_page(good_run, plan)

    assert not re.search(r"<(script|link|img|iframe)\b", html)
    assert not re.search(r"""(src|href)=["']https?:""", html)
    assert "@import" not in html


def test_the_page_lists_each_decision_with_its_reason_and_message(good_run: Recording, plan: Plan) -> None:
    html = make_page(good_run, plan)

    for decision in good_run.decisions:
        assert f"<td>{decision.time}</td>" in html
        assert f"<td>{decision.message}</td>" in html
    assert html.count('<tr class="change">') == 3


def test_the_page_says_what_went_wrong_and_why_requests_failed(good_run: Recording, plan: Plan) -> None:
    good_run.load[5] = dataclasses.replace(good_run.load[5], failures={"502 Bad Gateway": 2})

    html = make_page(good_run, plan)

    assert "<li>2 requests failed</li>" in html
    assert "<td>502 Bad Gateway</td>" in html
    assert "followed the load up and down" not in html


def test_words_from_the_cluster_cannot_become_markup(good_run: Recording, plan: Plan) -> None:
    good_run.decisions[0] = dataclasses.replace(good_run.decisions[0], message="<script>alert(1)</script>")

    assert "<script>" not in make_page(good_run, plan)


def test_the_picture_shows_a_curve_for_each_thing_seen(good_run: Recording, plan: Plan) -> None:
    full, empty = (picture(run, plan, "title", "png") for run in (good_run, Recording(load=good_run.load[:1])))

    assert Image.open(io.BytesIO(full)).size == (1650, 1260)
    for colour in (BLUE, ORANGE, VERMILION, GREEN):
        red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
        # The empty one has the legend's samples at most.
        assert pixels(full, red, green, blue) > 5 * pixels(empty, red, green, blue)


def test_failed_requests_are_marked_in_the_picture(good_run: Recording, plan: Plan) -> None:
    before = picture(good_run, plan, "title", "svg").decode()
    good_run.load[5] = dataclasses.replace(good_run.load[5], failures={"502": 2})

    assert before != picture(good_run, plan, "title", "svg").decode()


def test_a_run_of_which_nothing_was_seen_still_makes_a_page_and_a_picture(plan: Plan) -> None:
    html = make_page(Recording(started="now"), plan)

    assert "The operator wrote no decision." in html
    assert picture(Recording(), plan, "title", "png").startswith(b"\x89PNG")


@pytest.mark.parametrize(("at", "text"), [(-3, "0:00"), (0, "0:00"), (59.9, "0:59"), (125, "2:05")])
def test_a_moment_reads_as_minutes_and_seconds(at: float, text: str) -> None:
    assert clock(at) == text
