"""The documentation's commands on the real cluster: the app `web` in the namespace `shop` is the one they speak of.

What a page's kubectl would change is sent as a server's dry run, so that the pages may be tried in any order.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cluster.shop import CONTEXT, SMALL, Shop, eventually, kubectl
from tests.docs.pages import ROOT, Block, apps, runnable
from tests.docs.running import run, scratch_copy

# The pages' app has a name and a namespace that is not of the test's own.
pytestmark = [pytest.mark.cluster, pytest.mark.alone]

# Turns what changes something into a dry run; flags before the verb that have a value are stepped over.
_KUBECTL = """\
#!/usr/bin/env bash
verb=
for ((i = 1; i <= $#; i++)); do
    case "${!i}" in
        -n | --namespace | --context | --kubeconfig) ((i++)) ;;
        -*) ;;
        *) verb="${!i}"; break ;;
    esac
done
case "$verb" in
    apply | create | delete | patch | scale | annotate | label | replace) set -- "$@" --dry-run=server ;;
esac
exec %s "$@"
"""


@pytest.fixture(scope="module")
def web(operator: str) -> Iterator[Shop]:
    """The app that the pages speak of, running, but for the size of its pods as the README has it."""
    shop = Shop("shop")
    example = yaml.safe_load((ROOT / "docs/examples/shop.yaml").read_text())
    kubectl("create", "namespace", shop.namespace)
    try:
        shop.kubectl("apply", "-f", "-", text=json.dumps(example | {"spec": example["spec"] | {"resources": SMALL}}))
        eventually(lambda: _both_ready(shop))
        yield shop
    finally:
        kubectl("delete", "namespace", shop.namespace, "--wait=false")


def _both_ready(shop: Shop) -> None:
    assert shop.condition("Ready")[2] == "Deployed as specified; 2 of 2 pods are ready"


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a kubectl that changes nothing, and a kubeconfig that knows this cluster alone."""
    folder = tmp_path_factory.mktemp("programs")
    found = shutil.which("kubectl")
    assert found, "kubectl is not on PATH; make cluster-up installs it"
    (folder / "kubectl").write_text(_KUBECTL % found)
    (folder / "kubectl").chmod(0o755)
    (folder / "config").write_text(kubectl("config", "view", "--minify", "--flatten"))
    return folder


@pytest.mark.parametrize("block", runnable(on_cluster=True), ids=lambda block: block.place)
def test_commands_work_on_the_cluster(block: Block, web: Shop, programs: Path, tmp_path: Path) -> None:
    scratch_copy(tmp_path)
    run(block, tmp_path, [programs], KUBECONFIG=str(programs / "config"))


def test_the_api_server_takes_every_scalableapp_that_is_shown(web: Shop) -> None:
    samples = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "manifests/samples").glob("*.yaml"))]
    shown = [app | {"metadata": {"name": app["metadata"]["name"]}} for app in apps()]
    everything = {"apiVersion": "v1", "kind": "List", "items": [*shown, *samples]}
    output = kubectl("apply", "--dry-run=server", "-f", "-", text=json.dumps(everything))
    assert output.count("(server dry run)") == len(shown) + len(samples)


@pytest.mark.parametrize(
    "arguments", [["-n", "shop", "delete", "sapp", "web"], ["scale", "sapp", "web", "-n", "shop", "--replicas=7"]]
)
def test_what_a_page_changes_is_a_dry_run(arguments: list[str], web: Shop, programs: Path) -> None:
    before = web.get("sapp")["spec"]
    command = [str(programs / "kubectl"), "--kubeconfig", str(programs / "config"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "dry run" in done.stdout, (CONTEXT, done.stderr)
    assert web.get("sapp")["spec"] == before
