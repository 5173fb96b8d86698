"""Figure 11: spectral and weight normalization as D gets more updates per one of G."""

from __future__ import annotations

from training.experiments.shared.sweep import Sweep
from training.runs.preset import Preset

_SWEEP = Sweep(
    base=Preset(
        name="n-dis",
        description="figure 11",
        data="cifar10",
        loss="standard",
        setting="D",
    ),
    field="discriminator_steps",
    column="n_dis",
    axis="updates of D per update of G",
    option="--n-dis",
    values=(1, 2, 5, 10, 20),
    help="updates of D per update of G",
    methods=("spectral", "weight-norm"),
    seeds=(0, 1, 2),
)
add_arguments = _SWEEP.add_arguments
run = _SWEEP.run
tables = _SWEEP.tables
draw = _SWEEP.draw
