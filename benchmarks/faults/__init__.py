"""Faults between the operator, the Kubernetes API and Prometheus, and what each does to scaling.

    python -m benchmarks.faults [--quick] [--only WORD ...] [--results FILE] [--page FILE]

Real: etcd, the API server, controllers of Kubernetes and the operator's process, on loopback. Stand-ins: a kubelet (for
the apps' pods, which are ready 2 s after they appear, and for the operator's own restarts), a Prometheus that answers at
once with the load that the bench sets, and a proxy that makes the faults. rows.py lists the faults; to add one, add a
Row there.
"""
