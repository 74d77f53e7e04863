"""PromQL of other autoscalers, which may read all namespaces, made one that an app may have."""

import promql_parser as ast

from scalableapp.core.api.promql import bind
from scalableapp.core.model import AppKey
from scalableapp.errors import SpecError

_MATCHER = 'namespace="$namespace"'


class CannotBind(ValueError):
    """Why a query cannot be limited to the app's namespace."""


def in_namespace(query: str, key: AppKey) -> tuple[str, bool]:
    """The query with namespace="$namespace" in each selector that has no such matcher, and whether any had none.

    Raises CannotBind for series that carry another namespace than the app's, and for what the operator refuses.
    """
    added = []

    def bound(node: ast.Expr) -> ast.Expr | None:
        if not isinstance(node, ast.VectorSelector):
            return None
        if any(_is_bound(matcher, key) for matcher in node.matchers.matchers):
            return None
        _refuse_foreign(node)
        added.append(node)
        return ast.parse(_with_matcher(node))

    try:
        tree = ast.parse(query)
        text = query.strip() if _all_bound(tree, key) else " ".join(ast.transform(tree, bound).prettify().split())
    except ValueError as error:
        raise error if isinstance(error, CannotBind) else CannotBind(f"it is not valid PromQL: {error}") from error
    try:
        bind(text, key, 0)
    except SpecError as error:
        raise CannotBind(f"it {error.problems[0].problem}; {error.problems[0].fix}") from error
    return text, bool(added)


def _all_bound(tree: ast.Expr, key: AppKey) -> bool:
    missing = []

    def look(node: ast.Expr) -> bool:
        if isinstance(node, ast.VectorSelector):
            missing.extend([] if any(_is_bound(each, key) for each in node.matchers.matchers) else [node])
        return True

    ast.walk(tree, look)
    return not missing


def _is_bound(matcher: ast.Matcher, key: AppKey) -> bool:
    own = matcher.value in ("$namespace", key.namespace)
    return matcher.name == "namespace" and matcher.op == ast.MatchOp.Equal and own


def _refuse_foreign(selector: ast.VectorSelector) -> None:
    """Raises CannotBind for series of which "namespace" is not the namespace of the app."""
    labels = {matcher.name: matcher for matcher in selector.matchers.matchers}
    if "namespace" in labels:
        raise CannotBind(f"{selector} asks for another namespace; a query may read the namespace of the app only")
    foreign = next((name for name in labels if name.endswith("_namespace") or name == "k8s_namespace_name"), None)
    if foreign:
        raise CannotBind(f"{selector} has the namespace of the app in {foreign}; record it with a label namespace")
    if selector.name and ":" in selector.name and "namespace" not in selector.name:
        raise CannotBind(f"{selector.name} is a recording rule; record it by (namespace), and add {_MATCHER}")


def _with_matcher(selector: ast.VectorSelector) -> str:
    text = selector.prettify()
    if "{" in text:
        return text.replace("{", f"{{{_MATCHER},", 1)
    return text.replace(str(selector.name), f"{selector.name}{{{_MATCHER}}}", 1)
