"""Static files whose names hold a hash of their content, compressed once, when the image is built.

A changed file has another name, so browsers and edge caches may keep each for ever, and a rollout never shows an old
style sheet on a new page. WhiteNoise serves them from the folder, gzip or brotli as the client asks, before Flask:
neither metrics nor the access log see them, as they are no load to scale on.

python -m sample_app.assets FOLDER
"""

import hashlib
import json
import sys
from pathlib import Path

from flask import Flask
from whitenoise import WhiteNoise
from whitenoise.compress import Compressor

from sample_app import security_headers

SOURCES = Path(__file__).parent / "static"
PREFIX = "/static/"
# Of a file under its own name, for developers; those with a hash are immutable.
MAX_AGE_SECONDS = 60
_DIGITS = 16
_HASHED = rf"\.[0-9a-f]{{{_DIGITS}}}\.[a-z0-9]+$"
_MANIFEST = "manifest.json"
_ICON = "icon.svg"


def build(target: Path, sources: Path = SOURCES) -> dict[str, str]:
    """Write every source to `target` under its hashed name, with .gz and .br beside it; return name -> hashed name.

    Raises OSError.
    """
    target.mkdir(parents=True, exist_ok=True)
    compressor = Compressor(quiet=True)
    names = {}
    for source in sorted(sources.iterdir()):
        content = source.read_bytes()
        hashed = f"{source.stem}.{hashlib.sha256(content).hexdigest()[:_DIGITS]}{source.suffix}"
        (target / hashed).write_bytes(content)
        if compressor.should_compress(hashed):
            compressor.compress(str(target / hashed))
        names[source.name] = hashed
    (target / _MANIFEST).write_text(json.dumps(names))
    return names


def init_app(app: Flask, folder: Path | None) -> None:
    """Serve the files under PREFIX, and give templates `asset(name)`: the address of a file.

    Args:
        app: the application.
        folder: what `build` has written; None serves the sources under their own names.
    """
    names = json.loads((folder / _MANIFEST).read_text()) if folder else {}

    def asset(name: str) -> str:
        return f"{PREFIX}{names.get(name, name)}"

    app.jinja_env.globals["asset"] = asset
    files = folder or SOURCES
    served = WhiteNoise(
        app.wsgi_app,
        files,
        PREFIX,
        max_age=MAX_AGE_SECONDS,
        immutable_file_test=_HASHED,
        add_headers_function=security_headers.of_file,
    )
    # Every browser asks for it beside its first page, JSON or HTML: a miss each time would be work for nothing.
    served.add_file_to_dictionary("/favicon.ico", str(files / names.get(_ICON, _ICON)))
    app.wsgi_app = served  # type: ignore[method-assign]  # Flask's documented way


if __name__ == "__main__":
    build(Path(sys.argv[1]))
