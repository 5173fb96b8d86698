"""Figure 1: the scores of every method in the settings A to F."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.experiments.shared import common_options as options
from training.experiments.shared import methods, results
from training.experiments.shared.grid import Member
from training.experiments.shared.scored import Scored, train_and_score
from training.runs.preset import SETTINGS, Preset

_METHODS = (
    "weight-clipping",
    "gan-gp",
    "wgan-gp",
    "batch-norm",
    "layer-norm",
    "weight-norm",
    "orthonormal",
    "spectral",
)
_SETTINGS = tuple("ABCDEF")
_BASE = Preset(
    name="robustness",
    description="figure 1",
    data="cifar10",
    loss="standard",
)
# What a setting decides.
_OF_SETTING = (
    "setting",
    "learning_rate",
    "beta_1",
    "beta_2",
    "discriminator_steps",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the experiment's options."""
    options.add_output(parser)
    options.add_jobs(parser)
    options.add_methods(parser, _METHODS)
    parser.add_argument(
        "--settings",
        nargs="+",
        default=list(_SETTINGS),
        metavar="SETTING",
        help=f"some of: {', '.join(SETTINGS)}",
    )
    options.add_seeds(parser)
    options.add_scoring(parser)
    decided = (*methods.DECIDED, *_OF_SETTING, "seed", "conditioning")
    options.add_preset(parser, _BASE, decided)
    options.add_run_options(parser, without=("inception",))


def run(arguments: argparse.Namespace) -> None:
    """Runs the experiment, or carries on with it."""
    output = Path(arguments.output)
    base = options.base_preset(arguments, _BASE)
    scored = train_and_score(
        output,
        members(base, arguments.methods, arguments.settings, options.seeds(arguments)),
        arguments,
        options.run_options(arguments),
    )
    results.finish(output, base, tables, draw, **scored.as_json())


def members(
    base: Preset, names: Sequence[str], settings: Sequence[str], seeds: Sequence[int]
) -> list[Member]:
    """Returns a run for each method, setting and seed.

    Raises:
        ValueError: if one is unknown or given twice.
    """
    methods.check(names)
    methods.check_some("settings", settings, list(SETTINGS))
    return [
        Member(
            f"{method}-{setting}-seed{seed}",
            dataclasses.replace(
                methods.apply(base, method), setting=setting, seed=seed
            ),
            {"method": method, "setting": setting, "seed": seed},
        )
        for method in names
        for setting in settings
        for seed in seeds
    ]


def tables(result: results.Result) -> str:
    """Returns a Markdown table a score, and what they rest on."""
    scored = Scored.of(result)
    return "\n\n".join(
        [
            *(results.pivot(scored.rows, "method", "setting", n) for n in scored.names),
            scored.note(),
        ]
    )


def draw(result: results.Result, path: Path) -> None:
    """Draws a group of bars a method, a bar a setting; a cross where all diverged."""
    scored = Scored.of(result)
    rows = scored.rows
    names, settings = (results.distinct(rows, key) for key in ("method", "setting"))
    figure, axes = results.panels(
        len(scored.names), 2 + max(1.1 * len(names), 4.5), 2.8, scored.note()
    )
    for axis, score in zip(axes, scored.names, strict=False):
        for i, setting in enumerate(settings):
            found = [
                results.summary(rows, score, method=m, setting=setting) for m in names
            ]
            _bars(axis, found, i, len(settings), setting)
        if score in scored.real:
            axis.axhline(scored.real[score], color="0.5", linestyle=":", label="real")
        axis.set_xticks(range(len(names)), names)
        axis.set_ylabel(score)
    # Beside the panels: there is no free place among bars.
    axes[0].legend(title="setting", loc="upper left", bbox_to_anchor=(1, 1))
    results.save_figure(figure, path)


def _bars(
    axis: Any, found: Sequence[results.Summary], i: int, count: int, label: str
) -> None:
    step = 0.8 / count
    places = np.arange(len(found)) + (i - (count - 1) / 2) * step
    means = np.array([one.mean for one in found])
    errors = [one.deviation for one in found]
    axis.bar(
        places,
        np.nan_to_num(means),
        step,
        yerr=errors if any(errors) else None,
        label=label,
        color=f"C{i}",
    )
    lost = places[np.isnan(means)]
    if len(lost):
        axis.plot(lost, np.zeros(len(lost)), "x", color=f"C{i}", clip_on=False)
