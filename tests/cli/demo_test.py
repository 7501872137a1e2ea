"""convoy demo: its ticks are checks, and say so when they fail."""
import json
import os
import shutil
import signal
import subprocess
import time
import unittest

import tool
from check_test import CONV, with_wrong_number
from tool import run

SANITIZED = os.environ.get("CONVOY_SANITIZE", "") != ""


class Quick(tool.TestCase):
    def test_text(self):
        result = run("demo", "--quick", cwd=self.folder)
        self.assertEqual(result.code, 0, result)
        self.assertNotIn("✗", result.out)
        self.assertIn("[12] 12  17", result.out)
        self.assertIn("3·0+3·1+2·2 + 0·2+0·2+1·0 + 3·0+1·1+2·2 = 12", result.out)
        self.assertEqual(result.err, "", "nothing but results unless something takes long")
        self.assertEqual(os.listdir(self.folder), [])

    def test_json(self):
        document = self.json_of(run("demo", "--quick", "--json", cwd=self.folder), "convoy.demo/1")
        self.assertTrue(document["passed"])
        self.assertEqual([step["passed"] for step in document["steps"]], [True, True])
        self.assertEqual(document["steps"][0]["output"], [12, 12, 17, 10, 17, 19, 9, 6, 14])
        self.assertEqual(document["steps"][1]["failed"], 0)

    def test_a_wrong_number_fails_the_demo(self):
        name = with_wrong_number(CONV, os.path.join(self.folder, "wrong.safetensors"))
        result = run("demo", "--quick", "--cases", self.folder)
        self.assertEqual(result.code, 1, result)
        self.assertIn("✗", result.out)
        self.assertIn(name, result.out)
        document = self.json_of(run("demo", "--quick", "--json", "--cases", self.folder), "convoy.demo/1")
        self.assertFalse(document["passed"])
        self.assertEqual([step["passed"] for step in document["steps"]], [True, False])

    def test_missing_cases_fail_the_demo(self):
        result = run("demo", "--quick", "--cases", "/nonexistent")
        self.assertEqual(result.code, 1, result)
        self.assertIn("/nonexistent: no such file", result.out)

    def test_an_installed_program_finds_its_own_cases(self):
        for folder in ("bin", "share/convoy/cases"):
            os.makedirs(os.path.join(self.folder, folder))
        program = os.path.join(self.folder, "bin", "convoy")
        shutil.copy(tool.TOOL, program)
        shutil.copy(CONV, os.path.join(self.folder, "share/convoy/cases"))
        done = subprocess.run([program, "demo", "--quick", "--json"], stdout=subprocess.PIPE, env=tool.PLAIN, timeout=300, check=True)
        step = json.loads(done.stdout)["steps"][1]
        self.assertTrue(os.path.samefile(step["cases"], os.path.join(self.folder, "share/convoy/cases")))

    def test_next_lines_are_commands_that_exist(self):
        commands = [command["name"] for command in json.loads(run("help", "--json").out)["commands"]]
        text = run("demo", "--quick").out
        following = [line for line in text[text.index("Next:"):].splitlines() if "convoy " in line]
        self.assertGreaterEqual(len(following), 2)
        for line in following:
            self.assertIn(line.split("convoy ")[1].split()[0], commands)


@unittest.skipIf(SANITIZED, "trains for a minute")
class Whole(tool.TestCase):
    def test_learns_saves_and_recognises(self):
        start = time.time()
        result = run("demo", "--json", cwd=self.folder)
        self.assertEqual(result.code, 0, result)
        document = self.json_of(result, "convoy.demo/1")
        self.assertEqual([step["passed"] for step in document["steps"]], [True] * 5)
        self.assertEqual(document["steps"][2]["parameters"], 39962)
        self.assertGreaterEqual(document["steps"][2]["test_accuracy"], 0.97)
        fold = document["steps"][3]
        self.assertEqual((fold["before"]["parameters"], fold["after"]["parameters"]), (39962, 23946))
        self.assertEqual((fold["before"]["macs"], fold["after"]["macs"]), (3199360, 1919872))
        self.assertEqual(fold["same_answers"], 1000)
        self.assertLess(fold["largest_difference"], 1e-3)
        self.assertEqual(document["steps"][4]["same_predictions"], 1000)
        self.assertGreaterEqual(document["steps"][4]["images_recognised"], 9)
        files = sorted(os.listdir(os.path.join(self.folder, "convoy-demo")))
        self.assertEqual(len([name for name in files if name.endswith(".png")]), 10)
        self.assertIn("shapes.safetensors", files)
        # The first line of "Next:" works.
        predicted = run("predict", "--weights", "convoy-demo/shapes.safetensors", "convoy-demo/heart.png", cwd=self.folder)
        self.assertEqual(predicted.code, 0, predicted)
        folded = run("fuse", "--weights", "convoy-demo/shapes.safetensors", "-o", "folded.safetensors", "--verify", "20", cwd=self.folder)
        self.assertEqual(folded.code, 0, folded)
        print(f"the whole demo took {time.time() - start:.1f} s", flush=True)

    def test_ctrl_c_says_which_steps_were_finished(self):
        process = tool.start("demo", cwd=self.folder)
        for line in iter(process.stderr.readline, b""):
            if b"epoch 1" in line:
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 130)
        self.assertIn("convoy: interrupted: steps 1 to 2 of 5 were finished", err.decode())


if __name__ == "__main__":
    tool.main()
