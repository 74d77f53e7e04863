"""Counts the rooms of a package, the imports between them, and its floors: rooms.py [PACKAGE] [PACKAGE ...].

A room is a subpackage with all that is in it, or a module that stands in the package itself. The floors are the rooms
on the longest chain of imports; where imports go round in a circle there are none.
"""

import sys
from graphlib import CycleError, TopologicalSorter

import grimp

_DEFAULT = ("scalableapp", "scalableapp.core")


def report(graph: grimp.ImportGraph, package: str) -> str:
    """One line about a package."""
    rooms = graph.find_children(package)
    imports = {room: _imported(graph, room, rooms) for room in rooms}
    count = sum(len(found) for found in imports.values())
    return f"{package}: {len(rooms)} rooms, {count} imports between them, {_floors(imports)} floors"


def _imported(graph: grimp.ImportGraph, room: str, rooms: set[str]) -> set[str]:
    """The rooms of which anything in a room imports anything."""
    modules = {room, *graph.find_descendants(room)}
    targets = {target for module in modules for target in graph.find_modules_directly_imported_by(module)}
    return {other for other in rooms - {room} for target in targets if f"{target}.".startswith(f"{other}.")}


def _floors(imports: dict[str, set[str]]) -> int | str:
    floor: dict[str, int] = {}
    try:
        for room in TopologicalSorter(imports).static_order():
            floor[room] = 1 + max((floor[below] for below in imports[room]), default=0)
    except CycleError as error:
        return f"no (a circle: {' -> '.join(error.args[1])})"
    return max(floor.values(), default=0)


if __name__ == "__main__":
    packages = sys.argv[1:] or _DEFAULT
    graph = grimp.build_graph(packages[0].partition(".")[0])
    print("\n".join(report(graph, package) for package in packages))
