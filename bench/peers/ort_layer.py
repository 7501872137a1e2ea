#!/usr/bin/env python3
"""Times one layer's forward pass with ONNX Runtime, for compare_layers.py: ort_layer.py DIRECTION SECONDS DESCRIPTOR. Prints milliseconds."""
import os, sys, time
import numpy, onnx, onnxruntime
from onnx import TensorProto, helper, numpy_helper
from descriptor import Layer

direction, seconds, layer = sys.argv[1], float(sys.argv[2]), Layer(sys.argv[3])
if direction != "forward":
    print(0)
    sys.exit()
random = numpy.random.default_rng(1)
shape = (layer.ic, layer.oc // layer.groups) if layer.transposed else (layer.oc, layer.ic // layer.groups)
weight = random.standard_normal(shape + tuple(layer.kernel)).astype(numpy.float32)
attributes = dict(strides=layer.stride, pads=list(layer.padding) * 2, dilations=layer.dilation, group=layer.groups)
if layer.transposed:
    attributes["output_padding"] = layer.output_padding
node = helper.make_node("ConvTranspose" if layer.transposed else "Conv", ["x", "w"], ["y"], **attributes)
x = random.standard_normal([layer.n, layer.ic] + list(layer.input)).astype(numpy.float32)
graph = helper.make_graph([node], "layer", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], [numpy_helper.from_array(weight, "w")])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
model.ir_version = 8
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
session.run(None, {"x": x})
best, start, runs = 1e30, time.perf_counter(), 0
while runs < 5 or time.perf_counter() - start < seconds:
    begin = time.perf_counter()
    session.run(None, {"x": x})
    best, runs = min(best, time.perf_counter() - begin), runs + 1
print(best * 1e3)
