"""The cluster as commands at a terminal use it: a connection for as long as one command lasts."""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from scalableapp.adapters.kube_api import Denied, KubeApi
from scalableapp.adapters.kubeconfig import access
from scalableapp.errors import ClusterError, Rejected, Unavailable

TIMEOUT_SECONDS = 10.0
TRIES = 2


class Connection(NamedTuple):
    """The API server, and the namespace in which things are looked for unless one is named."""

    api: KubeApi
    namespace: str


@asynccontextmanager
async def connected(options: argparse.Namespace, timeout_seconds: float = TIMEOUT_SECONDS) -> AsyncIterator[Connection]:
    """The cluster that --kubeconfig and --context name. Raises Rejected when they name none."""
    found = await access(options.kubeconfig, options.context)
    api = KubeApi(found.configuration, timeout_seconds=timeout_seconds)
    try:
        yield Connection(api, options.namespace or found.namespace)
    finally:
        await api.close()


def with_fix(error: ClusterError, verb: str, what: str, where: str, role: str) -> ClusterError:
    """The error for a user at a terminal, with how to fix it."""
    if isinstance(error, Denied):
        return Rejected(
            f"{error.answer}; check with kubectl auth can-i {verb} {what} {where}; the role {role} grants it"
        )
    if isinstance(error, Unavailable):
        return Unavailable(f"{error}; check whether kubectl reaches the cluster with the same context")
    return error
