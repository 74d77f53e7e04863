"""What browsers are told not to do with an answer, on every answer, static files included."""

from wsgiref.headers import Headers

from flask import Flask, Response

HEADERS = {
    # Scripts, styles and pictures come from the application's own files; nothing is inline, nobody frames a page.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    # What is no script is not run as one, whatever it looks like.
    "X-Content-Type-Options": "nosniff",
    # For browsers that do not know frame-ancestors.
    "X-Frame-Options": "DENY",
    # Other sites learn nothing of paths and queries.
    "Referrer-Policy": "same-origin",
}


def init_app(app: Flask) -> None:
    """Add them to every answer of `app`, unless its view has set its own."""
    app.after_request(_add)


def of_file(headers: Headers, _path: str, _url: str) -> None:
    """For WhiteNoise, which answers before Flask."""
    for name, value in HEADERS.items():
        headers[name] = value


def _add(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response
