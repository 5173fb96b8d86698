"""Figure 4: SN and orthonormal regularization as D's last layer gets wider."""

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
    name="feature-dimension",
    description="figure 4",
    data="stl10",
    image_size=48,
    loss="standard",
    setting="C",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the experiment's options."""
    options.add_output(parser)
    options.add_methods(parser, ("spectral", "orthonormal"))
    parser.add_argument(
        "--factors",
        nargs="+",
        type=float,
        default=[0.5, 1.0, 2.0, 4.0, 8.0],
        metavar="FACTOR",
        help="widths of D's last convolution, relative to the network's",
    )
    options.add_seeds(parser)
    scoring.add_options(parser.add_argument_group("how it is scored"))
    decided = (*methods.DECIDED, "last_width_multiplier", "seed", "conditioning")
    options.add_preset(parser, _BASE, decided)
    options.add_run_options(parser, without=("inception",))


def run(arguments: argparse.Namespace) -> None:
    """Runs the experiment, or carries on with it."""
    output = Path(arguments.output)
    base = options.base_preset(arguments, _BASE)
    scored = train_and_score(
        output,
        members(base, arguments.methods, arguments.factors, arguments.seeds),
        arguments,
        options.run_options(arguments),
    )
    results.save(output, "feature-dimension", base, **scored.as_json())
    picture = output / "feature-dimension.png"
    curves.draw_over(scored, "factor", "relative width of D's last layer", picture)
    for name in scored.names:
        print(f"\n{results.pivot(scored.rows, 'method', 'factor', name)}")
    print(f"\n{scored.note()}\nFigure  {picture}")


def members(
    base: Preset, names: Sequence[str], factors: Sequence[float], seeds: Sequence[int]
) -> list[Member]:
    """Returns a run for each method, width of D's last layer, and seed.

    Raises:
        ValueError: if a method is unknown.
    """
    methods.check(names)
    return [
        Member(
            f"{method}-x{factor:g}-seed{seed}",
            dataclasses.replace(
                methods.apply(base, method), last_width_multiplier=factor, seed=seed
            ),
            {"method": method, "factor": factor, "seed": seed},
        )
        for method in names
        for factor in factors
        for seed in seeds
    ]
