"""What each scaling technique of the sample app is worth, measured: `python -m benchmarks.app`.

`scenarios` name what is measured, `servers` run the real parts, `wrk` and `open_loop` send the load, `results` holds
what comes out, `tables` and `charts` show it.
"""
