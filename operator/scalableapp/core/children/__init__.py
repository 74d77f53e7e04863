"""What the children look like: an app's Deployment, Service, route and Redis, and how they may differ."""
