"""`python -m training launch`: one command in several worker processes."""

from __future__ import annotations

import argparse
import sys

from training.devices.launch import launch


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    parser.add_argument(
        "--workers", type=int, default=2, help="processes (default: %(default)s)"
    )
    parser.add_argument(
        "arguments",
        nargs=argparse.REMAINDER,
        metavar="-- fit …",
        help="after two dashes, a command of `python -m training` and its options",
    )


def run(arguments: argparse.Namespace) -> int:
    """Runs it and returns the exit status."""
    rest = arguments.arguments
    if rest[:1] == ["--"]:
        rest = rest[1:]
    if not rest:
        raise ValueError(
            "`launch` needs a command after two dashes, as in "
            "`python -m training launch --workers 2 -- fit --run runs/a`."
        )
    return launch([sys.executable, "-m", "training", *rest], arguments.workers)
