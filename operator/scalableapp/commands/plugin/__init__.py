"""`kubectl scalableapp`: the commands that look at a cluster's apps and act on them, one module each."""
