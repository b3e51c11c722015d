"""The command line of a benchmark, as its tests write it."""

import argparse
from types import ModuleType


def arguments(bench: ModuleType, *given: str) -> argparse.Namespace:
    """What a benchmark's module makes of these words."""
    parser = argparse.ArgumentParser()
    bench.arguments(parser)
    return parser.parse_args(given)
