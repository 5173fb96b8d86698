"""TensorBoard's files of a run that was stopped, or damaged, and carried on."""

import random

import pytest
import tensorflow as tf

from training.storage import tensorboard


def steps(file):
    records = tf.data.TFRecordDataset(str(file))
    return [tf.compat.v1.Event.FromString(x.numpy()).step for x in records]


@pytest.fixture
def file(tmp_path):
    events = tensorboard.Events(tmp_path)
    for step in range(1, 31):
        events.scalars(step, {"loss": step})
    events.close()
    (file,) = tmp_path.iterdir()
    return file


@pytest.mark.slow
@pytest.mark.parametrize("number", range(10))
def test_a_damaged_byte_costs_one_point(file, number):
    content, draw = bytearray(file.read_bytes()), random.Random(number)
    content[draw.randrange(len(content) - 100)] ^= draw.randrange(1, 256)
    file.write_bytes(content)
    with pytest.warns(UserWarning, match=f"{file.name} is damaged: "):
        tensorboard.truncate(file.parent, 30)
    found = steps(file)
    assert len(found) == 30  # of 31: the first has the version
    assert found == sorted(set(found))


def test_what_a_killed_process_left_is_no_damage(file):
    whole = file.read_bytes()
    file.write_bytes(whole[:-5])
    tensorboard.truncate(file.parent, 30)
    assert steps(file) == list(range(30))
    assert whole.startswith(file.read_bytes())


def test_a_folder_of_a_files_name_is_passed_over(file):
    (file.parent / "events.out.tfevents.9.folder").mkdir()
    before = file.read_bytes()
    tensorboard.truncate(file.parent, 10**6)
    assert file.read_bytes() == before
