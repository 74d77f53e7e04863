"""`scalableapp explain`: why an app has the replicas it has, in the words that status, Events and log use."""
