import numpy as np
import pytest
from PIL import Image

from training.data import load
from training.evaluation.real_images import optional_source, trained_source
from training.storage.files import write_json
from training.storage.folder import RunFolder


@pytest.fixture
def folder(tmp_path):
    """A run on photos of two splits, which have moved since."""
    for split in ("train", "test"):
        (tmp_path / "before" / split).mkdir(parents=True)
        for number in range(3):
            image = Image.new("L", (8, 8), 40 * number + (split == "test"))
            image.save(tmp_path / "before" / split / f"{number}.png")
    source = load(tmp_path / "before", image_size=8)
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    config = {
        "preset": {"data": str(tmp_path / "before"), "image_size": 8},
        "data": {"image_shape": [8, 8, 1], "digest": source.digest},
    }
    write_json(run.config_file, config)
    (tmp_path / "before").rename(tmp_path / "now")
    return run


def test_moved_data_are_found_where_they_are_said_to_be(folder, tmp_path):
    with pytest.raises(ValueError, match="`data` must say where.*before.* is gone"):
        trained_source(folder)
    folder.moved_data = str(tmp_path / "now")
    assert trained_source(folder).images[:, 0, 0, 0].tolist() == [0, 40, 80]
    assert optional_source(folder, "test").images[:, 0, 0, 0].tolist() == [1, 41, 81]
    assert optional_source(folder, "val") is None


def test_a_folder_that_is_not_there_is_named(folder, tmp_path):
    folder.moved_data = str(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="`data` must be a folder that.*nowhere"):
        trained_source(folder)


def test_other_data_are_refused(folder, tmp_path):
    folder.moved_data = str(tmp_path / "now")
    Image.fromarray(np.full((8, 8), 9, np.uint8)).save(tmp_path / "now/train/1.png")
    with pytest.raises(ValueError, match="`data` must be the images.*now"):
        trained_source(folder)
    with pytest.raises(ValueError, match="`data` must be the images.*now"):
        optional_source(folder, "test")


def test_images_that_changed_in_place_are_refused_too(folder, tmp_path):
    (tmp_path / "now").rename(tmp_path / "before")
    assert len(trained_source(folder)) == 3
    Image.new("L", (8, 8), 7).save(tmp_path / "before" / "train" / "new.png")
    with pytest.raises(ValueError, match="before', whose content is another"):
        trained_source(folder)
    assert len(optional_source(folder, "test")) == 3


@pytest.mark.slow
@pytest.mark.parametrize(("trained_on", "images"), [(None, 5000), ("train", 4000)])
def test_a_training_split_that_is_a_part_of_all(tmp_path, trained_on, images):
    """`fit` trains on all 5,000 digits, some experiments on the training split."""
    digest = load("mnist5k", split=trained_on).digest
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    config = {
        "preset": {"data": "mnist5k", "image_size": 28},
        "data": {"image_shape": [28, 28, 1], "digest": digest},
    }
    write_json(run.config_file, config)
    assert len(trained_source(run)) == images
    sizes = [len(optional_source(run, split)) for split in ("train", "test")]
    assert sizes == [4000, 1000]
    config["data"]["digest"] = "0" * 64
    write_json(run.config_file, config)
    for split in (None, "train"):
        with pytest.raises(ValueError, match="mnist5k', whose content is another"):
            optional_source(run, split) if split else trained_source(run)
