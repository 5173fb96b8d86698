"""The paper's claims, decided by the marks of docs/claims.md from experiments' JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from training.experiments import judges
from training.tables import markdown

# What asks for no ranks of seeds: times, and collapses.
_ONE_SEED = ("f", "i")


class Verdict(NamedTuple):
    """What came out about a claim.

    Attributes:
        claim: the paper's words in short.
        measured: the numbers that decide, in words.
        answer: `judges.HOLDS`, `FAILS` or `OPEN`.
    """

    claim: str
    measured: str
    answer: str


def verdicts(folder: Path) -> dict[str, Verdict]:
    """Returns a verdict for each claim that a folder has results of.

    Args:
        folder: has `LETTER.json`, or `LETTER-seedN.json` a seed.
    """
    found = {}
    for letter, (claim, judge) in _CLAIMS.items():
        paths = sorted(folder.glob(f"{letter}.json")) + sorted(
            folder.glob(f"{letter}-*.json")
        )
        if paths:
            read = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
            verdict = Verdict(claim, *judge(read))
            if letter not in _ONE_SEED and _seeds(read) < 2:
                verdict = verdict._replace(answer=judges.OPEN)
            found[letter] = verdict
    return found


def table(found: Mapping[str, Verdict]) -> str:
    """Returns all claims as a Markdown table, those without results as open."""
    cells = [["", "the paper says", "measured", "here"]]
    for letter, (claim, _) in _CLAIMS.items():
        one = found.get(letter, Verdict(claim, "", "open: not run"))
        cells.append([letter, *one])
    return markdown(cells)


def _seeds(read: Sequence[judges.Result]) -> int:
    """Returns how many seeds there are: those of the rows, or a file's own."""
    found = {
        row.get("seed", result["base"]["seed"])
        for result in read
        for row in result["rows"]
    }
    return len(found)


_CLAIMS: dict[str, tuple[str, judges.Judge]] = {
    "a": ("SN is robust over settings, others fail somewhere", judges.robust),
    "b": ("SN before WN before clipping; hinge better", judges.order),
    "c": ("singular values spread under SN", judges.spread),
    "d": (
        "orthonormal loses as the last dimension grows, SN doesn't",
        judges.growing("factor", 8, "orthonormal", judges.of_means),
    ),
    "e": ("σ₁ stays near 1", judges.near_one),
    "f": ("SN about as fast as WN, WGAN-GP slower", judges.time),
    "g": (
        "WN gets worse with n_dis, SN doesn't",
        judges.growing("n_dis", 10, "weight-norm", judges.mean_of_ratios),
    ),
    "h": ("SN's γ form is the best under WGAN-GP", judges.reparametrized),
    "i": ("with classes, SN trains on where others collapse", judges.collapse),
}
