#!/usr/bin/env python3
"""Writes the cases of tests/onnx/cases: small ONNX models with inputs and what they must give, computed with NumPy.

They cover what the conformance cases of the ONNX project leave out: several operators together, forms of old opsets, symbolic sizes, nodes in
any order, functions, sparse and typed initializers, 16-bit floats. Each folder is laid out as the ONNX project does: model.onnx and
test_data_set_0/input_K.pb, output_K.pb. Needs Debian's python3-onnx; the results are the same each time.

Usage: make_onnx_cases.py [OUT_DIR]
"""
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OUT = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..", "tests", "onnx", "cases")
RANDOM = np.random.RandomState(1)


def randn(*shape, dtype=np.float32):
    return RANDOM.randn(*shape).astype(dtype)


def type_of(array):
    return onnx.mapping.NP_TYPE_TO_TENSOR_TYPE[array.dtype]


def info(name, array, shape=None):
    return helper.make_tensor_value_info(name, type_of(array), array.shape if shape is None else shape)


def write(name, nodes, inputs, outputs, opset, initializers=(), shapes=None, functions=(), sparse=(), change=None):
    """inputs and outputs: (name, array) in order; shapes: of inputs that are not fixed; change: called with the model before it is written."""
    shapes = shapes or {}
    graph = helper.make_graph(nodes, name, [info(n, a, shapes.get(n)) for n, a in inputs], [info(n, a, shapes.get(n)) for n, a in outputs],
                              [numpy_helper.from_array(a, n) if isinstance(a, np.ndarray) else a for n, a in initializers], sparse_initializer=sparse)
    opsets = [helper.make_opsetid("", opset)] + [helper.make_opsetid(f.domain, 1) for f in functions[:1]]
    model = helper.make_model(graph, producer_name="convoy", opset_imports=opsets, functions=list(functions))
    model.ir_version = 8 if functions else 7 if opset >= 12 else 4
    if change is not None:
        change(model)
    folder = os.path.join(OUT, name, "test_data_set_0")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(OUT, name, "model.onnx"), "wb") as file:
        file.write(model.SerializeToString())
    for kind, values in (("input", inputs), ("output", outputs)):
        for i, (value_name, array) in enumerate(values):
            with open(os.path.join(folder, f"{kind}_{i}.pb"), "wb") as file:
                file.write(numpy_helper.from_array(np.asarray(array), value_name).SerializeToString())


def conv(x, w, b=None, stride=1, pad=0, groups=1):
    """Two axes, the same stride and padding along both."""
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    oh, ow = (x.shape[2] - w.shape[2]) // stride + 1, (x.shape[3] - w.shape[3]) // stride + 1
    y = np.zeros((x.shape[0], w.shape[0], oh, ow))
    per_group = w.shape[0] // groups
    for o in range(w.shape[0]):
        first = o // per_group * w.shape[1]
        for i in range(oh):
            for j in range(ow):
                window = x[:, first:first + w.shape[1], i * stride:i * stride + w.shape[2], j * stride:j * stride + w.shape[3]]
                y[:, o, i, j] = (window * w[o]).sum((1, 2, 3)) + (0 if b is None else b[o])
    return y


def max_pool2(x):
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).max((3, 5))


def softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


node = helper.make_node
relu = lambda v: np.maximum(v, 0)


