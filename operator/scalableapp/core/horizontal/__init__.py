"""How replicas are decided: one proposal per metric, and the rules that make one number of them."""
