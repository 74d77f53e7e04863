"""Workloads as teams run them, each a ScalableApp in a file."""

from pathlib import Path

WORKLOADS = {path.stem: path for path in sorted((Path(__file__).parents[2] / "data" / "workloads").glob("*.yaml"))}
