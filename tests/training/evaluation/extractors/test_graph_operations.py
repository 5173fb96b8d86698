"""Graphs from elsewhere: what computes is taken, what could do more is refused."""

import shutil

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from training.evaluation.extractors.tensorflow_graphs import (
    load_frozen_graph,
    load_saved_model,
)

TARGET = "written"


def save_v2(path):
    tf.raw_ops.SaveV2(
        prefix=path, tensor_names=["x"], shape_and_slices=[""], tensors=[[1.0]]
    )


def dataset_writer(path):
    lines = tf.data.Dataset.from_tensors("text")
    tf.raw_ops.DatasetToTFRecord(
        input_dataset=lines._variant_tensor, filename=path, compression_type=""
    )


def summary_writer(path):
    writer = tf.raw_ops.SummaryWriter(shared_name="w", container="")
    tf.raw_ops.CreateSummaryFileWriter(
        writer=writer, logdir=path, max_queue=1, flush_millis=1, filename_suffix="x"
    )


def cache_dataset(path):
    cached = tf.data.Dataset.range(3).cache(path)
    tf.raw_ops.ReduceDataset(
        input_dataset=cached._variant_tensor,
        initial_state=[tf.constant(0, tf.int64)],
        other_arguments=[],
        f=tf.function(lambda a, b: a + b).get_concrete_function(
            tf.TensorSpec([], tf.int64), tf.TensorSpec([], tf.int64)
        ),
        output_types=[tf.int64],
        output_shapes=[[]],
    )


def copy(path):
    lines = tf.data.TextLineDataset("/etc/hostname")
    tf.raw_ops.DatasetToTFRecord(
        input_dataset=lines._variant_tensor, filename=path, compression_type=""
    )


def write_file(path):
    tf.io.write_file(path, "text")


def read_file(path):
    tf.io.read_file("/etc/hostname")


def python(path):
    tf.numpy_function(lambda: open(path, "w").close(), [], [])


def printed(path):
    tf.print("text", output_stream=f"file://{path}")


def in_a_nested_function(path):
    tf.function(tf.function(write_file))(path)


def in_a_branch(path):
    def write():
        tf.io.write_file(path, "text")
        return tf.constant(1.0)

    tf.cond(tf.random.uniform([]) < 2, write, lambda: tf.constant(0.0))


def in_a_loop(path):
    def write(i):
        tf.io.write_file(path, "text")
        return i + 1

    tf.while_loop(
        lambda i: i < tf.cast(tf.random.uniform([]) + 2, tf.int32), write, [0]
    )


def in_a_map(path):
    def write(x):
        tf.io.write_file(path, "text")
        return x

    tf.map_fn(write, tf.range(2))


def queue(path):
    queue = tf.raw_ops.FIFOQueueV2(component_types=[tf.float32])
    tf.raw_ops.QueueEnqueueV2(handle=queue, components=[1.0])


ATTACKS = [
    save_v2,
    dataset_writer,
    summary_writer,
    cache_dataset,
    copy,
    write_file,
    read_file,
    python,
    printed,
    in_a_nested_function,
    in_a_branch,
    in_a_loop,
    in_a_map,
    queue,
]


def network(images, attack, path):
    """What a network returns, and what it does beside."""
    attack(str(path))
    pooled = tf.reduce_mean(images, [1, 2])
    return {"features": pooled, "logits": pooled}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_frozen_graph_may_only_compute(tmp_path, attack):
    with tf.Graph().as_default() as graph:
        images = tf.compat.v1.placeholder(tf.float32, [None, 9, 9, 3])
        scaled = tf.multiply(images, 1.0, name="Mul")
        pooled = network(scaled, attack, tmp_path / TARGET)["features"]
        tf.identity(tf.reshape(pooled, [-1, 1, 1, 3]), name="pool_3")
        tf.identity(pooled, name="logits")
    path = tmp_path / "graph.pb"
    path.write_bytes(graph.as_graph_def().SerializeToString())
    with pytest.raises(ValueError, match="nothing but compute"):
        load_frozen_graph(path)
    assert not (tmp_path / TARGET).exists()


class Module(tf.Module):
    """A SavedModel's content."""

    def __init__(self, attack, path):
        super().__init__()
        self.scale = tf.Variable(1.0)
        self.attack, self.path = attack, path

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)])
    def __call__(self, images):
        """Returns what the signature returns."""
        return network(images * self.scale, self.attack, self.path)


@pytest.mark.slow
@pytest.mark.parametrize("attack", ATTACKS)
def test_a_saved_model_may_only_compute(tmp_path, attack):
    module = Module(attack, tmp_path / TARGET)
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=module.__call__)
    with pytest.raises(ValueError, match="nothing but compute"):
        load_saved_model(tmp_path / "m")
    assert not (tmp_path / TARGET).exists()


def harmless(path):
    """Does nothing."""


@pytest.fixture
def saved(tmp_path):
    """A SavedModel that only computes, and its protocol buffer to be changed."""
    module = Module(harmless, "")
    tf.saved_model.save(module, str(tmp_path / "m"), signatures=module.__call__)
    file = tmp_path / "m" / "saved_model.pb"
    return file, saved_model_pb2.SavedModel.FromString(file.read_bytes())


def test_what_computes_is_taken(saved):
    file, _ = saved
    run, takes_uint8 = load_saved_model(file.parent)
    features, _ = run(tf.ones([2, 4, 4, 3]))
    assert features.shape == (2, 3) and not takes_uint8


def test_what_runs_while_loading_is_refused(saved):
    file, content = saved
    graph = content.meta_graphs[0]
    table = graph.object_graph_def.nodes.add()
    table.resource.device = ""
    file.write_bytes(content.SerializeToString())
    with pytest.raises(ValueError, match="compute.*with resource"):
        load_saved_model(file.parent)
    del graph.object_graph_def.nodes[-1]
    variable = next(n for n in graph.object_graph_def.nodes if n.HasField("variable"))
    variable.saveable_objects["x"].save_function = 1
    file.write_bytes(content.SerializeToString())
    with pytest.raises(ValueError, match="way of saving of its own"):
        load_saved_model(file.parent)
    graph.ClearField("object_graph_def")
    file.write_bytes(content.SerializeToString())
    with pytest.raises(ValueError, match="SavedModel of TensorFlow 2"):
        load_saved_model(file.parent)


def test_a_function_that_takes_anothers_place_is_refused(saved):
    file, content = saved
    function = content.meta_graphs[0].graph_def.library.function[0]
    function.attr["api_implements"].s = b"network"
    file.write_bytes(content.SerializeToString())
    with pytest.raises(ValueError, match="api_implements"):
        load_saved_model(file.parent)


def test_functions_named_as_operations_are_followed(saved, tmp_path):
    """A node may call a function by having its name in the operation's place."""
    file, content = saved
    graph = content.meta_graphs[0].graph_def
    evil = graph.library.function.add()
    evil.signature.name = "Relu"
    evil.node_def.add(name="write", op="WriteFile")
    for function in graph.library.function:
        if function is not evil:
            function.node_def.add(name="call", op="Relu")
    file.write_bytes(content.SerializeToString())
    with pytest.raises(ValueError, match="WriteFile"):
        load_saved_model(file.parent)
    shutil.rmtree(file.parent)
