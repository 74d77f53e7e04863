"""A Flask application to be scaled: it tells who served a request, caches, burns real CPU time and drains."""

# Nothing else is imported here: prometheus_client must not load before `multiprocess.prepare` has run.
__version__ = "0.1.0"
