"""The paper's figures and tables, by name.

To add one, write a file beside this one with `add_arguments(parser)` and
`run(arguments)`, and name it in `EXPERIMENTS`. A name's dashes are underscores in the
file's name.
"""

from __future__ import annotations

EXPERIMENTS: dict[str, str] = {
    "comparison": "every method on the same data and steps: samples and seconds a step",
    "robustness": "scores of every method in the settings A to F (figure 1)",
}
