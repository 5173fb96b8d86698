"""Figure 11: spectral and weight normalization as D gets more updates per one of G."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from training.commands import scoring
from training.experiments import curves, methods, options, results
from training.experiments.grid import Member
from training.experiments.scored import train_and_score
from training.presets import Preset

_BASE = Preset(
    name="n-dis",
    description="figure 11",
    data="cifar10",
    loss="standard",
    setting="D",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the experiment's options."""
    options.add_output(parser)
    options.add_methods(parser, ("spectral", "weight-norm"))
    parser.add_argument(
        "--n-dis",
        nargs="+",
        type=int,
        default=[1, 2, 5, 10, 20],
        metavar="COUNT",
        help="updates of D per update of G",
    )
    options.add_seeds(parser, (0, 1, 2))
    scoring.add_options(parser.add_argument_group("how it is scored"))
    decided = (*methods.DECIDED, "discriminator_steps", "seed", "conditioning")
    options.add_preset(parser, _BASE, decided)
    options.add_run_options(parser, without=("inception",))


def run(arguments: argparse.Namespace) -> None:
    """Runs the experiment, or carries on with it."""
    output = Path(arguments.output)
    base = options.base_preset(arguments, _BASE)
    scored = train_and_score(
        output,
        members(base, arguments.methods, arguments.n_dis, arguments.seeds),
        arguments,
        options.run_options(arguments),
    )
    results.save(output, "n-dis", base, **scored.as_json())
    picture = output / "n-dis.png"
    curves.draw_over(scored, "n_dis", "updates of D per update of G", picture)
    for name in scored.names:
        print(f"\n{results.pivot(scored.rows, 'method', 'n_dis', name)}")
    print(f"\n{scored.note()}\nFigure  {picture}")


def members(
    base: Preset, names: Sequence[str], counts: Sequence[int], seeds: Sequence[int]
) -> list[Member]:
    """Returns a run for each method, number of updates of D, and seed.

    Raises:
        ValueError: if a method is unknown.
    """
    methods.check(names)
    return [
        Member(
            f"{method}-ndis{count}-seed{seed}",
            dataclasses.replace(
                methods.apply(base, method), discriminator_steps=count, seed=seed
            ),
            {"method": method, "n_dis": count, "seed": seed},
        )
        for method in names
        for count in counts
        for seed in seeds
    ]
