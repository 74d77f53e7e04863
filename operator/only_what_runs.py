"""Run once, when the image is built: compiles what the operator loads, and drops generated code that it never does.

Bytecode is checked by nothing (`unchecked-hash`): it holds no time, so every build makes the same, and a start under
a read-only root compiles nothing. Of the Kubernetes client the operator uses connection and authentication; the
generated classes of its typed API, 1,800 files and 70 MB, are loaded by nobody.
"""

import importlib
import py_compile
import sys
from pathlib import Path

GENERATED = ("client/api", "client/models", "aio/client/api", "aio/client/models")


def loaded_files() -> set[Path]:
    """The Python files that the operator's process loads."""
    importlib.import_module("scalableapp.process")
    origins = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    return {Path(origin) for origin in origins if origin and origin.endswith(".py")}


def main() -> None:
    """Compiles and drops, below the virtual environment and the folder it runs in."""
    loaded = loaded_files()
    for file in sorted(path for path in loaded if path.is_relative_to(sys.prefix) or path.is_relative_to(Path.cwd())):
        py_compile.compile(str(file), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    client = Path(sys.modules["kubernetes"].__file__ or "").parent
    for file in (path for folder in GENERATED for path in (client / folder).rglob("*.py")):
        if file not in loaded:
            file.unlink()


if __name__ == "__main__":
    main()
