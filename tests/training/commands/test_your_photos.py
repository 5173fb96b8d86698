"""docs/your-photos.md on a small folder: every command, as it stands there."""

import pathlib
import re
import shlex

import numpy as np
import pytest
from PIL import Image

import export.__main__
import training.__main__

PAGE = pathlib.Path(__file__).parents[3] / "docs" / "your-photos.md"
COMMANDS = re.findall(r"^python -m (.*)$", PAGE.read_text(encoding="utf-8"), re.M)
# What makes the page's runs small; the last of an option's values counts.
SMALL = (
    "--network cnn --image-size 28 --width-multiplier 0.02 --latent-dim 4 "
    "--discriminator-steps 1 --batch-size 4 --steps 2 --samples 4"
).split()


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    random = np.random.default_rng(0)
    for name in ("cats", "dogs"):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(12):
            pixels = random.integers(0, 256, (30, 40, 3), np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / name / f"{number}.jpg")
    return folder


def test_the_page_goes_from_a_folder_to_an_export():
    kinds = [command.split()[:2] for command in COMMANDS]
    assert ["training", "fit"] == kinds[0]
    assert "export" == kinds[-1][0]
    assert len([kind for kind in kinds if kind[1] == "sample"]) == 5


# In the page's order, in one folder: later commands take what earlier ones made.
@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page(command, here, monkeypatch, capsys):
    monkeypatch.chdir(here)
    module, *arguments = shlex.split(command)
    if arguments[0] == "fit":
        arguments += SMALL
    main = {"training": training.__main__.main, "export": export.__main__.main}[module]
    assert main(arguments) == 0, capsys.readouterr().err
