"""The commands, each as the story of its steps."""

from . import background, docker, engine, gobuild, images, ingress, kind, kube, node_image
from .console import ClusterError, say
from .settings import CLUSTER_NAME, CONTEXT, cache_dir
from .shell import run


def up() -> None:
    """Engine, cluster, images, ingress: each step finds itself done, or does what is lacking."""
    engine.ensure()
    with background.compiling(programs_lacking()) as compiled:
        built = images.build()
        if not compiled.done:
            node_image.prepare()
        compiled.wait()
    kind.ensure()
    loaded = images.load(built)
    kind.wait_until_ready()
    kube.restart_users_of(loaded)
    ingress.ensure()
    say("ready", f"kubectl --context {CONTEXT} get pods --all-namespaces; apps answer on {ingress.URL}")


def compile_programs(groups: tuple[str, ...]) -> None:
    """Compiles groups of programs, by default those of the node image."""
    gobuild.compile_all(groups or node_image.PROGRAMS)


def programs_lacking() -> tuple[str, ...]:
    """The groups of programs that a cluster would have to be compiled from; none for one that is there or is pulled."""
    if docker.answers() and kind.nodes():
        return ()
    return node_image.PROGRAMS if node_image.must_be_built() else ()


def up_existing() -> None:
    """Says which cluster will be used; creates nothing."""
    context = kube.current_context()
    version = kube.kubectl("version", "--output", "json", context=context)
    server = version.partition('"serverVersion"')[2].partition('"gitVersion": "')[2].partition('"')[0]
    say(
        "cluster",
        f"using context {context} (Kubernetes {server}) as it is; you provide its ingress controller and images",
    )


def build_images() -> None:
    """Builds all of the project's images and says how large each is."""
    print(images.sizes(list(images.build())))


def load() -> None:
    """Rebuilds the project's images and loads those that changed."""
    _refuse_missing_cluster()
    kube.restart_users_of(images.load(images.build()))


def load_existing() -> None:
    """Loads the images when the current context is a kind cluster; else says how the cluster gets them."""
    context = kube.current_context()
    if not context.startswith("kind-"):
        names = ", ".join(image.reference for image in images.IMAGES)
        say("images", f"{context} is not a kind cluster; push these to a registry that it pulls from: {names}")
        return
    references = list(images.build())
    images.load_into(context.removeprefix("kind-"), references)
    say("images", f"loaded into {context}: {', '.join(references)}")


def _refuse_missing_cluster() -> None:
    if not kind.nodes():
        raise ClusterError(f"there is no cluster {CLUSTER_NAME} to load images into; `up` creates one.")


def status() -> int:
    """Says what runs; 0 when the cluster is usable, else 1."""
    if not docker.answers():
        say("engine", "no Docker engine answers; `up` starts one")
        return 1
    nodes = kind.nodes()
    if not nodes:
        say("cluster", f"there is no cluster {CLUSTER_NAME}; `up` creates one")
        return 1
    for node in nodes:
        say("cluster", f"{node.name} is {node.state}, made from {node.image}")
    if any(node.state != "running" for node in nodes) or not kube.is_ready():
        say("cluster", "its API server or a node is not ready; `up` repairs it")
        return 1
    say("cluster", f"is ready; kubectl context {CONTEXT}")
    print(kube.kubectl("get", "pods", "--all-namespaces", "--output", "wide"), end="")
    return 0


def down(*, everything: bool) -> None:
    """Removes the cluster and, when everything is to go, the engine that we installed. The cache stays."""
    if engine.is_ours_but_dead():
        # What it ran can only be removed by it.
        engine.ensure()
    if docker.answers():
        kind.delete()
    else:
        say("cluster", "no Docker engine answers, so no cluster runs")
    if everything:
        engine.remove()
    if cache_dir().exists():
        size = run("du", "--summarize", "--human-readable", str(cache_dir()), timeout=120).split()[0]
        say("cache", f"{size} stay in {cache_dir()} for the next `up`; remove them with: rm -r {cache_dir()}")
