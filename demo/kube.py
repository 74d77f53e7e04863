"""Watching one app in the cluster: every version of its Deployment and its ScalableApp, as it comes."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Full, Queue
from typing import Any

from kubernetes import client, config, watch
from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

from demo.errors import DemoError

GROUP, VERSION, PLURAL = "scalableapp.io", "v1alpha1", "scalableapps"
# A watch is renewed this often, so that one that went silent does not stay so.
WATCH_SECONDS = 5
PAUSE_SECONDS = 1.0


def api_client(context: str) -> client.ApiClient:
    """A client for the kubeconfig's `context`. Raises DemoError when there is none."""
    try:
        api: client.ApiClient = config.new_client_from_config(context=context)  # type: ignore[no-untyped-call]  # upstream
    except ConfigException as error:
        raise DemoError(
            f"the kubeconfig has no usable context {context} ({error}); `make cluster-up` creates it"
        ) from error
    return api


@contextmanager
def watching(api: client.ApiClient, namespace: str, name: str, seen: Queue[Any]) -> Iterator[None]:
    """Put (monotonic seconds, manifest) into `seen` for each version of the app's objects, until left."""
    scalable_apps = client.CustomObjectsApi(api).list_namespaced_custom_object
    questions: tuple[tuple[Any, ...], ...] = (
        (client.AppsV1Api(api).list_namespaced_deployment, namespace),
        (scalable_apps, GROUP, VERSION, namespace, PLURAL),
    )
    done = threading.Event()
    threads = [threading.Thread(target=_follow, args=(ask, name, seen, done), daemon=True) for ask in questions]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join(WATCH_SECONDS + PAUSE_SECONDS)


def _follow(question: tuple[Any, ...], name: str, seen: Queue[Any], done: threading.Event) -> None:
    limits = {"timeout_seconds": WATCH_SECONDS, "_request_timeout": WATCH_SECONDS + 5}
    while not done.is_set():
        # The client library annotates none of this.
        watcher: Any = watch.Watch()  # type: ignore[no-untyped-call]
        try:
            for event in watcher.stream(*question, field_selector=f"metadata.name={name}", **limits):
                seen.put((time.monotonic(), event["raw_object"]), timeout=PAUSE_SECONDS)
        except (client.ApiException, HTTPError, Full):
            # Whoever reads notices that nothing comes; here is only to try again.
            done.wait(PAUSE_SECONDS)
