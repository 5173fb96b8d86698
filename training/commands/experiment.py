"""`python -m training experiment NAME`: a figure or table of the paper."""

from __future__ import annotations

import argparse
import importlib
import sys

from training.arguments import HelpFormatter
from training.experiments import EXPERIMENTS
from training.experiments.shared.grid import StoppedError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds a parser for each experiment."""
    names = parser.add_subparsers(dest="experiment", required=True, metavar="NAME")
    for name, text in EXPERIMENTS.items():
        module = importlib.import_module(
            f"training.experiments.{name.replace('-', '_')}"
        )
        sub = names.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            formatter_class=HelpFormatter,
        )
        module.add_arguments(sub)
        sub.set_defaults(run_experiment=module.run)


def run(arguments: argparse.Namespace) -> int | None:
    """Runs the experiment that was named."""
    try:
        return arguments.run_experiment(arguments)
    except StoppedError as stopped:
        print(stopped, file=sys.stderr)
        return stopped.exit_code
