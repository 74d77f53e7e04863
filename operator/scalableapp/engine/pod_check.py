"""Pods that an author shapes are checked before anything of the app changes: by the operator's policy, then a dry run.

Where they are refused, the running app stays as it is, and goes on being scaled.
"""

from scalableapp.core.api.spec import ScalableAppSpec
from scalableapp.core.children.drift import ANNOTATION_SPEC_HASH, deviations, owned_by
from scalableapp.core.children.pod_policy import PodTemplatePolicy
from scalableapp.core.children.resources import pod_problem
from scalableapp.core.status.conditions import AppProblem
from scalableapp.engine.record import AppRecord
from scalableapp.errors import Rejected
from scalableapp.ports import Cluster, Manifest

# Of the operator's own rights, which no author can mend.
_NOT_THE_AUTHORS = ("cannot patch resource", "cannot create resource", ": 401 ")


class PodCheck:
    """Knows what authors may give their pods."""

    def __init__(self, cluster: Cluster, policy: PodTemplatePolicy) -> None:
        self._cluster = cluster
        self._policy = policy

    async def passes(self, record: AppRecord, spec: ScalableAppSpec, deployment: Manifest) -> bool:
        """Whether the app's pods may be made; else the record has the problem.

        Raises Rejected where the API server refuses them, for it may be asked again, and what else a dry run raises.
        """
        if problem := pod_problem(record.key, spec, self._policy):
            record.problem = AppProblem("InvalidSpec", f"{problem}; the running app stays as it is", holds=False)
            return False
        if spec.shapes_pods and await self._changes(record, deployment):
            await self._dry_run(record, deployment)
        return True

    async def _dry_run(self, record: AppRecord, deployment: Manifest) -> None:
        try:
            await self._cluster.check(deployment)
        except Rejected as error:
            if not any(words in str(error) for words in _NOT_THE_AUTHORS):
                message = (
                    f"the API server refuses the pods that spec makes, and nothing was changed: {error}; correct "
                    "spec.podTemplate or spec.mounts. kubectl scalableapp render shows the Deployment"
                )
                record.problem = AppProblem("InvalidSpec", message, holds=False)
            raise

    async def _changes(self, record: AppRecord, deployment: Manifest) -> bool:
        """Whether it is to be applied. One that is somebody else's is not, which is found out later."""
        child = record.children.get(record.deployment_id)
        if child is None:
            live = await self._cluster.read(deployment)
            return live is None or owned_by(live, record.uid)
        spec_hash = deployment["metadata"]["annotations"][ANNOTATION_SPEC_HASH]
        if child.owner != record.uid or child.synced_hash == spec_hash:
            return False
        return child.live is None or bool(deviations(child.live, deployment))
