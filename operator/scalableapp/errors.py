"""Our errors, all of them.

* ScalableAppError
  * SpecError             the user's ScalableApp is wrong: names the field and the fix
  * SettingsError         a variable of the operator's own environment is wrong
  * WrongAddress          the address of Prometheus cannot be used
  * WrongConnection       the file that states the connection to Prometheus cannot be used
  * MetricsUnavailable    Prometheus gave nothing to decide on
  * ClusterError          the Kubernetes API refused or failed
    x NotFound            the object is gone: forget it
    x Conflict            somebody else owns the field or was faster
    x Rejected            the API server will refuse the same request again (400, 403, 413, 422)
    x Terminating         the namespace is being deleted: nothing can be made in it any more
    x Unavailable         time-out, 429, 5xx or no connection: worth another try

Anything else that escapes is a bug.
"""

from dataclasses import dataclass


class ScalableAppError(Exception):
    """Base of every error this package raises on purpose."""


@dataclass(frozen=True)
class FieldProblem:
    """One thing wrong with one field, and what to do about it."""

    field: str
    problem: str
    fix: str

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}; {self.fix}"


class SpecError(ScalableAppError):
    """The spec cannot be used; the running app stays as it is."""

    def __init__(self, problems: tuple[FieldProblem, ...]) -> None:
        self.problems = problems
        super().__init__(" | ".join(str(problem) for problem in problems))


class SettingsError(ScalableAppError):
    """The operator's environment cannot be used: names every variable, its value and what is wrong with it."""


class WrongAddress(ScalableAppError, ValueError):
    """What is wrong with the address of Prometheus, without the address: that may hold a password."""


class WrongConnection(ScalableAppError):
    """What is wrong with the file that states the connection to Prometheus: each field, and nothing secret."""


class MetricsUnavailable(ScalableAppError):
    """Prometheus could not be asked, or its answer could not be read."""


class ClusterError(ScalableAppError):
    """The Kubernetes API did not do what was asked."""


class NotFound(ClusterError):
    """The object is gone."""


class Conflict(ClusterError):
    """Another manager owns a field, or the object changed meanwhile."""


class Rejected(ClusterError):
    """The API server will refuse the same request again."""


class Terminating(ClusterError):
    """The namespace is being deleted, and takes nothing new."""


class Unavailable(ClusterError):
    """The API server could not answer now. It may say in how many seconds to come back."""

    retry_after_seconds = 0.0
