"""The Kubernetes API as a small watcher needs it: requests as JSON, and local copies of collections.

The official client would bring 28 packages, 126 MB and 45 MiB of memory for the four requests made here.
`cluster/dns` and `cluster/ingress` are images of their own and have the same file; a test keeps the copies equal.
"""

import json
import logging
import os
import random
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import urllib3

log = logging.getLogger(__name__)

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
CONNECT_SECONDS = 3
READ_SECONDS = 30
# The API server ends a watch after this time; it is begun again with a fresh list, so that nothing stays missed.
WATCH_SECONDS = 300
# Between these, by chance, so that many clients don't come back together.
RETRY_SECONDS = (0.5, 3.0)

Object = Mapping[str, Any]


class ApiError(Exception):
    """The API server refused a request; `status` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status} {message}")
        self.status = status


class Api:
    """The API server, by its address and the files of a service account."""

    def __init__(self, server: str, token: Path | None = None, authority: Path | None = None) -> None:
        self._server = server
        self._token = token
        self._pool = urllib3.PoolManager(retries=False, maxsize=8, ca_certs=str(authority) if authority else None)

    @classmethod
    def in_cluster(cls) -> "Api":
        """Return the API server of the cluster that this pod runs in.

        Raises:
            KeyError: not in a pod.
        """
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        bracketed = f"[{host}]" if ":" in host else host
        return cls(f"https://{bracketed}:{port}", ACCOUNT / "token", ACCOUNT / "ca.crt")

    def request(self, method: str, path: str, body: Object | None = None) -> Any:
        """Send one request, `body` as JSON (a PATCH as JSON merge patch), and return the JSON of the answer.

        Raises:
            ApiError: the API server refused it.
            urllib3.exceptions.HTTPError: no answer.
        """
        return self._open(method, path, READ_SECONDS, body).json()

    def watch(self, path: str, query: str) -> urllib3.BaseHTTPResponse:
        """Open a watch, which iterates over lines of JSON. Raises as `request` does."""
        query = f"{query}&watch=1&timeoutSeconds={WATCH_SECONDS}"
        return self._open("GET", f"{path}?{query}", WATCH_SECONDS + READ_SECONDS, stream=True)

    def _open(
        self, method: str, path: str, read_seconds: float, body: Object | None = None, stream: bool = False
    ) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if method == "PATCH":
            headers["Content-Type"] = "application/merge-patch+json"
        if self._token:
            headers["Authorization"] = f"Bearer {self._token.read_text()}"  # read each time: it is rotated
        response = self._pool.request(
            method,
            self._server + path,
            body=json.dumps(body) if body is not None else None,
            headers=headers,
            preload_content=not stream,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=read_seconds),
        )
        if response.status >= 300:
            raise ApiError(response.status, response.data.decode(errors="replace")[:500])
        return response


class Collection:
    """A local copy of one Kubernetes collection, as JSON objects."""

    def __init__(self, api: Api, path: str, on_change: Callable[[], object], selector: str = "") -> None:
        """Make an empty copy.

        Args:
            api: where the collection is.
            path: its path, such as `/api/v1/services`.
            on_change: called from the following thread after the first list and after every change.
            selector: a query that narrows it, such as `fieldSelector=type%3Dkubernetes.io/tls`.
        """
        self.synced = threading.Event()
        self._api = api
        self._path = path
        self._on_change = on_change
        self._selector = selector
        self._stopped = threading.Event()
        self._objects: dict[tuple[str, str], Object] = {}
        self._lock = threading.Lock()

    def objects(self) -> list[Object]:
        """Return the objects known now."""
        with self._lock:
            return list(self._objects.values())

    def start(self) -> None:
        """Follow the collection in a daemon thread."""
        threading.Thread(target=self._follow, name=f"follow {self._path}", daemon=True).start()

    def stop(self) -> None:
        """Follow no longer than the watch that is open."""
        self._stopped.set()

    def _follow(self) -> None:
        while not self._stopped.is_set():
            try:
                self._watch(self._list())
            except (ApiError, urllib3.exceptions.HTTPError, OSError, ValueError, LookupError) as error:
                delay = random.uniform(*RETRY_SECONDS)  # noqa: S311 - jitter is no secret
                log.warning(
                    "cannot follow %s: %s; what is known stays in use, next try in %.1f s", self._path, error, delay
                )
                self._stopped.wait(delay)

    def _list(self) -> str:
        listing = self._api.request("GET", f"{self._path}?{self._selector}")
        with self._lock:
            self._objects = {_key(item): item for item in listing["items"]}
        self.synced.set()
        self._on_change()
        return str(listing["metadata"]["resourceVersion"])

    def _watch(self, resource_version: str) -> None:
        response = self._api.watch(self._path, f"{self._selector}&resourceVersion={resource_version}")
        try:
            for line in response:
                event = json.loads(line)
                self._apply(event["type"], event["object"])
        finally:
            response.close()

    def _apply(self, change: str, item: Object) -> None:
        if change == "ERROR":  # most often 410: the version is too old to watch from
            raise ApiError(item.get("code", 0), item.get("message", "watch ended"))
        with self._lock:
            if change == "DELETED":
                self._objects.pop(_key(item), None)
            else:
                self._objects[_key(item)] = item
        self._on_change()


def _key(item: Object) -> tuple[str, str]:
    return item["metadata"].get("namespace", ""), item["metadata"]["name"]
