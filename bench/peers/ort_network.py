#!/usr/bin/env python3
"""Times a whole network with ONNX Runtime, for compare_networks.py: ort_network.py MODEL SECONDS FOLDER.

Inputs are the arrays 0.in.npy, 1.in.npy, ... of the folder; the outputs go there as 0.npy, 1.npy, ... Prints the least and the median time in
milliseconds.
"""
import os, sys, time
import numpy, onnxruntime

model, seconds, folder = sys.argv[1], float(sys.argv[2]), sys.argv[3]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
inputs = {value.name: numpy.load(os.path.join(folder, f"{i}.in.npy")) for i, value in enumerate(session.get_inputs())}
for i, output in enumerate(session.run(None, inputs)):
    numpy.save(os.path.join(folder, f"{i}.npy"), output)
session.run(None, inputs)
times, start = [], time.perf_counter()
while len(times) < 5 or time.perf_counter() - start < seconds:
    begin = time.perf_counter()
    session.run(None, inputs)
    times.append((time.perf_counter() - begin) * 1e3)
times.sort()
print(times[0], times[len(times) // 2])
