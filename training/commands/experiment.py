"""`python -m training experiment NAME`: a figure or table of the paper."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import Any

from training.arguments import Parser
from training.experiments import EXPERIMENTS


class _Experiment(Parser):
    """The parser of an experiment, which is imported when its options are asked for."""

    module: Any = None

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Adds the experiment's options, and parses."""
        if self.module is None:
            name = self.prog.split()[-1]
            self.module = importlib.import_module(
                f"training.experiments.{name.replace('-', '_')}"
            )
            self.module.add_arguments(self)
            program = [sys.executable, "-m", "training", "experiment", name]
            self.set_defaults(
                run_experiment=self.module.run, command_line=[*program, *(args or ())]
            )
        return super().parse_known_args(args, namespace)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds a parser for each experiment."""
    names = parser.add_subparsers(
        dest="experiment", required=True, metavar="NAME", parser_class=_Experiment
    )
    for name, text in EXPERIMENTS.items():
        sub = names.add_parser(
            name, help=text, description=text[0].upper() + text[1:] + "."
        )
        sub.set_defaults(parser=sub)


def run(arguments: argparse.Namespace) -> int | None:
    """Runs the experiment that was named."""
    from training.experiments.shared.stopping import StoppedError

    try:
        return arguments.run_experiment(arguments)
    except StoppedError as stopped:
        if stopped.exit_code:
            print(stopped, file=sys.stderr)
        return stopped.exit_code
