"""`python -m scalableapp.backtest`: the back-test by itself."""

import argparse
import sys
from pathlib import Path

from scalableapp.backtest.command import add_arguments, run

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="scalableapp backtest")
    parser.add_argument("spec", metavar="APP.yaml", type=Path, help="file with the ScalableApp")
    add_arguments(parser)
    sys.exit(run(parser.parse_args()))
