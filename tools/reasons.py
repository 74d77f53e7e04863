"""Every reason that a condition, a decision or an Event can carry: what it means, and what to do.

docs/api.md prints these tables. tests/docs/test_reasons.py compares them with the code.
"""

from tools.condition_reasons import CONDITIONS, Reason

__all__ = ["CONDITIONS", "DECISIONS", "EVENTS", "Reason", "explained"]

DECISIONS: tuple[Reason, ...] = (
    Reason("DesiredWithinRange", "the replicas are what the metrics need"),
    Reason("Activated", "a metric rose above its activationTarget: 1 replica"),
    Reason("Inactive", "every metric is at or below its activationTarget: 0 replicas"),
    Reason("Burst", "sudden load in the short window adds pods, or keeps them"),
    Reason("Predicted", "the load is predicted to rise before new pods would be ready"),
    Reason("DryRun", "`spec.scaling.dryRun` prevents the change", "remove dryRun to allow changes"),
    Reason("RequestsRaised", "usage needs a larger request"),
    Reason("RequestsCut", "usage needs a smaller request"),
    Reason("CPUPressure", "pods are throttled or wait for CPU: the request is raised at once"),
    Reason("OOMKilled", "a pod was OOM-killed: the request is raised at once"),
    Reason("RequestSet", "there was no request"),
    Reason("LimitSet", "the limit follows `vertical.limits`"),
    Reason("SizeKept", "the size fits, or a change waits; the message says which"),
    Reason("PodsUnsettled", "pods restart or a rollout is in progress: the usage is not representative"),
    Reason("AwaitingHistory", "after a restart the usage history is being loaded", "wait a minute"),
    Reason("ResizeInProgress", "a change of size is in progress"),
    Reason("BackOff", "this size was rolled back a short while ago", "wait, or set maxAllowed"),
    Reason("ReplicasFirst", "replicas change first; sizes wait"),
)

EVENTS: tuple[Reason, ...] = (
    Reason("SuccessfulRescale", "Normal: the replica count was changed; the message is that of the decision"),
    Reason("TargetLeft", "Normal: the ScalableApp was deleted, and its workload stays with the replicas that it has"),
    Reason(
        "VolumesDeleted",
        "Warning: the StatefulSet deletes the volumes of each pod that a scale-down removes "
        "(`persistentVolumeClaimRetentionPolicy.whenScaled: Delete`)",
        "set it to Retain, or state `scaleDown.selectPolicy: Disabled`, if the data matters",
    ),
    Reason("Recreated", "Normal: the Deployment was deleted, and has been recreated with the replicas that it had"),
    Reason("Reverted", "Normal: somebody changed an object of the app; the message names the fields, and who it was"),
    Reason("Resizing", "Normal: a change of size begins"),
    Reason("FirstPodPassed", "Normal: the first pod is healthy; the others follow"),
    Reason("Resized", "Normal: all pods have the new size"),
    Reason("ResizeByRollout", "Normal: the resize in place did not work; a rollout applies the size"),
    Reason("StillTooSmall", "Warning: a pod was OOM-killed after memory was raised; memory is raised again"),
    Reason(
        "ResizeRolledBack",
        "Warning: the new size caused problems; all pods return to the last good size",
        "read the message",
    ),
    Reason(
        "MountNotFollowed",
        "Warning: an app mounts a Secret that the operator may not list, so a change of it starts no rollout",
        "apply the component `rollout-on-secrets`, or restart the pods after a change",
    ),
    Reason("SizeRestored", "Normal: all pods have the last good size again"),
)


def explained() -> frozenset[str]:
    """The names of all reasons in these tables."""
    tables = (*CONDITIONS.values(), DECISIONS, EVENTS)
    return frozenset(reason.name for table in tables for reason in table)
