"""`python -m training fit`: trains a GAN in a folder, or carries on with one."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
from typing import Any

from training import arguments as options
from training.data import known_names
from training.data.names import gone
from training.gan.losses import LOSSES
from training.networks import NETWORKS
from training.networks.conditional import CONDITIONINGS
from training.normalizers import NORMALIZERS
from training.runs import checks, fit, paper, resuming
from training.runs.options import RunOptions
from training.runs.preset import SETTINGS, Preset, Setting
from training.storage.folder import RunFolder
from training.terminal import duration

_OWN = Preset(name="own", description="no preset: what its options say")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this command's arguments."""
    parser.add_argument(
        "--preset",
        help="what to train; `python -m training presets` lists them; by default what "
        "the run's folder says, and for a new one the values below",
    )
    parser.add_argument(
        "--run",
        required=True,
        help="the run's folder; one that is there is carried on, with what it was "
        "started with where no option says otherwise",
    )
    options.add_options(
        parser.add_argument_group(
            "what is trained, in place of the preset's value",
            "The default is that of presets that say nothing else; "
            "`python -m training presets NAME` shows what one says.",
        ),
        Preset,
        known={
            "data": known_names(),
            **dict.fromkeys(("network", "normalizer", "loss"), ("see below",)),
            "conditioning": ("none", *CONDITIONINGS),
            "setting": SETTINGS,
        },
    )
    options.add_options(parser.add_argument_group("how it is run"), RunOptions)
    networks = {
        name: f"{one.description}; {one.image_sizes}" for name, one in NETWORKS.items()
    }
    normalizers = {name: one.description for name, one in NORMALIZERS.items()}
    losses = {name: one.description for name, one in LOSSES.items()}
    for title, texts in (
        ("networks", networks),
        ("normalizers", normalizers),
        ("losses", losses),
    ):
        lines = [f"{name}: {text}" for name, text in texts.items()]
        parser.add_argument_group(title, "\n".join(lines))


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    preset, how = _asked_for(arguments)
    result = fit.fit(arguments.run, preset, how)
    if not result.chief:
        return 0 if result.finished else result.exit_code
    if not result.finished:
        again = f"python -m training fit --run {shlex.quote(arguments.run)}"
        print(
            f"Stopped at step {result.step}, with a checkpoint. The same command "
            f"carries on. `{again}` does too."
        )
        return result.exit_code
    folder = result.folder
    run, exported = (
        shlex.quote(str(x)) for x in (folder.path, folder.path / "exported")
    )
    generator, kind = folder.generator, ""
    if folder.usual_weights() == "ema":
        generator, kind = folder.averaged_generator, "  (the average of its weights)"
    print(
        f"""Finished in {duration(result.seconds)}.
Samples      {folder.samples}
Generator    {generator}{kind}
             import keras, sn_keras  # sn_keras registers its layers
             keras.saving.load_model("{generator}")
TensorBoard  tensorboard --logdir {shlex.quote(str(folder.logs))}
Next         python -m training sample {run}
             python -m training evaluate {run}
             python -m export {run} --output {exported}"""
    )
    return 0


def _asked_for(arguments: argparse.Namespace) -> tuple[Preset, RunOptions]:
    """Returns what the options say, and the folder or a preset where they don't."""
    changes = options.given(arguments, Preset)
    before = resuming.started_with(RunFolder(arguments.run))
    base, how = before or (_OWN, RunOptions())
    preset = None if arguments.preset is None else paper.get(arguments.preset)
    if preset is not None and not (before and base.name == preset.name):
        base = preset
    elif preset is None and before is None and "data" not in changes:
        raise ValueError(
            f"`preset` or `data` must say what to train in {arguments.run}, which is "
            "no run's folder yet. Received: neither"
        )
    elif preset is None and "data" not in changes:
        try:
            checks.data(base.data)
        except ValueError:
            raise ValueError(gone(base.data)) from None
    if changes.get("setting", base.setting) != base.setting:
        # With its own numbers: those of a preset are for the preset's setting.
        names = [field.name for field in dataclasses.fields(Setting)]
        unset: dict[str, Any] = dict.fromkeys(names)
        base = dataclasses.replace(base, **unset)
    changed = dataclasses.replace(base, **changes)
    asked = options.given(arguments, RunOptions)
    options_of_run = dataclasses.replace(how, **asked)
    checks.idle(changes, changed)
    checks.idle(asked, options_of_run)
    return changed, options_of_run
