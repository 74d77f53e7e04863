"""DNS for the Services of a Kubernetes cluster, where CoreDNS's image cannot be had."""
