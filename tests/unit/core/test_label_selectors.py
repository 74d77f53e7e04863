"""Which pods a selector's text catches, as k8s.io/apimachinery reads it."""

from typing import Any

import pytest

from scalableapp.core.label_selectors import matches, selector_of

WEB = {"app": "web", "tier": "front", "track": "canary"}


@pytest.mark.parametrize(
    ("selector", "caught"),
    [
        ("app=web", True),
        ("app==web,tier=front", True),
        ("app=web,tier=back", False),
        ("app!=shop", True),
        ("app!=web", False),
        ("tier in (back,front)", True),
        ("app=web,track notin (stable,old),tier", True),
        ("track notin (canary)", False),
        ("tier", True),
        ("!tier", False),
        ("!gone,app=web", True),
        ("", False),
        ("app=web,,", False),
        ("app > 3", False),
    ],
)
def test_a_selector_catches(selector: str, caught: bool) -> None:
    assert matches(selector, WEB) is caught


@pytest.mark.parametrize(
    ("stated", "text"),
    [
        ({"matchLabels": {"b": "2", "a": "1"}}, "a=1,b=2"),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["y", "x"]}]}, "a in (x,y)"),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["x"]}]}, "a notin (x)"),
        (
            {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "a", "operator": "Exists"}]},
            "app=web,a",
        ),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, "!a"),
        ({}, ""),
    ],
)
def test_the_text_of_a_workloads_selector(stated: dict[str, Any], text: str) -> None:
    assert selector_of(stated) == text