def small_network():
    """Convolution, normalisation, residual, pooling, and a head that takes the batch from Shape, as PyTorch exports it."""
    x, w1, w2, head = randn(3, 3, 8, 8), randn(4, 3, 3, 3) / 4, randn(4, 4, 3, 3) / 4, randn(5, 64) / 8
    scale, shift, mean, var = RANDOM.rand(4).astype(np.float32) + 0.5, randn(4), randn(4), RANDOM.rand(4).astype(np.float32) + 0.5
    bias = randn(5)
    nodes = [
        node("Conv", ["x", "w1"], ["c1"], name="conv1", pads=[1, 1, 1, 1]),
        node("BatchNormalization", ["c1", "scale", "shift", "mean", "var"], ["n1"], name="bn1", epsilon=1e-5),
        node("Relu", ["n1"], ["r1"]),
        node("Conv", ["r1", "w2"], ["c2"], name="conv2", pads=[1, 1, 1, 1]),
        node("Add", ["c2", "r1"], ["s"]),
        node("Relu", ["s"], ["r2"]),
        node("MaxPool", ["r2"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Shape", ["p"], ["shape"]),
        node("Gather", ["shape", "zero"], ["batch"], axis=0),
        node("Unsqueeze", ["batch", "first"], ["batch1"]),
        node("Concat", ["batch1", "rest"], ["flat_shape"], axis=0),
        node("Reshape", ["p", "flat_shape"], ["flat"]),
        node("Gemm", ["flat", "head", "bias"], ["y"], name="fc", transB=1),
    ]
    n1 = (conv(x, w1, pad=1) - mean[:, None, None]) / np.sqrt(var + np.float32(1e-5))[:, None, None] * scale[:, None, None] + shift[:, None, None]
    r1 = relu(n1)
    r2 = relu(conv(r1, w2, pad=1) + r1)
    y = (max_pool2(r2).reshape(3, -1) @ head.T.astype(np.float64) + bias).astype(np.float32)
    weights = [("w1", w1), ("w2", w2), ("head", head), ("bias", bias), ("scale", scale), ("shift", shift), ("mean", mean), ("var", var),
               ("zero", np.array(0, np.int64)), ("first", np.array([0], np.int64)), ("rest", np.array([-1], np.int64))]
    write("small_network", nodes, [("x", x)], [("y", y)], 13, weights, {"x": ["N", 3, 8, 8], "y": ["N", 5]})
    write("nodes_in_reverse", nodes[::-1], [("x", x)], [("y", y)], 13, weights, {"x": ["N", 3, 8, 8], "y": ["N", 5]})


def depthwise_block():
    """An inverted residual with hard-swish and squeeze-excite."""
    x, expand, depth, project = randn(2, 4, 6, 6), randn(8, 4, 1, 1) / 2, randn(8, 1, 3, 3) / 3, randn(4, 8, 1, 1) / 3
    down, up = randn(2, 8, 1, 1) / 3, randn(8, 2, 1, 1)
    nodes = [
        node("Conv", ["x", "expand"], ["e"]),
        node("HardSigmoid", ["e"], ["g"], alpha=1 / 6, beta=0.5),
        node("Mul", ["e", "g"], ["h"]),
        node("Conv", ["h", "depth"], ["d"], group=8, pads=[1, 1, 1, 1]),
        node("GlobalAveragePool", ["d"], ["pooled"]),
        node("Conv", ["pooled", "down"], ["s1"]),
        node("Relu", ["s1"], ["s2"]),
        node("Conv", ["s2", "up"], ["s3"]),
        node("Sigmoid", ["s3"], ["s4"]),
        node("Mul", ["d", "s4"], ["scaled"]),
        node("Conv", ["scaled", "project"], ["p"]),
        node("Add", ["x", "p"], ["y"]),
    ]
    e = conv(x, expand)
    h = e * np.clip(e / 6 + 0.5, 0, 1)
    d = conv(h, depth, pad=1, groups=8)
    s = conv(relu(conv(d.mean((2, 3), keepdims=True), down)), up)
    y = (x + conv(d / (1 + np.exp(-s)), project)).astype(np.float32)
    write("depthwise_block", nodes, [("x", x)], [("y", y)], 14, [("expand", expand), ("depth", depth), ("project", project), ("down", down), ("up", up)])


def channel_shuffle():
    x = randn(2, 6, 3, 4)
    nodes = [
        node("Reshape", ["x", "split"], ["a"]),
        node("Transpose", ["a"], ["b"], perm=[0, 2, 1, 3, 4]),
        node("Reshape", ["b", "join"], ["c"]),
        node("Split", ["c"], ["d", "e"], axis=1),
        node("Concat", ["e", "d"], ["y"], axis=1),
    ]
    c = x.reshape(2, 2, 3, 3, 4).transpose(0, 2, 1, 3, 4).reshape(2, 6, 3, 4)
    write("channel_shuffle", nodes, [("x", x)], [("y", np.concatenate([c[:, 3:], c[:, :3]], 1))], 11,
          [("split", np.array([0, 2, 3, 3, 4], np.int64)), ("join", np.array([0, -1, 3, 4], np.int64))], {"x": ["N", 6, 3, 4], "y": ["N", 6, 3, 4]})


def old_forms():
    x, row, channel = randn(2, 3, 4, 5), randn(5), randn(3)
    write("opset6_broadcast_axis", [node("Add", ["x", "c"], ["s"], broadcast=1, axis=1), node("Mul", ["s", "r"], ["y"], broadcast=1)],
          [("x", x)], [("y", (x + channel[:, None, None]) * row)], 6, [("c", channel), ("r", row)])
    write("opset6_prelu", [node("PRelu", ["x", "slope"], ["y"])], [("x", x)], [("y", np.where(x >= 0, x, x * channel[:, None, None]))], 6, [("slope", channel)])
    write("opset9_softmax_over_the_rest", [node("Softmax", ["x"], ["y"], axis=2)], [("x", x)],
          [("y", softmax(x.reshape(6, 20), 1).reshape(x.shape).astype(np.float32))], 9, shapes={"x": ["N", 3, 4, 5], "y": ["N", 3, 4, 5]})
    write("opset7_upsample", [node("Upsample", ["x"], ["y"], mode="nearest", scales=[1.0, 1.0, 2.0, 3.0])], [("x", x)],
          [("y", x.repeat(2, 2).repeat(3, 3))], 7)
    write("opset9_slice_squeeze", [node("Slice", ["x"], ["s"], axes=[1, 3], starts=[-1, 1], ends=[9223372036854775807, -1]), node("Squeeze", ["s"], ["y"], axes=[1])],
          [("x", x)], [("y", x[:, 2, :, 1:-1])], 9)
    write("opset6_clip_pad", [node("Clip", ["x"], ["c"], min=-0.5, max=0.5), node("Pad", ["c"], ["y"], mode="constant", pads=[0, 0, 1, 2, 0, 0, 0, 1], value=7.0)],
          [("x", x)], [("y", np.pad(np.clip(x, -0.5, 0.5), ((0, 0), (0, 0), (1, 0), (2, 1)), constant_values=7))], 6)
    write("opset9_reduce_topk", [node("ReduceMax", ["x"], ["m"], axes=[2], keepdims=0), node("TopK", ["m"], ["y", "i"], axis=-1, k=2)], [("x", x)],
          [("y", -np.sort(-x.max(2), -1)[..., :2]), ("i", np.argsort(-x.max(2), -1)[..., :2].astype(np.int64))], 9)
    w = randn(3, 2, 2, 2)
    groups = randn(2, 6, 3)
    scale, bias = randn(2), randn(2)
    g = groups.reshape(2, 2, -1).astype(np.float64)
    g = ((g - g.mean(2, keepdims=True)) / np.sqrt(g.var(2, keepdims=True) + np.float32(1e-5)) * scale[:, None] + bias[:, None]).reshape(groups.shape)
    write("opset18_group_norm", [node("GroupNormalization", ["x", "scale", "bias"], ["y"], num_groups=2)], [("x", groups)], [("y", g.astype(np.float32))], 18,
          [("scale", scale), ("bias", bias)])
    small = randn(1, 3, 3, 2)
    y = np.zeros((1, 2, 6, 4))
    for i in range(3):
        for j in range(2):
            y[:, :, 2 * i:2 * i + 2, 2 * j:2 * j + 2] += np.einsum("nc,cokl->nokl", small[:, :, i, j].astype(np.float64), w)
    write("conv_transpose_output_shape", [node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2], output_shape=[7, 4])], [("x", small)],
          [("y", np.pad(y, ((0, 0), (0, 0), (0, 1), (0, 0))).astype(np.float32))], 11, [("w", w)])


