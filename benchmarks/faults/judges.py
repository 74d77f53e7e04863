"""What the operator says wrongly: each function returns it, or "" where what it says is true."""

from benchmarks.faults.kube import Manifest, app_path, deployment_path
from benchmarks.faults.scene import PODS, Scene


async def ready_with_old_spec(scene: Scene) -> str:
    """Ready=True although the Deployment has not got the new image."""
    app, container = await _app(scene), await _container(scene)
    if container["image"] == app["spec"]["image"] or _condition(app, "Ready")["status"] != "True":
        return ""
    return f"Ready=True, {_condition(app, 'Ready').get('message', '')!r}, with the old image"


async def variable_not_applied(scene: Scene) -> str:
    """A variable that the schema accepts does not reach the pods."""
    app, container = await _app(scene), await _container(scene)
    wanted = {entry["name"]: entry["value"] for entry in app["spec"]["env"]}
    found = {entry["name"]: entry.get("value") for entry in container.get("env") or ()}
    return (
        "" if wanted.items() <= found.items() else f"not applied: {_condition(app, 'Ready').get('message', '')[:100]}"
    )


async def quota_not_named(scene: Scene) -> str:
    """Pods are missing for a quota, and no condition says so."""
    app = await _app(scene)
    messages = [entry.get("message", "") for entry in app["status"]["conditions"]]
    if any("quota" in message.lower() for message in messages):
        return ""
    return f"the quota is not named: {_condition(app, 'Ready').get('message', '')!r}"


async def image_not_named(scene: Scene) -> str:
    """New pods cannot pull their image, and no condition says so."""
    messages = [entry.get("message", "") for entry in (await _app(scene))["status"]["conditions"]]
    return "" if any("ImagePullBackOff" in message for message in messages) else "the missing image is not named"


async def status_stays_wrong(scene: Scene) -> str:
    """What somebody else wrote into the status stays."""
    number = (await _app(scene))["status"].get("desiredReplicas")
    return f"desiredReplicas: {number}" if number == 99 else ""


async def pause_stays(scene: Scene) -> str:
    """The Deployment stays paused, and Ready says nothing of it."""
    deployment = await scene.kube.get(deployment_path(scene.shop)) or {}
    ready = _condition(await _app(scene), "Ready")
    if not deployment.get("spec", {}).get("paused") or "paused" in ready.get("message", ""):
        return ""
    return "the Deployment is paused, and Ready says nothing of it"


async def missing_samples_not_told(scene: Scene) -> str:
    """3 of 5 pods gave no sample, and no condition says so."""
    conditions: list[Manifest] = (await _app(scene))["status"]["conditions"]
    counted = ("3 of 5 pods", "2 of 5 ready pods have")
    found = any(words in entry["message"] for entry in conditions for words in counted)
    return "" if found else "3 of 5 pods gave no sample, and no condition says so"


async def window_cut(scene: Scene) -> str:
    """Pods were taken away before the app's window of 300 s had passed."""
    number = scene.replicas.of(scene.shop)
    return f"{number} of {PODS} pods are left within the window of 300 s" if number < PODS else ""


async def lost_pods_not_told(scene: Scene) -> str:
    """2 of 5 pods are on a node that is lost, and Ready says nothing of it."""
    message: str = _condition(await _app(scene), "Ready").get("message", "")
    return "" if "3 of 5 pods" in message else f"2 of 5 pods are lost: {message!r}"


async def limits_unread(scene: Scene) -> str:
    """The size limits of every namespace are unknown, for one that cannot be read."""
    unread = "Size limits could not be read" in scene.operator.log.read_text(errors="replace")
    return "the size limits of no namespace are read" if unread else ""


async def _app(scene: Scene) -> Manifest:
    return await scene.kube.get(app_path(scene.shop)) or {}


async def _container(scene: Scene) -> Manifest:
    deployment = await scene.kube.get(deployment_path(scene.shop)) or {}
    container: Manifest = deployment["spec"]["template"]["spec"]["containers"][0]
    return container


def _condition(app: Manifest, kind: str) -> Manifest:
    found: list[Manifest] = [entry for entry in app["status"]["conditions"] if entry["type"] == kind]
    return found[0]
