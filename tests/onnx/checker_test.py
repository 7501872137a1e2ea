#!/usr/bin/env python3
"""What Convoy writes is what ONNX's own checker accepts. Usage: checker_test.py ONNX_CASES_TEST; exit 77 without python3-onnx."""
import glob
import os
import subprocess
import sys
import tempfile

try:
    import onnx
except ImportError:
    debian = "/usr/bin/python3"  # where apt installs it, if another Python comes first in the path
    if os.path.realpath(sys.executable) != os.path.realpath(debian) and os.path.exists(debian):
        os.execv(debian, [debian] + sys.argv)
    print("there is no python3-onnx: skipped")
    sys.exit(77)

with tempfile.TemporaryDirectory() as folder:
    subprocess.run([sys.argv[1], "--gtest_filter=OnnxWriter.*", "--gtest_brief=1"], check=True, env=dict(os.environ, CONVOY_ONNX_WRITTEN=folder))
    newest, checked, failed = onnx.defs.onnx_opset_version(), 0, 0
    for path in sorted(glob.glob(folder + "/*.onnx")):
        model = onnx.load(path)
        if model.opset_import[0].version > newest:
            print(os.path.basename(path), "uses opset", model.opset_import[0].version, "which this ONNX does not know")
            continue
        try:
            onnx.checker.check_model(model, full_check=True)
            checked += 1
        except Exception as error:
            print(os.path.basename(path), error)
            failed += 1
    print(checked, "accepted,", failed, "refused")
    sys.exit(1 if failed or checked < 10 else 0)
