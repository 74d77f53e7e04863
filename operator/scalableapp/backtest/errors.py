"""What a back-test can be stopped by: the trace or the options, never the policies."""

from scalableapp.errors import ScalableAppError


class TraceError(ScalableAppError):
    """The load curve cannot be used: says where and what is wrong."""


class OptionError(ScalableAppError):
    """The options, or the app's spec, do not fit together: says which and how to fix it."""
