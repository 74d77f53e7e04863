"""An objective measured in a world of single requests, beside HPA on CPU."""
