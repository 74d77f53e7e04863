"""The running operator: watches and the loop, and for each app observe, decide, apply, report."""
