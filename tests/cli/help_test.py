"""Help, version, and being wrong helpfully."""
import os

import tool
from tool import run


class Help(tool.TestCase):
    def test_bare_call_prints_a_few_lines_that_begin_with_the_demo(self):
        result = run()
        self.assertEqual(result.code, 0)
        self.assertEqual(result.out.splitlines()[0], "Try:  convoy demo")
        self.assertEqual(len(result.out.splitlines()), 16)
        self.assertEqual(result.out, run("help").out)
        self.assertEqual(result.out, run("--help").out)

    def test_texts_are_as_stored(self):
        self.expect_golden("help.txt", run().out)
        for command in ("demo", "train", "predict", "fuse", "check", "help"):
            with self.subTest(command):
                self.expect_golden(f"help_{command}.txt", run("help", command).out)

    def test_every_command_explains_itself_in_two_ways(self):
        commands = self.json_of(run("help", "--json"), "convoy.help/1")["commands"]
        self.assertIn("demo", [command["name"] for command in commands])
        for command in commands:
            with self.subTest(command["name"]):
                text = run("help", command["name"])
                self.assertEqual(text.code, 0)
                self.assertIn("--json", text.out)
                self.assertEqual(text.out, run(command["name"], "--help").out)
                self.assertEqual(text.out, run(command["name"], "-h").out)
                self.assertEqual(self.json_of(run("help", command["name"], "--json"), "convoy.help/1")["text"], text.out)

    def test_lines_fit_a_terminal(self):
        for command in ("demo", "train", "predict", "fuse", "check", "shape"):
            for line in run("help", command).out.splitlines():
                self.assertLessEqual(len(line), 100, line)

    def test_version(self):
        result = run("--version")
        self.assertRegex(result.out, r"^convoy \d+\.\d+\.\d+\n$")
        self.assertEqual(result.out.split()[1], self.json_of(run("--version", "--json"), "convoy.version/1")["version"])


