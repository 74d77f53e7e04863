"""Faults between the operator, the Kubernetes API and Prometheus, and what each does to scaling.

    python -m benchmarks.faults [--quick] [--only TEXT ...] [--as before|now] [--keep FOLDER] [--list | --table]

Real, on loopback: etcd, the API server, Kubernetes' controllers, and the operator's process. Stand-ins: the kubelet of
the apps' pods, which are ready 2 s after they appear; what probes, restarts and limits the operator; a Prometheus that
shows the load that the bench sets at once; a proxy that makes the faults. To add a fault, add a row in rows.py.
"""
