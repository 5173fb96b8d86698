"""Figure 4: SN and orthonormal regularization as D's last layer gets wider."""

from __future__ import annotations

from training.experiments.shared.sweep import Sweep
from training.runs.preset import Preset

_SWEEP = Sweep(
    base=Preset(
        name="feature-dimension",
        description="figure 4",
        data="stl10",
        image_size=48,
        loss="standard",
        setting="C",
    ),
    field="last_width_multiplier",
    column="factor",
    axis="relative width of D's last layer",
    option="--factors",
    values=(0.5, 1.0, 2.0, 4.0, 8.0),
    help="widths of D's last convolution, relative to the network's",
    methods=("spectral", "orthonormal"),
)
add_arguments = _SWEEP.add_arguments
run = _SWEEP.run
tables = _SWEEP.tables
draw = _SWEEP.draw
