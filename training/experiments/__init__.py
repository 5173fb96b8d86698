"""The paper's figures and tables, by name.

To add one, write a file beside this one with `add_arguments(parser)` and
`run(arguments)`, and name it in `EXPERIMENTS`.
"""

from __future__ import annotations

# A name and what it does; its module has the same name.
EXPERIMENTS: dict[str, str] = {
    "comparison": "every method on the same data and steps: samples and seconds a step",
}