def other_types():
    x, w = randn(1, 2, 5, 5), randn(3, 2, 3, 3)
    half = conv(x.astype(np.float16), w.astype(np.float16), pad=1).astype(np.float16)
    write("float16_conv", [node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])], [("x", x.astype(np.float16))], [("y", half)], 13, [("w", w.astype(np.float16))])
    wide = conv(x.astype(np.float64), w.astype(np.float64), stride=2)
    write("float64_conv", [node("Conv", ["x", "w"], ["y"], strides=[2, 2])], [("x", x.astype(np.float64))], [("y", wide)], 13, [("w", w.astype(np.float64))])
    n = RANDOM.randint(-9, 9, (3, 4)).astype(np.int32)
    write("int32_where", [node("Greater", ["n", "zero"], ["p"]), node("Neg", ["n"], ["m"]), node("Where", ["p", "n", "m"], ["a"]), node("ReduceSum", ["a"], ["y"], keepdims=0)],
          [("n", n)], [("y", np.abs(n).sum(dtype=np.int32))], 13, [("zero", np.array(0, np.int32))])


def typed_initializers():
    """int32_data, int64_data, double_data and a sparse matrix, not raw bytes."""
    x = randn(2, 3)
    typed = [helper.make_tensor("i", TensorProto.INT32, [3], [1, -2, 3]), helper.make_tensor("h", TensorProto.FLOAT16, [3], [0.5, 1, 2]),
             helper.make_tensor("d", TensorProto.DOUBLE, [3], [0.25, 0, -1])]
    values, indices = helper.make_tensor("s", TensorProto.FLOAT, [2], [2.0, 3.0]), helper.make_tensor("s_i", TensorProto.INT64, [2, 2], [0, 1, 2, 0])
    dense = np.zeros((3, 2), np.float32)
    dense[0, 1], dense[2, 0] = 2, 3
    nodes = [node("Cast", [n], [n + "f"], to=TensorProto.FLOAT) for n in "ihd"]
    nodes += [node("Sum", ["x", "if", "hf", "df"], ["t"]), node("MatMul", ["t", "s"], ["y"])]
    t = x + np.array([1, -2, 3], np.float32) + np.array([0.5, 1, 2], np.float32) + np.array([0.25, 0, -1], np.float32)
    write("typed_initializers", nodes, [("x", x)], [("y", t @ dense)], 13, [(t.name, t) for t in typed], sparse=[helper.make_sparse_tensor(values, indices, [3, 2])])


