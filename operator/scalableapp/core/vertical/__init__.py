"""How sizes of pods are decided and rolled out, and the decision on both replicas and size."""
