"""A small ingress controller: nginx, told what to do by Ingress objects."""
