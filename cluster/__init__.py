"""A real kind cluster on any Linux machine, with or without a container registry.

Standard library only: it runs on a bare machine, before any virtual environment exists.
`python3 -m cluster up | status | images | compile | load | down`; the Makefile's cluster-* targets call it.
"""
