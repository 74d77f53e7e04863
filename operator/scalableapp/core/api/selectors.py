"""Matchers that go into every selector of a query, such as cluster="prod-1" where several clusters share a store.

A brace outside of a string begins a selector and nothing else in PromQL, so every selector is found without parsing.
"""

import re

import promql_parser as ast

_TEXT = r""" "(?:[^"\\\n]|\\.)*" | '(?:[^'\\\n]|\\.)*' | `[^`]*` """
_BRACE_OR_TEXT = re.compile(rf"{_TEXT} | \{{ (?: \s*\}} )?", re.VERBOSE | re.DOTALL)
_OF_THE_OPERATOR = {"__name__", "namespace", "pod", "container", "le"}


def parse_matchers(text: str) -> str:
    """Matchers as they go between braces. Raises ValueError that says what is wrong with them."""
    inner = text.strip()
    inner = inner[1:-1] if inner.startswith("{") and inner.endswith("}") else inner
    inner = inner.strip().rstrip(",")
    if not inner:
        return ""
    try:
        parsed = ast.parse(f"up{{{inner}}}")
    except ValueError as error:
        raise ValueError(f'is not a list of matchers ({error}); write cluster="prod-1",env="live"') from error
    if not isinstance(parsed, ast.VectorSelector) or parsed.matchers.or_matchers or parsed.offset or parsed.at:
        raise ValueError('is not a list of matchers; write cluster="prod-1",env="live"')
    own = sorted({matcher.name for matcher in parsed.matchers.matchers} & _OF_THE_OPERATOR)
    if own:
        raise ValueError(f"matches {', '.join(own)}, which the operator does itself; remove it")
    return inner


def with_matchers(query: str, matchers: str) -> str:
    """The query with `matchers` in each of its selectors, all of which have braces."""
    if not matchers:
        return query

    def added(found: re.Match[str]) -> str:
        if not found[0].startswith("{"):
            return found[0]
        return f"{{{matchers}}}" if found[0].endswith("}") else f"{{{matchers},"

    return _BRACE_OR_TEXT.sub(added, query)


def with_braces(query: str, name: str) -> str:
    """The query with braces after each selector that is the bare `name` of a metric."""
    bare = re.compile(rf"{_TEXT} | (?<![\w:.]) {re.escape(name)} (?![\w:.]) (?! \s* [({{=!] )", re.VERBOSE | re.DOTALL)
    return bare.sub(lambda found: f"{name}{{}}" if found[0] == name else found[0], query)
