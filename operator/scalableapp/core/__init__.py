"""Deciding how to scale: values in, values out. No I/O, no clock, no logging, no Kubernetes."""
