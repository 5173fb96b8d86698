"""Which operations a network from elsewhere may consist of.

A graph is a program: TensorFlow has operations that write files, load libraries and
call Python. So the list says what is allowed, and whatever it doesn't name is refused:
arithmetic on tensors, a graph's own variables, and calls of functions that consist of
the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_object_graph_pb2

_ALLOWED = frozenset(
    """
    Const Placeholder PlaceholderWithDefault Identity IdentityN NoOp StopGradient
    PreventGradient Snapshot EnsureShape CheckNumerics Assert _Arg _Retval

    Abs Add AddN AddV2 Cast Ceil ClipByValue Cos Cumsum Div DivNoNan Elu Equal Erf Erfc
    Exp Expm1 Floor FloorDiv FloorMod Greater GreaterEqual Inv IsFinite IsInf IsNan
    LeakyRelu Less LessEqual Log Log1p LogicalAnd LogicalNot LogicalOr LogSoftmax Max
    Maximum Mean Min Minimum Mod Mul MulNoNan Neg NotEqual Pow Prod RealDiv Reciprocal
    Relu Relu6 Rint Round Rsqrt Selu Sigmoid Sign Sin Softmax Softplus Softsign Sqrt
    Square SquaredDifference Sub Sum Tan Tanh TruncateDiv TruncateMod Xdivy Xlogy All
    Any ArgMax ArgMin L2Loss

    BatchMatMul BatchMatMulV2 BatchMatMulV3 Einsum MatMul BiasAdd BiasAddV1
    Conv2D Conv2DBackpropInput DepthwiseConv2dNative Dilation2D AvgPool MaxPool
    MaxPoolV2 BatchNormWithGlobalNormalization FusedBatchNorm FusedBatchNormV2
    FusedBatchNormV3 LRN InTopK InTopKV2 TopK TopKV2
    QuantizeV2 Dequantize FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars
    FakeQuantWithMinMaxVarsPerChannel

    BroadcastArgs BroadcastTo BatchToSpace BatchToSpaceND Concat ConcatOffset ConcatV2
    DepthToSpace DiagPart ExpandDims Fill Gather GatherNd GatherV2 InvertPermutation
    LinSpace MirrorPad OneHot OnesLike Pack Pad PadV2 Range Rank Reshape Reverse
    ReverseV2 ScatterNd Select SelectV2 Shape ShapeN Size Slice SpaceToBatch
    SpaceToBatchND SpaceToDepth Split SplitV Squeeze StridedSlice Tile Transpose Unpack
    Where ZerosLike

    CropAndResize DecodeJpeg DecodePng HSVToRGB RGBToHSV ResizeArea ResizeBicubic
    ResizeBilinear ResizeNearestNeighbor

    RandomStandardNormal RandomUniform RandomUniformInt TruncatedNormal
    StatelessRandomGetAlg StatelessRandomGetKeyCounter StatelessRandomNormal
    StatelessRandomNormalV2 StatelessRandomUniform StatelessRandomUniformV2

    VarHandleOp VarIsInitializedOp ReadVariableOp AssignVariableOp AssignAddVariableOp
    AssignSubVariableOp DestroyResourceOp VariableV2 Variable Assign

    If StatelessIf While StatelessWhile Case StatelessCase PartitionedCall
    StatefulPartitionedCall Enter Exit LoopCond Merge NextIteration RefEnter RefExit
    Switch ControlTrigger
    """.split()
)
# What loading a SavedModel brings to life. An asset is a file, a resource is made by a
# function that runs while loading.
_ALLOWED_OBJECTS = (
    "user_object",
    "function",
    "bare_concrete_function",
    "variable",
    "constant",
    "captured_tensor",
)


def check_graph(path: Path, graph: graph_pb2.GraphDef) -> None:
    """Raises a ValueError if a frozen graph or one of its functions may do more."""
    names = {function.signature.name for function in graph.library.function}
    _check(path, graph, names)
    _refuse(path, {node.op for node in graph.node} - names - _ALLOWED)


def check_saved_model(path: Path, part: meta_graph_pb2.MetaGraphDef) -> None:
    """Raises a ValueError if loading or calling a SavedModel may do more than compute.

    What stands beside its functions, such as the operations that saved it, TensorFlow
    2 never runs.
    """
    objects: saved_object_graph_pb2.SavedObjectGraph = part.object_graph_def
    if not objects.nodes:
        raise ValueError(
            "`path` must be a SavedModel of TensorFlow 2: those of TensorFlow 1 run "
            f"operations as they are loaded. Received: {path}"
        )
    kinds = {node.WhichOneof("kind") for node in objects.nodes}
    saved_otherwise = any(
        node.saveable_objects or node.registered_saver for node in objects.nodes
    )
    _refuse(
        path,
        {str(kind) for kind in kinds - set(_ALLOWED_OBJECTS)}
        | ({"a way of saving of its own"} if saved_otherwise else set()),
    )
    _check(path, part.graph_def, objects.concrete_functions)


def _check(path: Path, graph: graph_pb2.GraphDef, called: Iterable[str]) -> None:
    functions = {one.signature.name: one for one in graph.library.function}
    waiting, seen, found = list(called), set(), set()
    while waiting:
        name = waiting.pop()
        if name in seen or name not in functions:
            continue
        seen.add(name)
        for node in functions[name].node_def:
            if node.op in functions:
                waiting.append(node.op)
            elif node.op not in _ALLOWED:
                found.add(node.op)
            waiting += _functions_of(node.attr.values())
    for function in functions.values():
        # TensorFlow may put such a function in the place of another one.
        found |= {"api_implements"} & set(function.attr)
    _refuse(path, found)


def _functions_of(attributes: Iterable[Any]) -> Iterator[str]:
    for value in attributes:
        for function in (value.func, *value.list.func):
            if function.name:
                yield function.name


def _refuse(path: Path, found: set[str]) -> None:
    if found:
        raise ValueError(
            "`path` must be a network that does nothing but compute. Received: "
            f"{path} with {', '.join(sorted(found))}"
        )
