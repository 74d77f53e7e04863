"""`python -m scalableapp.backtest`: the back-test by itself."""

import argparse
import sys

from scalableapp.backtest.command import add_arguments, run

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="scalableapp backtest")
    add_arguments(parser)
    sys.exit(run(parser.parse_args()))
