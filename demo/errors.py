"""What ends the demonstration early."""


class DemoError(Exception):
    """Something that stops the demonstration. The message says what happened, to what, why, and what to do."""
