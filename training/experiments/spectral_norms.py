"""Figure 9: the exact spectral norm of each of D's kernels while it trains."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from training.experiments.shared import common_options as options
from training.experiments.shared import curves, grid, methods, results
from training.experiments.shared.grid import Member
from training.runs.preset import SETTINGS, Preset
from training.tables import markdown

_BASE = Preset(
    name="spectral-norms",
    description="figure 9",
    data="cifar10",
    loss="standard",
    setting="C",
)
_PREFIX = "spectral_norm/"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the experiment's options."""
    options.add_output(parser)
    options.add_jobs(parser)
    options.add_methods(parser, ("spectral",))
    parser.add_argument(
        "--every",
        type=int,
        help="steps between two decompositions; by default a hundredth of all",
    )
    # The figure says which setting is trained: its numbers stand.
    decided = (*methods.DECIDED, *vars(SETTINGS["C"]), "conditioning")
    options.add_preset(parser, _BASE, decided)
    options.add_run_options(parser, without=("spectra_every",))


def run(arguments: argparse.Namespace) -> None:
    """Runs the experiment, or carries on with it."""
    output = Path(arguments.output)
    base = options.base_preset(arguments, _BASE)
    methods.check(arguments.methods)
    every = options.every(arguments, base.steps)
    members = [
        Member(f"{name}-seed{base.seed}", methods.apply(base, name), {"method": name})
        for name in arguments.methods
    ]
    rows: list[dict[str, Any]] = []
    how = options.run_options(arguments)
    sources, jobs = grid.load_sources(members), options.jobs(arguments)
    from training.runs.callbacks.measurements import Measurement

    diverged = {}
    measured = [Measurement(every, _PREFIX, norms)]
    for one in grid.train(output, members, sources, how, measured, jobs):
        if one.diverged is not None:
            print(f"{one.member.name} diverged: {one.diverged}")
            diverged[one.member.name] = one.diverged
        for name in curves.names(one.folder, _PREFIX):
            rows.append(
                {
                    **one.member.about,
                    "layer": name.removeprefix(_PREFIX),
                    "run": f"runs/{one.member.name}",
                    **curves.over_steps(one.folder, name),
                }
            )
    results.finish(
        output, base, tables, draw, every=every, rows=rows, diverged=diverged
    )


def norms(gan: Any) -> dict[str, float]:
    """Returns the largest singular value of each kernel that D runs with."""
    from training.runs.callbacks import spectra

    values = spectra.by_layer(gan.discriminator)
    return {f"{_PREFIX}{name}": float(each[0]) for name, each in values.items()}


def tables(result: results.Result) -> str:
    """Returns each layer's range and last value as a Markdown table."""
    cells = [["method", "layer", "least σ₁", "largest σ₁", "last σ₁"]]
    for row in result["rows"]:
        values = row["values"]
        numbers = (min(values), max(values), values[-1])
        cells.append([row["method"], row["layer"], *(f"{x:.4g}" for x in numbers)])
    return markdown(cells)


def draw(result: results.Result, path: Path) -> None:
    """Draws a panel a method, a line a layer."""
    rows, base = result["rows"], Preset(**result["base"])
    names = results.distinct(rows, "method")
    note = (
        f"spectral norms of D's kernels, {base.data}, setting {base.setting}, "
        f"{base.width_multiplier:g} × width"
    )
    figure, axes = results.panels(len(names), 6.5, 3.6, note)
    for axis, method in zip(axes, names, strict=False):
        chosen = [row for row in rows if row["method"] == method]
        for i, row in enumerate(chosen):
            axis.plot(
                row["steps"], row["values"], label=row["layer"], color=f"C{i % 10}"
            )
        axis.set_ylabel(f"{method}: σ₁")
        axis.set_xlabel("updates of G")
        axis.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize="small")
    results.save_figure(figure, path)
