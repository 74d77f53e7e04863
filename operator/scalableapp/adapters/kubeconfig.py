"""How a person at a terminal reaches a cluster: by the kubeconfig, as kubectl does."""

import os
from pathlib import Path
from typing import NamedTuple

from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config.config_exception import ConfigException
from kubernetes.aio.config.kube_config import KubeConfigLoader, KubeConfigMerger, load_kube_config

from scalableapp.adapters.kube_api import load_configuration
from scalableapp.errors import Rejected


class Access(NamedTuple):
    """The connection to a cluster, and the default namespace."""

    configuration: Configuration
    namespace: str = "default"


async def access(kubeconfig: str | None = None, context: str | None = None) -> Access:
    """By the file(s) `kubeconfig` (else KUBECONFIG, else ~/.kube/config) and its `context` (else the current one).

    Without any such file, and where none was asked for, as the pod's ServiceAccount. Raises Rejected when none of it
    serves.
    """
    named = kubeconfig or os.environ.get("KUBECONFIG")
    files = named or "~/.kube/config"
    if not _exist(files):
        if named or context:
            raise Rejected(f"There is no kubeconfig at {files}; set --kubeconfig or KUBECONFIG to its path")
        return Access(await load_configuration())
    configuration = Configuration()
    try:
        await load_kube_config(files, context, client_configuration=configuration)  # type: ignore[no-untyped-call]  # untyped library
        return Access(configuration, _namespace(files, context))
    except (ConfigException, OSError, ValueError) as error:
        raise Rejected(
            f"The kubeconfig {files} is not usable: {error}; kubectl config get-contexts lists what --context accepts"
        ) from error


def contexts(kubeconfig: str | None = None) -> list[str]:
    """Names of the contexts of the file(s). Raises Rejected where they cannot be read."""
    files = kubeconfig or os.environ.get("KUBECONFIG") or "~/.kube/config"
    try:
        merged = KubeConfigMerger(files).config if _exist(files) else None  # type: ignore[no-untyped-call]  # as above
        return [str(entry["name"]) for entry in merged.value["contexts"]] if merged else []
    except (ConfigException, OSError, ValueError, TypeError, KeyError) as error:
        raise Rejected(f"The kubeconfig {files} is not usable: {error}") from error


def _exist(files: str) -> bool:
    return any(Path(file).expanduser().is_file() for file in files.split(os.pathsep))


def _namespace(files: str, context: str | None) -> str:
    """That of the context. The library's own list of contexts needs a current one, even where another is asked for."""
    merged = KubeConfigMerger(files).config  # type: ignore[no-untyped-call]  # as above
    chosen = KubeConfigLoader(merged, active_context=context).current_context  # type: ignore[no-untyped-call]  # as above
    return str(chosen["context"].get("namespace") or "default")
