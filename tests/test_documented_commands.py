"""Each command that the documentation names is one: its options are parsed."""

import importlib
import re
import shlex
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
FENCE = re.compile(r"^ *```.*$", re.MULTILINE)
# Up to a comment, to a column with what it does, or to the quote that a script ends by.
COMMAND = re.compile(
    r"python -m (training|export|benchmarks|pytest)((?:(?!   |#|'|`).)*)"
)
# What a sentence leaves open.
OPEN = {"…": "", "NAME": "robustness"}


def code(text):
    """What a page has in blocks, and between two backticks in one line."""
    for number, part in enumerate(FENCE.split(text)):
        if number % 2:
            yield re.sub(r"\\\n\s*", " ", part)
        else:
            for span in re.findall(r"`([^`]+)`", part):
                yield " ".join(span.split())


def commands(text):
    """The commands of a page as (module, words)."""
    for one in code(text):
        for module, rest in COMMAND.findall(one):
            words = (OPEN.get(word, word) for word in shlex.split(rest))
            yield module, [word for word in words if word]


def of_the_claims(text):
    """The commands in claims.md's table, which has words for what they share."""
    shared = dict(re.findall(r"`([A-Z]+)` (?:\(.*?\) )?for `([^`]+)`", text))
    shared.update(re.findall(r"`([A-Z]+)` for `([^`]+)`", text))
    for row in re.findall(r"^\| [a-i] \|[^|]+\| `([^`]+)`", text, re.MULTILINE):
        line = re.sub(r"\b[A-Z]{2,}\b", lambda word: shared.get(word[0], word[0]), row)
        yield "training", ["experiment", *line.split()]


def understood(module, words, monkeypatch, capsys):
    """Whether a command's parser takes the words; what else it wants may be missing."""
    if module == "pytest":
        return all((ROOT / word).exists() for word in words if word.startswith("tests"))
    after: list[str] = []
    if "--" in words:
        after = words[words.index("--") + 1 :]
    name = words[0] if words else ""
    if (
        module == "export"
        and not (ROOT / "export" / "commands" / f"{name}.py").exists()
    ):
        name = "generator"
    if name and not name.startswith("-"):
        found = importlib.import_module(f"{module}.commands.{name.replace('-', '_')}")
        monkeypatch.setattr(found, "run", lambda parsed: {})
    main = importlib.import_module(f"{module}.__main__").main
    try:
        ended = main(words)
    except SystemExit as end:
        ended = end.code
    said = capsys.readouterr().err
    if missing := re.search(r"the following arguments are required: ([^(]*)", said):
        if missing[1].strip() in ("COMMAND", "NAME"):
            return True
        for one in missing[1].strip().split(", "):
            words += [one, "x"] if one.startswith("-") else ["x"]
        return understood(module, words, monkeypatch, capsys)
    if after and not understood(module, after, monkeypatch, capsys):
        return False
    return not ended


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_commands_of_a_page_are_understood(page, monkeypatch, capsys):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("`training` and `export` are for TensorFlow")
    text = page.read_text(encoding="utf-8")
    listed = [*commands(text), *of_the_claims(text)]
    assert [one for one in listed if not understood(*one, monkeypatch, capsys)] == []


@pytest.mark.parametrize(
    "line",
    [
        "python -m training fit --presett mnist-demo",
        "python -m training launch --workers 2 -- fit --nothing 1",
        "python -m export runs/a --out-put x",
        "python -m benchmarks step --widht 1",
    ],
)
def test_an_option_that_is_not_there_is_found(line, monkeypatch, capsys):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("`training` and `export` are for TensorFlow")
    (one,) = commands(f"`{line}`")
    assert not understood(*one, monkeypatch, capsys)


def test_there_are_commands():
    found = [one for page in PAGES for one in commands(page.read_text("utf-8"))]
    assert len(found) >= 60
    claims = list(of_the_claims((ROOT / "docs" / "claims.md").read_text("utf-8")))
    assert len(claims) == 9 and "--width-multiplier" in claims[0][1]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_made_is_a_target(page):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for one in code(page.read_text(encoding="utf-8")):
        for line in re.findall(r"^ *make ([a-z -]+?)(?:  |#|$)", one, re.MULTILINE):
            assert set(line.split()) <= set(targets), line
