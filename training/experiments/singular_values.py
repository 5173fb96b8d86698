"""Figure 3: the squared singular values of D's kernels after training."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training.experiments.shared import common_options as options
from training.experiments.shared import grid, methods, results
from training.experiments.shared.grid import Member
from training.runs.options import RunOptions
from training.runs.preset import SETTINGS, Preset
from training.storage.folder import RunFolder
from training.tables import markdown

if TYPE_CHECKING:
    from training.data import DataSource
    from training.gan.model import GAN

_BASE = Preset(
    name="singular-values",
    description="figure 3",
    data="cifar10",
    loss="standard",
    setting="C",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the experiment's options."""
    options.add_output(parser)
    options.add_jobs(parser)
    options.add_methods(parser, ("weight-clipping", "weight-norm", "spectral"))
    # The figure says which setting is trained: its numbers stand.
    decided = (*methods.DECIDED, *vars(SETTINGS["C"]), "conditioning")
    options.add_preset(parser, _BASE, decided)
    options.add_run_options(parser)


def run(arguments: argparse.Namespace) -> None:
    """Runs the experiment, or carries on with it."""
    output = Path(arguments.output)
    base = options.base_preset(arguments, _BASE)
    methods.check(arguments.methods)
    members = [
        Member(f"{name}-seed{base.seed}", methods.apply(base, name), {"method": name})
        for name in arguments.methods
    ]
    how = options.run_options(arguments)
    rows: list[dict[str, Any]] = []
    sources, jobs = grid.load_sources(members), options.jobs(arguments)
    for one in grid.train(output, members, sources, how, jobs=jobs):
        if one.diverged is not None:
            print(f"{one.member.name} diverged and is left out: {one.diverged}")
            continue
        rows += _spectra(one, how.score_every is not None)
    results.finish(output, base, tables, draw, rows=rows)


def restored(
    folder: RunFolder, source: DataSource, best: bool = False
) -> tuple[GAN, int]:
    """Returns the GAN of a run, and its step.

    As of its best checkpoint by score (the paper's choice), or else of its newest one.
    """
    from training.runs.build import create_gan
    from training.runs.callbacks import saving
    from training.storage.checkpoints import Checkpoints

    checkpoints = Checkpoints(folder.checkpoints)
    checkpoint = checkpoints.best() if best else checkpoints.latest()
    if checkpoint is None:
        raise ValueError(f"`run` must have a checkpoint. Received: {folder.path}")
    preset = Preset(**folder.config()["preset"])
    gan = create_gan(preset, source, RunOptions())
    checkpoint.restore(saving.state(gan))
    return gan, checkpoint.step


def _spectra(one: grid.Trained, scored: bool) -> list[dict[str, Any]]:
    from training.runs.callbacks import spectra
    from training.storage.checkpoints import Checkpoints

    if scored and Checkpoints(one.folder.checkpoints).best() is None:
        raise ValueError(
            "`output` must be a folder whose runs were scored as they trained, for "
            f"`score_every`. Received: {one.folder.path}, which wasn't"
        )
    gan, step = restored(one.folder, one.source, best=scored)
    return [
        {
            **one.member.about,
            "layer": layer,
            "run": f"runs/{one.member.name}",
            "step": step,
            "singular_values": values.tolist(),
        }
        for layer, values in spectra.by_layer(gan.discriminator).items()
        # The last layer's matrix has one row, and one singular value.
        if len(values) > 1
    ]


def squared(row: Mapping[str, Any]) -> np.ndarray:
    """Returns σᵢ²/σ₁², in descending order."""
    values = np.array(row["singular_values"])
    return (values / values[0]) ** 2


def tables(result: results.Result) -> str:
    """Returns Σσᵢ²/σ₁² of each layer: how many directions it makes use of."""
    rows = result["rows"]
    names = results.distinct(rows, "method")
    cells = [["Σσ²/σ₁² (of how many)", *names]]
    for layer in results.distinct(rows, "layer"):
        by_method = {r["method"]: squared(r) for r in rows if r["layer"] == layer}
        count = max(map(len, by_method.values()))
        sums = [f"{by_method[m].sum():.1f}" if m in by_method else "" for m in names]
        cells.append([f"{layer} ({count})", *sums])
    return markdown(cells)


def draw(result: results.Result, path: Path) -> None:
    """Draws a panel a layer, a curve a method."""
    rows, base = result["rows"], Preset(**result["base"])
    layers = results.distinct(rows, "layer")
    names = results.distinct(rows, "method")
    note = (
        f"squared singular values of D's kernels, the largest scaled to 1: "
        f"{base.data}, setting {base.setting}, {base.width_multiplier:g} × width"
    )
    figure, axes = results.panels(len(layers), 2.4, 2.2, note, columns=4)
    for axis, layer in zip(axes, layers, strict=False):
        for row in rows:
            if row["layer"] == layer:
                values = squared(row)
                axis.plot(
                    np.arange(1, len(values) + 1),
                    values,
                    label=row["method"],
                    color=f"C{names.index(row['method'])}",
                )
        axis.set_title(layer, fontsize="medium")
        axis.set_ylim(0, 1.03)
    if layers:
        axes[0].legend(fontsize="x-small")
    figure.supxlabel("index of the singular value", fontsize="small")
    results.save_figure(figure, path)
