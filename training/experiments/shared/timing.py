"""Seconds an update, of several presets in turns."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from training.runs.options import RunOptions
from training.runs.preset import Preset


def seconds_per_update(
    presets: Mapping[str, Preset], source: Any, rounds: int
) -> dict[str, np.ndarray]:
    """Times updates of G, with the updates of D that belong to them.

    They are taken in turns, one of each preset a round: what slows the machine for a
    while slows them all, and ratios within a round hardly feel it.

    Args:
        presets: checked presets by name.
        source: the images of all of them.
        rounds: timed updates a preset, 1 or more.

    Returns:
        Name → seconds, shape `(rounds,)`.
    """
    from training.data import make_dataset
    from training.runs.build import create_gan

    steps = {}
    for name, preset in presets.items():
        gan = create_gan(preset, source, RunOptions())
        size = preset.batch_size * gan.discriminator_steps
        element = next(iter(make_dataset(source, batch_size=size, seed=preset.seed)))
        batch = element if isinstance(element, tuple) else (element,)
        gan.train_on_batch(*batch)  # traces the step
        steps[name] = functools.partial(gan.train_on_batch, *batch)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - start)
    return {name: np.array(taken) for name, taken in times.items()}
