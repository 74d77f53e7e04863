"""What the commands at a terminal share: how they reach the cluster, and how they print."""
