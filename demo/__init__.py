"""The demonstration behind `make demo`: one app, real load through the ingress, and what the operator made of it."""
