"""What was found, as tables to print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from export.verification.comparison import Difference
    from export.verification.scores import ScoreChange


def describe(differences: Sequence[Difference]) -> str:
    """Returns the differences, and the scores' changes if there are any."""
    own = any(one.own_psnr is not None for one in differences)
    rows = [
        _row(one) + ((f"{one.own_psnr:.1f}",) if own else ()) for one in differences
    ]
    parts = [table([_HEADER + (("own dB",) if own else ()), *rows])]
    if own:
        parts.append(
            "The model computes in half precision. PSNR is against its float32 copy; "
            "own is against the model itself, whose own rounding it shows."
        )
    scores = [_score_row(one.file, one.score) for one in differences if one.score]
    if scores:
        parts.append(table([_SCORE_HEADER, *scores]))
    return "\n\n".join(parts)


_HEADER = ("file", "precision", "MB", "largest", "mean", "PSNR dB", "bound")
_SCORE_HEADER = (
    "file",
    "images",
    "score Keras",
    "file's",
    "change",
    "bound",
    "same class",
    "right class Keras",
    "file's",
)


def _row(one: Difference) -> tuple[str, ...]:
    return (
        one.file,
        one.precision,
        f"{one.bytes / 1e6:.2f}",
        f"{one.largest:.1e}",
        f"{one.mean:.1e}",
        f"{one.psnr:.1f}",
        f"{one.bound:.0f}" + ("" if one.psnr >= one.bound else " FAILED"),
    )


def _score_row(file: str, score: ScoreChange) -> tuple[str, ...]:
    return (
        file,
        str(score.images),
        f"{score.keras:.3f}",
        f"{score.exported:.3f}",
        f"{score.change:+.2%}",
        f"{score.bound:.1%}" + ("" if score.passed else " FAILED"),
        f"{score.same_class:.1%}",
        "" if score.keras_right is None else f"{score.keras_right:.1%}",
        "" if score.exported_right is None else f"{score.exported_right:.1%}",
    )


def table(rows: Sequence[Sequence[str]]) -> str:
    """Returns rows of text with the first column left and the others right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [
            cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
