"""What could stand at the end of a command line, by the parser's own commands, options and arguments."""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple


class Source(StrEnum):
    """Where the candidates come from."""

    STATED = "stated"  # those in the answer
    FILES = "files"
    NAMESPACES = "namespaces"
    CONTEXTS = "contexts"
    APPS = "apps"
    DEPLOYMENTS = "deployments"
    TARGETS = "targets"  # KIND/NAME; deployments until a kind is written
    NOTHING = "nothing"


class Wanted(NamedTuple):
    """What the last word may become: from where, those that are known already, and what was given before it.

    `lead` is what stays in front of a candidate: "--namespace=" of "--namespace=sh".
    """

    source: Source
    stated: tuple[str, ...] = ()
    word: str = ""
    lead: str = ""
    given: dict[str, str] = {}  # noqa: RUF012 - never changed


_OF_OPTION = {"namespace": Source.NAMESPACES, "context": Source.CONTEXTS}
_OF_ARGUMENT = {
    "app": Source.APPS,
    "apps": Source.APPS,
    "deployment": Source.DEPLOYMENTS,
    "targets": Source.TARGETS,
    "spec": Source.FILES,
}
_FILES = {"kubeconfig", "svg", "trace", "report", "png", "file", "prometheus_config"}


def wanted(parser: argparse.ArgumentParser, words: Sequence[str]) -> Wanted:
    """What the last of the words may become."""
    *before, word = words or [""]
    names = _commands(parser)
    command = next((each for each in before if each in names), None)
    if command is None:
        stated = _options(parser) if word.startswith("-") else names
        return Wanted(Source.STATED, tuple(stated), word)
    chosen = names[command]
    place, given, owed = 0, {}, None
    for each in before[before.index(command) + 1 :]:
        if owed is not None:
            given[owed.dest], owed = each, None
        elif each.startswith("-"):
            name, equals, value = each.partition("=")
            owed = _taking_value(chosen, name)
            if owed is not None and equals:
                given[owed.dest], owed = value, None
        else:
            place += 1
    return _last(chosen, word, given, owed, place)


def _last(
    parser: argparse.ArgumentParser, word: str, given: dict[str, str], owed: argparse.Action | None, place: int
) -> Wanted:
    """What the word may become: an option's value, an option, or the argument at this place."""
    if owed is not None:
        return _value(owed, word, "", given, _OF_OPTION)
    name, equals, value = word.partition("=")
    if equals and (option := _taking_value(parser, name)):
        return _value(option, value, f"{name}=", given, _OF_OPTION)
    if word.startswith("-"):
        return Wanted(Source.STATED, tuple(_options(parser)), word, "", given)
    arguments = [action for action in parser._actions if not action.option_strings]  # noqa: SLF001 - argparse has no other list
    if not arguments:
        return Wanted(Source.NOTHING)
    action = arguments[min(place, len(arguments) - 1)]
    if place >= len(arguments) and action.nargs not in ("+", "*"):
        return Wanted(Source.NOTHING)
    return _value(action, word, "", given, _OF_ARGUMENT)


def _value(action: argparse.Action, word: str, lead: str, given: dict[str, str], sources: dict[str, Source]) -> Wanted:
    if action.choices:
        return Wanted(Source.STATED, tuple(map(str, action.choices)), word, lead, given)
    usual = Source.FILES if action.dest in _FILES else Source.NOTHING
    return Wanted(sources.get(action.dest, usual), (), word, lead, given)


def fitting(found: Wanted, candidates: Iterable[str]) -> list[str]:
    """Those that begin as the word does, with what stays in front of them."""
    return [f"{found.lead}{each}" for each in sorted(set(candidates)) if each.startswith(found.word)]


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:  # noqa: SLF001 - as above
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - as above
            return dict(action.choices)
    return {}


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Long names where there are such."""
    for action in parser._actions:  # noqa: SLF001 - as above
        if action.option_strings:
            yield action.option_strings[-1]


def _taking_value(parser: argparse.ArgumentParser, name: str) -> argparse.Action | None:
    """The option of that name, if it takes a value."""
    for action in parser._actions:  # noqa: SLF001 - as above
        if name in action.option_strings:
            return action if action.nargs != 0 else None
    return None
