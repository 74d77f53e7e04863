"""Keeps functions and modules short: check_size.py FOLDER...

Hard stops: 400 lines a module, 50 lines a function (its docstring not counted). Also: no
operator/__init__.py, which would shadow the standard library's `operator`.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

MODULE_LINES = 400
FUNCTION_LINES = 50


def main(folders: list[str]) -> int:
    """Print each problem; 1 when there is any."""
    problems = [problem for folder in folders for path in _modules(Path(folder)) for problem in _problems(path)]
    if Path("operator/__init__.py").exists():
        problems.append("operator/__init__.py: remove it; it shadows the standard library's operator module")
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def _modules(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*.py")) if not any(part.startswith(".") for part in path.parts))


def _problems(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    lines = text.count("\n")
    if lines > MODULE_LINES:
        yield f"{path}: {lines} lines, more than {MODULE_LINES}; split it by reason to change"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = _length(node)
            if length > FUNCTION_LINES:
                yield f"{path}:{node.lineno}: {node.name} has {length} lines, more than {FUNCTION_LINES}"


def _length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and len(node.body) > 1
    start = first.end_lineno if documented and first.end_lineno else node.lineno
    return (node.end_lineno or start) - start + 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
