"""The ScalableApp operator: deploys a web app and keeps it at its target at the least cost."""

__version__ = "0.1.0"
