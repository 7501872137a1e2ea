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

    def test_fuse_folds_and_proves_it(self):
        path = os.path.join(self.folder, "folded.onnx")
        document = self.json_of(run("fuse", MODEL, "-o", path, "--verify", "3", "--json"), "convoy.fuse_model/1")
        self.assertEqual((document["batch_norms"], document["kept"], document["agrees"]), (1, 0, True))
        self.assertEqual(document["after"]["layers"], document["before"]["layers"] - 2)  # the norm, and the sum of two branches
        self.assertEqual(self.json_of(run("fuse", path, "--json"), "convoy.fuse_model/1")["batch_norms"], 0)
        self.assertEqual(run("fuse", MODEL, "--weights", path).code, 2)

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


if __name__ == "__main__":
    tool.main()
