"""Each name in docs/how-a-step-works.md is one of the file that stands beside it."""

import ast
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs/how-a-step-works.md").read_text(encoding="utf-8")
# `name` (`file`), or `name` (`Class`, `file`); a line may end anywhere in it.
PAIRS = re.findall(r"`(\w+)`\s+\(`([\w/]+\.py)`\)|`(\w+)`,\s+`([\w/]+\.py)`", TEXT)


def names_of(path):
    """All that a file defines: functions, classes, methods, fields."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found


def test_names_stand_in_the_files_beside_them():
    pairs = [(one or two, first or second) for one, first, two, second in PAIRS]
    assert len(pairs) > 15
    missing = [
        (name, file)
        for name, file in pairs
        if not (ROOT / file).exists() or name not in names_of(ROOT / file)
    ]
    assert missing == []


def test_every_other_name_is_somewhere_in_training():
    everything = {"tf", "fit"}
    for path in (ROOT / "training").rglob("*.py"):
        everything |= names_of(path)
        everything |= set(re.findall(r"\w+", path.read_text(encoding="utf-8")))
    names = set(re.findall(r"`([a-z_A-Z]\w+)`", TEXT))
    assert names <= everything


def test_every_file_and_folder_is_there():
    for path in re.findall(r"`([\w/]+(?:\.py|/))`", TEXT):
        where = ROOT / path if "/" in path else ROOT / "training/gan" / path
        assert where.exists(), path
