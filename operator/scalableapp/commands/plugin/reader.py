"""ScalableApps read from the cluster."""

from scalableapp.adapters.kube_api import KubeApi, Request
from scalableapp.commands.console.cluster import with_fix
from scalableapp.commands.explain.reader import missing
from scalableapp.commands.plugin.apps import App, app_record
from scalableapp.core.children.resources import API_VERSION
from scalableapp.errors import ClusterError, NotFound


async def read_apps(api: KubeApi, namespace: str | None, selector: str | None = None) -> list[App]:
    """The apps of a namespace, of all for None, by namespace and name. Raises ClusterError with what to do."""
    place = f"/namespaces/{namespace}" if namespace else ""
    query = {"labelSelector": selector} if selector else {}
    where = f"-n {namespace}" if namespace else "--all-namespaces"
    try:
        pages = api.pages(Request("GET", f"/apis/{API_VERSION}{place}/scalableapps", query))
        apps = [app_record(item) async for page in pages for item in page.get("items") or ()]
    except NotFound as error:
        raise await missing(api, "no list of ScalableApps") from error
    except ClusterError as error:
        raise with_fix(error, "list", "scalableapps", where, "scalableapp-view (or view)") from error
    return sorted(apps, key=lambda app: (app["namespace"], app["name"]))
