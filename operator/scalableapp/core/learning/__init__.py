"""What is learned from load: forecasts, what a pod carries, its growth; how latency and scrapes are read."""
