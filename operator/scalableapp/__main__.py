"""`python -m scalableapp` starts the operator."""

from scalableapp.process import run

run()
