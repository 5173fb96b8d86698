"""Figures about sn_keras and training, taken by commands that anyone can run.

`python -m benchmarks --help` lists them. Whatever is compared runs in turns in one
session and is reported as ratios with their spread: absolute seconds don't carry
over to another machine, nor to the same one an hour later.
"""

from training.quiet import use_onednn

use_onednn()  # before a command imports TensorFlow
