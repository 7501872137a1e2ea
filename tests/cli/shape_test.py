"""convoy shape: sizes, what they cost, what is wrong with a layer, and which settings give a size."""
import random
import re

import tool
from tool import run

STEM = ("conv2d", "-i", "224", "-k", "7", "-s", "2", "-p", "3", "--in", "3", "--out", "64")


def expected(family, n, k, s, p, d, a=0, ceil=False):
    """The output size by the textbook, None if there is none."""
    span = d * (k - 1) + 1
    if family == "conv_transpose":
        return (n - 1) * s - 2 * p + span + a if a < max(s, d) and (n - 1) * s - 2 * p + span + a > 0 else None
    if family != "conv" and p > k // 2:
        return None
    if family == "conv" or not ceil:
        return (n + 2 * p - span) // s + 1 if n + 2 * p >= span else None
    o = -((span - n - 2 * p) // s) + 1
    o -= 1 if (o - 1) * s >= n + p else 0
    return o if o > 0 else None


def words_of(layer, n, k, s, p, d, a=0, ceil=False):
    words = [layer, "-i", str(n), "-k", str(k), "-s", str(s), "-p", str(p)]
    return words + (["-d", str(d)] if d > 1 else []) + (["-a", str(a)] if a else []) + (["--ceil-mode"] if ceil else [])


class Sizes(tool.TestCase):
    def sizes_of(self, *words):
        return self.json_of(run("shape", *words, "--json"), "convoy.shape/1")["output"]

    def test_texts_are_as_stored(self):
        for name, words in {
                "shape_conv2d.txt": STEM,
                "shape_conv2d_uneven.txt": ("conv2d", "-i", "224x112", "-k", "3x5", "-s", "2x3", "-p", "1,0,2,1", "-d", "2x1"),
                "shape_conv_transpose2d.txt": ("conv_transpose2d", "-i", "16", "-k", "3", "-s", "2", "-p", "1", "-a", "1", "--in", "64", "--out", "32"),
                "shape_max_pool2d.txt": ("max_pool2d", "-i", "6", "-k", "1", "-s", "3", "--ceil-mode"),
                "shape_conv1d.txt": ("conv1d", "-i", "16000", "-k", "2", "-p", "512,0", "-d", "512", "--in", "32"),
                "shape_for_output.txt": ("conv2d", "-i", "224", "-k", "5", "--output", "4"),
                "help_shape.txt": ("--help",)}.items():
            with self.subTest(name):
                self.expect_golden(name, run("shape", *words).out)

    def test_the_example_of_the_guide(self):
        document = self.json_of(run("shape", *STEM, "--json"), "convoy.shape/1")
        self.assertEqual(document["input"], [1, 3, 224, 224])
        self.assertEqual(document["output"], [1, 64, 112, 112])
        self.assertEqual((document["parameters"], document["parameters_with_bias"]), (9408, 9472))
        self.assertEqual(document["macs_per_sample"], 118013952)
        self.assertEqual(document["axes"][0]["returning_output_padding"], 1)
        self.assertEqual(document["axes"][0]["receptive_field"], 7)
        self.assertEqual(len(document["notes"]), 2)
        self.assertIn("⌊(224 + 2·3 − 1·(7−1) − 1)/2⌋ + 1 = ⌊223/2⌋ + 1 = 112", run("shape", *STEM).out)
        self.assertIn("floor(223/2)", run("shape", *STEM, "--ascii").out)

    def test_pytorchs_names_and_ways_of_writing(self):
        for layer in ("conv2d", "Conv2d", "CONV2D"):
            self.assertEqual(self.sizes_of(layer, "--input=224", "--kernel-size=7", "--stride", "2", "--padding", "3"), [112, 112])
        self.assertEqual(self.sizes_of("ConvTranspose2d", "-i", "16", "-k", "2", "-s", "2"), [32, 32])
        self.assertEqual(self.sizes_of("MaxPool3d", "-i", "8x9x10", "-k", "2"), [4, 4, 5])
        self.assertEqual(self.sizes_of("conv2d", "-i", "8,9", "-k", "3x5"), [6, 5])
        self.assertEqual(self.sizes_of("conv2d", "-i", "8", "-k", "3", "-p", "0,1,2,3"), [7, 11])
        self.assertEqual(self.sizes_of("conv1d", "-i", "8", "-k", "3", "-p", "2,0"), [8])
        self.assertEqual(self.sizes_of("conv2d", "-i", "8", "-k", "3", "--in-channels", "4", "--out-channels", "8", "-n", "5"), [5, 8, 6, 6])
        for padding, size in {"same": 8, "valid": 5, "half": 9, "full": 11}.items():
            self.assertEqual(self.sizes_of("conv2d", "-i", "8", "-k", "4", "-p", padding), [size, size])

    def test_a_pooling_stride_is_the_kernel_unless_given(self):
        self.assertEqual(self.sizes_of("avg_pool2d", "-i", "9", "-k", "3"), [3, 3])
        self.assertEqual(self.sizes_of("avg_pool2d", "-i", "9", "-k", "3", "-s", "1"), [7, 7])

    def test_random_layers_against_the_textbook_and_every_fix_works(self):
        rng = random.Random(20240608)
        impossible = 0
        for _ in range(150):
            family = rng.choice(["conv", "conv_transpose", "max_pool"])
            n, k, s, p, d = (rng.randrange(0, 9), rng.randrange(1, 6), rng.randrange(1, 4), rng.randrange(0, 4), rng.choice([1, 1, 2, 3]))
            a = rng.randrange(0, 3) if family == "conv_transpose" else 0
            ceil = family == "max_pool" and rng.random() < 0.5
            words = words_of(f"{family}1d", n, k, s, p, d, a, ceil)
            with self.subTest(" ".join(words)):
                size = expected(family, n, k, s, p, d, a, ceil)
                result = run("shape", *words, "--json")
                if size is not None:
                    self.assertEqual(self.json_of(result, "convoy.shape/1")["output"], [size], result)
                    continue
                impossible += 1
                self.assertEqual(result.code, 4, result)
                fix = self.json_of(result, "convoy.error/1")["fix"]
                for option, value, output in re.findall(r"(-\w) (\d+)  \(output (\d+)\)", fix):
                    self.assertEqual(self.sizes_of(*words, option, value), [int(output)], fix)
        self.assertGreater(impossible, 20)


class Solving(tool.TestCase):
    def ways(self, *words):
        return self.json_of(run("shape", *words, "--json"), "convoy.shape_for_output/1")

    def test_every_way_gives_the_size(self):
        for words in (["conv2d", "-i", "224", "-k", "7", "--output", "56"], ["conv2d", "-i", "224", "-k", "5", "--output", "4"],
                      ["conv2d", "-i", "20x31", "-k", "3", "--output", "10x16"], ["conv_transpose2d", "-i", "4", "-k", "3", "--output", "8"],
                      ["max_pool2d", "-i", "8", "-k", "3", "--output", "4"], ["max_pool1d", "-i", "17", "-k", "4", "-s", "2", "--output", "9"],
                      ["conv1d", "-i", "10", "-k", "3", "-d", "2", "-s", "2", "--output", "5"]):
            with self.subTest(" ".join(words)):
                document = self.ways(*words)
                given = words[:words.index("--output")]
                found = [change["option"].split() for change in document["changes"]]
                for pair in document["stride_and_padding"]:
                    for stride in pair["strides"]:
                        padding = ["-s", str(stride), "-p", "x".join(map(str, pair["padding"]))]
                        found.append(padding + (["-a", "x".join(map(str, pair["output_padding"]))] if "output_padding" in pair else []))
                self.assertTrue(found)
                for options in found:
                    result = self.json_of(run("shape", *given, *options, "--json"), "convoy.shape/1")
                    self.assertEqual(result["output"], document["wanted"], options)

    def test_ranges_end_where_the_size_changes(self):
        document = self.ways("conv1d", "-i", "50", "-k", "3", "--output", "7")
        for change in document["changes"]:
            first, last = change["values"][0]
            option = change["option"].split()[0]
            for value, inside in ((first - 1, False), (first, True), (last, True), (last + 1, False)):
                result = run("shape", "conv1d", "-i", "50", "-k", "3", option, str(value), "--json")
                size = self.json_of(result, "convoy.shape/1")["output"] if result.code == 0 else None
                self.assertEqual(size == [7], inside, (option, value))

    def test_inputs_and_layers_in_a_row(self):
        self.assertEqual(self.ways("conv2d", "-k", "7", "-s", "2", "-p", "3", "--output", "112")["changes"][0]["values"], [[223, 224]] * 2)
        self.assertEqual(self.ways("conv2d", "-i", "224", "-k", "5", "--output", "4")["layers_in_a_row"], 55)
        self.assertEqual(self.ways("conv2d", "-i", "32", "-k", "5", "--output", "4")["layers_in_a_row"], 7)
        self.assertIsNone(self.ways("conv2d", "-i", "224", "-k", "5", "--output", "3")["layers_in_a_row"])
        self.assertEqual(self.ways("conv2d", "-i", "8", "-k", "3", "-p", "1", "--output", "8")["as_given"], [8, 8])

    def test_no_way(self):
        self.expect_error(run("shape", "conv2d", "-i", "8", "-k", "3", "--output", "0"), 4, "conv2d cannot give 0×0 from 8×8",
                          "the settings as given lead to 6×6")


class Wrong(tool.TestCase):
    def test_impossible_layers(self):
        for words, first, second in (
                (("conv2d", "-i", "2", "-k", "3"), "kernel 3 is larger than the padded input 2 (height and width)",
                 "smallest change that works:  -p 1  (output 2×2)      or  -i 3  (output 1×1)      or  -k 2  (output 1×1)"),
                (("conv2d", "-i", "9x2", "-k", "3"), "kernel 3 is larger than the padded input 2 (width)",
                 "smallest change that works:  -p 0x1  (output 7×2)      or  -i 9x3  (output 7×1)      or  -k 3x2  (output 7×1)"),
                (("conv1d", "-i", "4", "-k", "3", "-d", "2"), "kernel 3 with dilation 2 spans 5, which is larger than the padded input 4", None),
                (("max_pool2d", "-i", "8", "-k", "2x3", "-p", "1x2"), "pad should be at most half of kernel size, but got pad=2 and kernel_size=3 (width)",
                 "smallest change that works:  -p 1  (output 5×3)      or  -k 2x4  (output 5×3)"),
                (("conv2d", "-i", "8", "-k", "3", "-s", "0"), "stride must be at least 1, but is 0 (height and width)",
                 "smallest change that works:  -s 1  (output 6×6)"),
                (("conv2d", "-i", "8", "-k", "3", "-p", "-1"), "padding must not be negative, but is -1 (height and width)",
                 "smallest change that works:  -p 0  (output 6×6)"),
                (("conv_transpose1d", "-i", "4", "-k", "3", "-a", "1"),
                 "output padding must be smaller than either stride or dilation, but got 1 with stride 1 and dilation 1",
                 "smallest change that works:  -a 0  (output 6)      or  -s 2  (output 10)      or  -d 2  (output 9)"),
                (("conv2d", "-i", "8", "-k", "3", "--in", "30", "--out", "60", "-g", "4"), "in_channels must be divisible by groups",
                 "in_channels is 30, groups is 4: use -g 3 or -g 5"),
                (("conv2d", "-i", "8", "-k", "3", "-g", "0"), "groups must be at least 1, but is 0", None),
                (("conv2d", "-i", "9223372036854775807", "-k", "3", "-p", "9223372036854775807"), "the size does not fit 64 bits (height and width)", "use smaller sizes"),
        ):
            with self.subTest(" ".join(words)):
                self.expect_error(run("shape", *words), 4, first, second)

    def test_command_lines_that_mean_nothing(self):
        for words, first in (
                ((), "'convoy shape' needs a layer"),
                (("conv2", "-i", "8", "-k", "3"), "unknown layer 'conv2'; did you mean 'conv2d'?"),
                (("conv2d", "-k", "3"), "the input size is missing"),
                (("conv2d", "-i", "3"), "the kernel size is missing"),
                (("conv2d", "--pading", "1"), "unknown option '--pading'; did you mean '--padding'?"),
                (("conv2d", "-i", "8x", "-k", "3"), "option '--input' needs a whole number, or 2 as in 224x112, got '8x'"),
                (("conv3d", "-i", "8x9", "-k", "3"), "option '--input' needs a whole number, or 3 as in 16x224x112, got '8x9'"),
                (("conv2d", "-i", "99999999999999999999", "-k", "3"), "option '--input' needs a whole number, or 2 as in 224x112, got '99999999999999999999'"),
                (("conv2d", "-i", "8", "-k", "3", "-p", "some"),
                 "option '--padding' needs a whole number, or 2 as in 1x2, or t,b,l,r, or same, valid, full or half, got 'some'"),
                (("conv2d", "-i", "8", "-k", "3", "-a", "1"), "conv2d has no output_padding"),
                (("max_pool2d", "-i", "8", "-k", "2", "-g", "2"), "max_pool2d has no groups"),
                (("avg_pool2d", "-i", "8", "-k", "2", "-d", "2"), "avg_pool2d has no dilation"),
                (("conv_transpose2d", "-i", "8", "-k", "2", "-p", "1,1,1,1"), "conv_transpose2d has the same padding on both sides, got '1,1,1,1'"),
                (("conv2d", "-i", "8", "-k", "3", "--out", "8"), "--out is given without --in"),
        ):
            with self.subTest(" ".join(words)):
                self.expect_error(run("shape", *words), 2, first)

    def test_same_with_a_stride(self):
        self.expect_error(run("shape", "conv2d", "-i", "224", "-k", "7", "-s", "2", "-p", "same"), 2,
                          "padding='same' is not supported for strided convolutions",
                          "use stride 1; TensorFlow's SAME, output 112×112 here, is -p 2,3,2,3")
        self.assertEqual(run("shape", "conv2d", "-i", "224", "-k", "7", "-s", "2", "-p", "2,3,2,3").out.splitlines()[0].split("     ")[0],
                         "input  224×224  →  output 112×112")


if __name__ == "__main__":
    tool.main()
