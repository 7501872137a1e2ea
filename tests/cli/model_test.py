"""convoy summary, run and bench on ONNX files."""
import json
import os
import shutil

import tool
from tool import run

MODEL = os.path.join(tool.SOURCE, "tests", "onnx", "cases", "small_network", "model.onnx")


class Models(tool.TestCase):
    def test_summary_lists_layers_and_totals(self):
        result = run("summary", MODEL)
        self.assertEqual(result.code, 0, result)
        self.expect_golden("summary.txt", result.out.replace(MODEL, "model.onnx"))
        document = self.json_of(run("summary", MODEL, "--json"), "convoy.summary/1")
        self.assertEqual(document["parameters"], sum(layer["parameters"] for layer in document["layers"]))
        self.assertIn("time", run("summary", MODEL, "--time").out.splitlines()[0])

    def test_run_on_random_numbers_saves_outputs(self):
        folder = os.path.join(self.folder, "out")
        result = run("run", MODEL, "--random-input", "--output-dir", folder)
        self.assertEqual(result.code, 0, result)
        with open(os.path.join(folder, "index.json"), encoding="utf-8") as file:
            index = json.load(file)
        for entry in index["outputs"]:
            self.assertTrue(os.path.exists(os.path.join(folder, entry["file"])))

    def test_bench_times_the_whole_and_its_layers(self):
        document = self.json_of(run("bench", MODEL, "--layers", "--seconds", "0.01", "--json"), "convoy.bench_model/1")
        self.assertGreaterEqual(document["runs"], 5)
        self.assertLessEqual(document["min_ms"], document["median_ms"])
        self.assertGreater(len(document["layers"]), 0)

    def test_bench_chooses_by_measuring_if_asked(self):
        layer = ["bench", "--layer", "ic8 oc8 i12 k3 p1", "--seconds", "0.01", "--json"]
        document = self.json_of(run(*layer, "--measure"), "convoy.bench/1")
        measured = {row["algorithm"]: row["measured_ms"] for row in document["candidates"] if "measured_ms" in row}
        self.assertEqual(document["algorithm"], min(measured, key=measured.get))
        self.assertIn("measured", run(*layer[:-1], "--measure", "--explain").out)
        self.assertFalse(any("measured_ms" in row for row in self.json_of(run(*layer), "convoy.bench/1")["candidates"]))

    def test_fuse_folds_and_proves_it(self):
        path = os.path.join(self.folder, "folded.onnx")
        document = self.json_of(run("fuse", MODEL, "-o", path, "--verify", "3", "--json"), "convoy.fuse_model/1")
        self.assertEqual((document["batch_norms"], document["kept"], document["verified"]["agrees"]), (1, 0, True))
        layers = document["verified"]["layers"]
        self.assertEqual([layer["layer"] for layer in layers], ["conv1", "conv2"])
        for layer in layers:
            self.assertEqual((layer["border_outputs"], layer["outputs"]), (28, 64))
            self.assertLess(max(layer["interior"], layer["border"]), 5e-6 * max(layer["largest_output"], 1))
        self.assertEqual(document["after"]["layers"], document["before"]["layers"] - 2)  # the norm, and the sum of two branches
        self.assertEqual(self.json_of(run("fuse", path, "--json"), "convoy.fuse_model/1")["batch_norms"], 0)
        self.assertEqual(run("fuse", MODEL, "--weights", path).code, 2)
        # The file that was written agrees with what it was made from, and is found to.
        result = run("fuse", MODEL, "--against", path, "--verify", "3")
        self.assertEqual(result.code, 0, result)
        self.assertIn("✓ the same answers on 3 random inputs", result.out)

    def test_fuse_names_what_differs(self):
        """Another file with the weights of one layer changed."""
        path = os.path.join(self.folder, "folded.onnx")
        self.assertEqual(run("fuse", MODEL, "-o", path).code, 0)
        with open(path, "rb") as file:
            data = file.read()
        # The weights lie in the file as raw floats: take one that is far from zero and make it another.
        at = next(i for i in range(len(data) - 400, 0, -1) if data[i + 3] in (0x3E, 0x3F, 0xBE, 0xBF) and data[i + 7] in (0x3E, 0x3F, 0xBE, 0xBF))
        other = os.path.join(self.folder, "other.onnx")
        with open(other, "wb") as file:
            file.write(data[:at] + b"\0\0\x40\x40" + data[at + 4:])
        result = run("fuse", MODEL, "--against", other, "--verify", "3")
        self.assertEqual(result.code, 1, result)
        self.assertIn("✗ other answers on 3 random inputs", result.out)
        self.assertFalse(self.json_of(run("fuse", MODEL, "--against", other, "--verify", "3", "--json"), "convoy.fuse_model/1")["verified"]["agrees"])

    def test_fuse_refuses_what_makes_no_sense(self):
        path = os.path.join(self.folder, "folded.onnx")
        self.expect_error(run("fuse", MODEL, "--against", MODEL), 2, "--against needs --verify N")
        self.expect_error(run("fuse", MODEL, "--against", MODEL, "--verify", "2", "-o", path), 2, "--against writes nothing")
        self.expect_error(run("fuse", MODEL, "--inexact"), 2, "a model file says everything itself: it takes -o, --verify, --input, --against and --external-data alone")
        self.expect_error(run("fuse", "/nonexistent.onnx", "-o", path), 3, "/nonexistent.onnx: no such file")
        self.expect_error(run("fuse", MODEL, "--against", "/nonexistent.onnx", "--verify", "2"), 3, "/nonexistent.onnx: no such file")
        self.assertEqual(run("fuse", MODEL, "-o", os.path.join(self.folder, "none", "folded.onnx")).code, 3)
        self.assertEqual(run("fuse", MODEL, "--verify", "0").code, 2)
        result = run("fuse", MODEL, "--verify", "2", "--input", "4x8x8")
        self.assertEqual(result.code, 4, result)
        # Onto itself: the whole new file, or the old one.
        shutil.copyfile(MODEL, path)
        self.assertEqual(run("fuse", path, "-o", path, "--verify", "2").code, 0)
        self.assertEqual(self.json_of(run("fuse", path, "--json"), "convoy.fuse_model/1")["batch_norms"], 0)

    def test_fuse_stops_while_it_compares(self):
        path = os.path.join(self.folder, "folded.onnx")
        result = tool.interrupt_after(3, "fuse", MODEL, "-o", path, "--verify", "1000000")
        self.assertEqual(result.code, 130, result)
        self.assertIn("interrupted: while comparing; nothing was written", result.err)
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_damaged_file_is_refused(self):
        path = os.path.join(self.folder, "cut.onnx")
        shutil.copyfile(MODEL, path)
        os.truncate(path, os.path.getsize(MODEL) // 2)
        for command in (["summary", path], ["run", path, "--random-input"], ["bench", path]):
            result = run(*command)
            self.assertEqual(result.code, 3, result)
            self.assertIn(path, result.err)

    def test_wrong_arguments_say_what_would_work(self):
        self.expect_error(run("run", MODEL), 2, "nothing to run it on", "give images, or --input NAME=FILE.npy for each input, or --random-input")
        self.assertEqual(run("run").code, 2)
        self.assertEqual(run("summary").code, 2)
        self.assertEqual(run("bench", MODEL, "--explain").code, 2)
        self.assertEqual(run("run", MODEL, "--input", "nobody=" + MODEL).code, 3)
        self.expect_error(run("run", MODEL, "x.npy"), 2, "x.npy is an array, not an image", "give it with --input x.npy")
        # Said before the network is read, not after it has run.
        self.expect_error(run("run", "/nonexistent.onnx", "--random-input", "--output-dir", os.path.join(MODEL, "out")), 3,
                          os.path.join(MODEL, "out") + ": cannot be written to: Not a directory", "give --output-dir a folder that can be written")
        labels = os.path.join(self.folder, "labels.txt")
        open(labels, "w").close()
        self.expect_error(run("run", MODEL, "--random-input", "--labels", labels), 3, labels + ": holds no names")


if __name__ == "__main__":
    tool.main()
