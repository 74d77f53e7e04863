"""`scalableapp decide`: situations as JSON lines in, the operator's decisions out."""
