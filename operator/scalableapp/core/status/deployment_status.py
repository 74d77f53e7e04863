"""What the conditions of an app's Deployment say of pods that cannot be created and rollouts that do not proceed."""

import re
from collections.abc import Mapping
from typing import Any

from scalableapp.core.status.conditions import AppProblem

# The name is another one with each attempt, so that the same refusal would be news each time.
_OF_A_POD = re.compile(r'^pods "[^"]*" is forbidden: ')
_LONGEST = 500


def deployment_problem(status: Mapping[str, Any]) -> AppProblem | None:
    """Why the Deployment's controller cannot bring its pods in line with the Deployment, if it says so.

    ReplicaFailure: the API server refuses its pods: a quota, an admission webhook or policy, a missing ServiceAccount.
    """
    conditions = {entry.get("type"): entry for entry in status.get("conditions") or ()}
    failure, progress = conditions.get("ReplicaFailure", {}), conditions.get("Progressing", {})
    if failure.get("status") == "True":
        return AppProblem("ReplicaFailure", f"pods cannot be created: {_said(failure)}", holds=False)
    if progress.get("status") != "False":
        return None
    if progress.get("reason") == "ProgressDeadlineExceeded":
        message = f"the rollout has made no progress for too long: {_said(progress)}"
        return AppProblem("ProgressDeadlineExceeded", message, holds=False)
    return AppProblem("ReplicaFailure", f"the rollout cannot begin: {_said(progress)}", holds=False)


def _said(entry: Mapping[str, Any]) -> str:
    message = _OF_A_POD.sub("", " ".join(str(entry.get("message") or entry.get("reason")).split()))
    return message if len(message) <= _LONGEST else f"{message[:_LONGEST]}..."
