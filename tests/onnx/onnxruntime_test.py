#!/usr/bin/env python3
"""What Convoy writes gives the same numbers in ONNX Runtime. Usage: onnxruntime_test.py ONNX_CASES_TEST; exit 77 without onnxruntime."""
import glob
import os
import subprocess
import sys
import tempfile

try:
    import numpy
    import onnxruntime
except ImportError:
    print("there is no onnxruntime for this Python: skipped")
    sys.exit(77)

with tempfile.TemporaryDirectory() as folder:
    subprocess.run([sys.argv[1], "--gtest_filter=OnnxWriter.*:*FoldedNetworks*", "--gtest_brief=1"], check=True, env=dict(os.environ, CONVOY_ONNX_WRITTEN=folder))
    same, failed = 0, 0
    for expected in sorted(glob.glob(folder + "/*.y.npy")):
        stem = expected[: -len(".y.npy")]
        try:
            session = onnxruntime.InferenceSession(stem + ".onnx", providers=["CPUExecutionProvider"])
            found = session.run(None, {"x": numpy.load(stem + ".x.npy")})[0]
            wanted = numpy.load(expected)
            worst = numpy.abs(found - wanted).max() / max(numpy.abs(wanted).max(), 1e-6)
            limit = 5e-6 if os.path.basename(stem).startswith("folded_") else 1e-4
            if found.shape != wanted.shape or not worst <= limit:
                raise ValueError(f"differs by {worst:.1e} of the largest output")
            same += 1
        except Exception as error:
            print(os.path.basename(stem), error)
            failed += 1
    print(same, "give the same numbers,", failed, "do not")
    sys.exit(1 if failed or same < 10 else 0)
