"""The paper's figures and tables, by name.

To add one, write a file beside this one with `add_arguments(parser)` and
`run(arguments)`, and name it in `EXPERIMENTS`. A name's dashes are underscores in the
file's name.
"""

from __future__ import annotations

EXPERIMENTS: dict[str, str] = {
    "comparison": "every method on the same data and steps: samples and seconds a step",
    "robustness": "scores of every method in the settings A to F (figure 1)",
    "singular-values": "squared singular values of D's kernels (figure 3)",
    "feature-dimension": "SN and orthonormal as D's last layer gets wider (figure 4)",
    "imagenet": "conditional GANs: scores and variety over training (figures 6, 8)",
    "spectral-norms": "exact spectral norms of D's kernels in training (figure 9)",
    "time": "seconds for 100 updates of G (figure 10)",
    "n-dis": "SN and WN with more updates of D per one of G (figure 11)",
    "reparametrization": "WGAN-GP with γ forms, the critic's loss (tables 7, 8)",
}