def functions():
    """A function with an attribute that calls another one."""
    x = randn(2, 3)
    inner = helper.make_function("local", "Double", ["a"], ["b"], [node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 15)])
    leaky = node("LeakyRelu", ["t"], ["b"])
    reference = onnx.AttributeProto()
    reference.name, reference.ref_attr_name, reference.type = "alpha", "slope", onnx.AttributeProto.FLOAT
    leaky.attribute.append(reference)
    outer = helper.make_function("local", "DoubledLeaky", ["a"], ["b"], [node("Double", ["a"], ["t"], domain="local"), leaky],
                                 [helper.make_opsetid("", 15), helper.make_opsetid("local", 1)], ["slope"])
    nodes = [node("DoubledLeaky", ["x"], ["t"], domain="local", slope=0.25), node("DoubledLeaky", ["t"], ["y"], domain="local", slope=0.5)]
    f = lambda v, s: np.where(2 * v >= 0, 2 * v, 2 * v * np.float32(s))
    write("functions", nodes, [("x", x)], [("y", f(f(x, 0.25), 0.5))], 15, functions=[inner, outer])


def main():
    for make in (small_network, depthwise_block, channel_shuffle, old_forms, other_types, typed_initializers, functions):
        make()
    print(len(os.listdir(OUT)), "cases in", OUT)


main()
