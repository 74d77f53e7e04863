"""Why a measurement could not be made."""


class BenchError(Exception):
    """In words that say what to do about it."""