class Wrong(tool.TestCase):
    def test_unknown_command(self):
        self.expect_error(run("dmeo"), 2, "unknown command 'dmeo'; did you mean 'demo'?")
        self.expect_error(run("help", "trian"), 2, "unknown command 'trian'; did you mean 'train'?")
        self.assertIn("commands: demo", run("frobnicate").err)
        self.assertNotIn("did you mean", run("frobnicate").err)

    def test_unknown_option(self):
        self.expect_error(run("demo", "--quik"), 2, "unknown option '--quik'; did you mean '--quick'?", "'convoy help demo' lists the options")
        self.expect_error(run("train", "--epoch", "3"), 2, "unknown option '--epoch'; did you mean '--epochs'?")
        self.expect_error(run("train", "--bach-size=3"), 2, "unknown option '--bach-size'; did you mean '--batch-size'?")
        self.expect_error(run("--vrsion"), 2, "unknown option '--vrsion'; did you mean '--version'?", "'convoy help' lists the commands")

    def test_wrong_values_name_option_value_and_what_would_work(self):
        cases = {
            ("train", "--epochs", "x"): ("option '--epochs' needs a whole number from 1 to 1000000, got 'x'", "for example --epochs 1"),
            ("train", "--epochs", "0"): ("option '--epochs' needs a whole number from 1 to 1000000, got '0'", "for example --epochs 1"),
            ("train", "--epochs", "99999999999999999999"): (
                "option '--epochs' needs a whole number from 1 to 1000000, got '99999999999999999999'", "for example --epochs 1000000"),
            ("train", "--lr", "-0.1"): ("option '--lr' needs a number above 0, got '-0.1'", "for example --lr 0.1"),
            ("train", "--lr", "nan"): ("option '--lr' needs a number above 0, got 'nan'", "for example --lr 0.1"),
            ("train", "--lr", "1e400"): ("option '--lr' needs a number above 0, got '1e400'", "for example --lr 0.1"),
            ("train", "--momentum=-1"): ("option '--momentum' needs a number of at least 0, got '-1'", "for example --momentum 0"),
            ("train", "--optimizer", "adma"): ("option '--optimizer' needs sgd, adam or adamw, got 'adma'", "did you mean --optimizer adam?"),
            ("train", "--schedule", "zigzag"): ("option '--schedule' needs none, step or cosine, got 'zigzag'", "for example --schedule none"),
            ("predict", "-k", "0"): ("option '--top' needs a whole number from 1 to 1000000, got '0'", "for example --top 1"),
            ("demo", "--color", "sometimes"): (
                "option '--color' needs auto, always or never, got 'sometimes'", "for example --color=auto"),
            ("demo", "--threads", "0"): ("option '--threads' needs a whole number from 1 to 1024, got '0'", "for example --threads 1"),
            ("demo", "--progress", "fancy"): (
                "option '--progress' needs auto, bar, plain or none, got 'fancy'", "for example --progress=auto"),
            ("train", "--epochs"): ("option '--epochs' needs a value", "'convoy help train' lists the options"),
        }
        for words, (first, second) in cases.items():
            with self.subTest(" ".join(words)):
                self.expect_error(run(*words), 2, first, second)

    def test_a_forgotten_value_is_not_the_next_option(self):
        for words, first in ((("run", "m.onnx", "--output-dir", "--json"), "option '--output-dir' needs a value"),
                             (("run", "m.onnx", "--output-dir=", "out"), "option '--output-dir' needs a value, got ''"),
                             (("shape", "conv2d", "-i", "-k", "3"), "option '-i' needs a value"),
                             (("train", "--net", "--"), "option '--net' needs a value"),
                             (("help", "--ascii=no"), "option '--ascii' takes no value")):
            with self.subTest(" ".join(words)):
                result = run(*words, cwd=self.folder)
                self.assertEqual(result.code, 2, result)
                self.assertEqual(result.err, f"convoy: error: {first}\n       'convoy help {words[0]}' lists the options\n")
                self.assertEqual(os.listdir(self.folder), [])
        self.assertIn("needs a value", self.json_of(run("run", "--labels", "--json"), "convoy.error/1")["error"])
        self.expect_error(run("predict", "--labels", ""), 2, "option '--labels' needs a value, got ''", "give --labels FILE")

    def test_words_of_any_length_are_shortened(self):
        result = run("train", "--epochs", "9" * 100000)
        self.assertEqual(result.code, 2)
        self.assertLess(len(result.err), 5000)

    def test_wrong_environment_variables(self):
        for name, wrong, right in [("CONVOY_NUM_THREADS", "two", "2"), ("CONVOY_NUM_THREADS", "0", "1024"), ("CONVOY_ACCURACY", "exact", "strict"),
                                   ("CONVOY_SIMD", "avx1024", "scalar"), ("CONVOY_MEASURED_PLANS", "yes", "1")]:
            with self.subTest(name):
                result = run("shape", "conv2d", "-i", "8", "-k", "3", env={name: wrong})
                self.assertEqual(result.code, 2)
                self.assertIn(f"the environment variable {name} is '{wrong}'\n       it may be ", result.err)
                self.assertEqual(run("shape", "conv2d", "-i", "8", "-k", "3", env={name: right}).code, 0)
                self.assertIn(name, run("help", "bench").out)

    def test_missing_and_surplus_words(self):
        self.assertEqual(run("check").code, 2)
        self.assertEqual(run("train").code, 2)
        self.assertEqual(run("predict").code, 2)
        self.expect_error(run("demo", "now"), 2, "'convoy demo' does not know what to do with 'now'")

    def test_errors_as_json(self):
        result = run("dmeo", "--json")
        document = self.json_of(result, "convoy.error/1")
        self.assertEqual((result.code, document["exit_code"]), (2, 2))
        self.assertIn("did you mean 'demo'", document["error"])
        self.assertIn("did you mean 'demo'", result.err)


if __name__ == "__main__":
    tool.main()
