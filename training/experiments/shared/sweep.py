"""Scores of a few methods as one field of a preset grows: figures 4 and 11."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training import values
from training.experiments.shared import common_options as options
from training.experiments.shared import curves, methods, results
from training.experiments.shared.grid import Member
from training.experiments.shared.scored import Scored, train_and_score
from training.runs.preset import Preset


@dataclasses.dataclass(frozen=True)
class Sweep:
    """An experiment.

    Attributes:
        base: what all runs have in common. Its name is the experiment's.
        field: of the preset, what grows.
        column: its name in tables and runs.
        axis: what the figure calls it.
        option: what the command calls it.
        values: the option's defaults, numbers of one type.
        help: the option's.
        methods: the default of `--methods`.
        seeds: the default of `--seeds`.
    """

    base: Preset
    field: str
    column: str
    axis: str
    option: str
    values: Sequence[float]
    help: str
    methods: Sequence[str]
    seeds: Sequence[int] = (0,)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Adds the experiment's options."""
        options.add_output(parser)
        options.add_jobs(parser)
        options.add_methods(parser, self.methods)
        parser.add_argument(
            self.option,
            dest="values",
            nargs="+",
            type=type(self.values[0]),
            default=list(self.values),
            metavar="NUMBER",
            help=self.help,
        )
        options.add_seeds(parser, self.seeds)
        options.add_scoring(parser)
        decided = (*methods.DECIDED, self.field, "seed", "conditioning")
        options.add_preset(parser, self.base, decided)
        options.add_run_options(parser, without=("inception",))

    def run(self, arguments: argparse.Namespace) -> None:
        """Runs the experiment, or carries on with it."""
        output = Path(arguments.output)
        base = options.base_preset(arguments, self.base)
        scored = train_and_score(
            output,
            self._members(base, arguments),
            arguments,
            options.run_options(arguments),
        )
        results.finish(output, base, self.tables, self.draw, **scored.as_json())

    def tables(self, result: results.Result) -> str:
        """Returns a Markdown table a score, and what they rest on."""
        scored = Scored.of(result)
        rows, column = scored.rows, self.column
        found = [results.pivot(rows, "method", column, name) for name in scored.names]
        return "\n\n".join([*found, scored.note()])

    def draw(self, result: results.Result, path: Path) -> None:
        """Draws each method's scores over what grows."""
        curves.draw_over(Scored.of(result), self.column, self.axis, path)

    def _members(self, base: Preset, arguments: argparse.Namespace) -> list[Member]:
        methods.check(arguments.methods)
        name = self.option.lstrip("-").replace("-", "_")
        for value in arguments.values:
            if isinstance(value, int):
                values.integer(name, value)
            else:
                values.number(name, value, above=0)
        return [
            Member(
                f"{method}-{self.column}{value:g}-seed{seed}",
                self._preset(base, method, value, seed),
                {"method": method, self.column: value, "seed": seed},
            )
            for method in arguments.methods
            for value in options.each_once(name, arguments.values)
            for seed in options.seeds(arguments)
        ]

    def _preset(self, base: Preset, method: str, value: Any, seed: int) -> Preset:
        changed = {self.field: value, "seed": seed}
        return dataclasses.replace(methods.apply(base, method), **changed)
