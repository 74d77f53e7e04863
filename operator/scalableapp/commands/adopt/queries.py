"""PromQL of other autoscalers, which may read all namespaces, made one that an app may have."""

import json
import re
from collections.abc import Iterable

import promql_parser as ast

from scalableapp.core.api.promql import bind
from scalableapp.core.model import AppKey
from scalableapp.errors import SpecError

_MATCHER = 'namespace="$namespace"'
_STRING = r""" "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' | `[^`]*` """
_STRINGS = re.compile(rf"{_STRING} | \#[^\n]*", re.VERBOSE)
# What is passed over as a whole, the matchers of a selector, and a name that may be a selector without any.
_PARTS = re.compile(
    rf"""(?P<other> {_STRING} | \#[^\n]* )
      | (?P<matchers> \{{ (?: {_STRING} | [^{{}}"'`] )* \}} )
      | (?<![\w:.]) (?P<name> [A-Za-z_:][\w:]* ) (?! [\w:] | \s*[({{] )""",
    re.VERBOSE,
)


class CannotBind(ValueError):
    """Why a query cannot be limited to the app's namespace."""


def in_namespace(query: str, key: AppKey) -> tuple[str, bool]:
    """The query with namespace="$namespace" in each selector that has no such matcher, and whether any had none.

    The rest of the text stays as its author wrote it. Raises CannotBind for series that carry another namespace than
    the app's, and for what the operator refuses.
    """
    query = _STRINGS.sub(_quoted, query).strip()
    selectors = _selectors(query)
    for selector in selectors:
        _refuse_foreign(selector, key)
    open_ones = [selector for selector in selectors if not _is_bound(selector, key)]
    bare = {str(selector.name) for selector in open_ones if not selector.matchers.matchers}

    def bound(part: re.Match[str]) -> str:
        if part["matchers"] and not _is_bound(_with_matchers(part[0]), key):
            stated = part[0][1:].lstrip()
            return f"{{{_MATCHER}{'' if stated == '}' else ', '}{stated}"
        return f"{part[0]}{{{_MATCHER}}}" if part["name"] in bare else part[0]

    text = _PARTS.sub(bound, query) if open_ones else query
    try:
        bind(text, key, 0)
    except SpecError as error:
        raise CannotBind(f"it {error.problems[0].problem}; {error.problems[0].fix}") from error
    return text, bool(open_ones)


def _quoted(part: re.Match[str]) -> str:
    """A raw string in quotes: the parser takes no backslash in a raw one."""
    return json.dumps(part[0][1:-1], ensure_ascii=False) if part[0].startswith("`") else part[0]


def _selectors(query: str) -> list[ast.VectorSelector]:
    """Raises CannotBind for what is no PromQL."""
    found: list[ast.VectorSelector] = []

    def look(node: ast.Expr) -> bool:
        if isinstance(node, ast.VectorSelector):
            found.append(node)
        return True

    try:
        ast.walk(ast.parse(query), look)
    except ValueError as error:
        raise CannotBind(f"it is not valid PromQL: {error}") from error
    return found


def _with_matchers(text: str) -> ast.VectorSelector:
    """A selector with these matchers, which may name the metric or leave that to what stands before them."""
    try:
        return _selectors(f"x{text}")[0]
    except CannotBind:
        return _selectors(text)[0]


def _named(selector: ast.VectorSelector, label: str) -> Iterable[ast.Matcher]:
    return (matcher for matcher in selector.matchers.matchers if matcher.name == label)


def _is_bound(selector: ast.VectorSelector, key: AppKey) -> bool:
    own = ("$namespace", key.namespace)
    return any(each.op == ast.MatchOp.Equal and each.value in own for each in _named(selector, "namespace"))


def _refuse_foreign(selector: ast.VectorSelector, key: AppKey) -> None:
    """Raises CannotBind for series of which the label namespace is not the namespace of the app."""
    own, same = ("$namespace", key.namespace), (ast.MatchOp.Equal, ast.MatchOp.Re)
    if any(each.op not in same or each.value not in own for each in _named(selector, "namespace")):
        raise CannotBind(f"{selector} asks for other namespaces; a query may only read the app's own namespace")
    if _is_bound(selector, key):
        return
    labels = [each.name for each in selector.matchers.matchers]
    foreign = next((name for name in labels if name.endswith("_namespace") or name == "k8s_namespace_name"), None)
    if foreign:
        raise CannotBind(f"{selector} has the namespace of the app in {foreign}; record it with a label namespace")
    if selector.name and ":" in selector.name and "namespace" not in selector.name:
        raise CannotBind(f"{selector.name} is a recording rule; record it by (namespace), and add {_MATCHER}")
