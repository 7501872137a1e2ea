"""convoy fuse: fewer layers, the same answers, and the reason where that cannot be."""
import json
import os
import struct
import unittest

import tool
from predict_test import striped
from tool import run

NETWORK = """Sequential(
  (0): {first}
  (1): ReLU()
  (2): AdaptiveAvgPool2d(output_size=1)
  (3): Flatten(start_dim=1, end_dim=-1)
  (4): Linear(in_features=4, out_features=3, bias=True)
)
"""
BEFORE_PADDING = """Sequential(
  (0): Conv2d(1, 4, kernel_size=(3, 3), padding=(1, 1))
  (1): ReLU()
  (2): BatchNorm2d(4)
  (3): Conv2d(4, 4, kernel_size=(3, 3), padding=(1, 1))
  (4): AdaptiveAvgPool2d(output_size=1)
  (5): Flatten(start_dim=1, end_dim=-1)
  (6): Linear(in_features=4, out_features=3, bias=True)
)
"""


def read(path):
    """Header and bytes of a safetensors file."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        return header, file.read()


def write(path, header, data):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


class Fuse(tool.TestCase):
    def trained(self, text):
        """A network file, trained for a moment."""
        data = os.path.join(self.folder, "data")
        if not os.path.exists(data):
            os.mkdir(data)
            tool.write_idx_folder(data)
        net, weights = self.write("net.txt", text), os.path.join(self.folder, "net.safetensors")
        result = run("train", "--data", "idx:" + data, "--net", net, "--epochs", "2", "--batch-size", "16", "--save", weights)
        self.assertEqual(result.code, 0, result)
        return weights

    def test_every_block_folds_into_one_convolution(self):
        for block in ("ACBlock(1, 4, kernel_size=3, padding=1)", "RepVGGBlock(1, 4, kernel_size=3, padding=1)",
                      "DiverseBranchBlock(1, 4, kernel_size=3, padding=1)"):
            with self.subTest(block):
                weights, out = self.trained(NETWORK.format(first=block)), os.path.join(self.folder, "out.safetensors")
                result = run("fuse", "--weights", weights, "-o", out, "--verify", "10")
                self.assertEqual(result.code, 0, result)
                self.assertIn("✓ the same answers on 10 random inputs", result.out)
                document = self.json_of(run("fuse", "--weights", weights, "-o", out, "--verify", "10", "--json"), "convoy.fuse/1")
                self.assertLess(document["after"]["parameters"], document["before"]["parameters"])
                self.assertLess(document["after"]["macs"], document["before"]["macs"])
                self.assertEqual(document["written"], out)
                self.assertEqual([place["name"] for place in document["places"]], ["0"])
                # The file is a network like any other: it predicts, and there is nothing left to fold.
                self.assertIn("nothing to fold here", run("fuse", "--weights", out, "-o", out).out)
                image = os.path.join(self.folder, "image.png")
                with open(image, "wb") as file:
                    file.write(striped(1))
                both = [run("predict", "--weights", path, image, "--json") for path in (weights, out)]
                guesses = [json.loads(result.out)["images"][0]["classes"] for result in both]
                for one, other in zip(*guesses):
                    self.assertEqual(one["class"], other["class"])
                    self.assertAlmostEqual(one["probability"], other["probability"], places=4)

    def test_zero_padding_after_batch_norm_is_left_and_both_ways_out_are_said(self):
        weights, out = self.trained(BEFORE_PADDING), os.path.join(self.folder, "out.safetensors")
        result = run("fuse", "--weights", weights, "-o", out, "--verify", "10")
        self.assertEqual(result.code, 0, result)
        self.assertIn("kept 2, BatchNorm2d: the Conv2d that follows pads with zeros", result.out)
        self.assertIn("BNAndPad", result.out)
        self.assertIn("without padding", result.out)

        result = run("fuse", "--weights", weights, "-o", out, "--verify", "10", "--inexact")
        self.assertEqual(result.code, 1, result)
        self.assertIn("cause  2: only the border differs", result.out)
        self.assertIn("BNAndPad", result.out)
        self.assertTrue(os.path.exists(out))
        place = self.json_of(run("fuse", "--weights", weights, "--verify", "10", "--inexact", "--json"), "convoy.fuse/1")["verified"]["places"][0]
        self.assertGreater(place["border"], 1e-3)
        self.assertLess(place["interior"], 1e-4)
        self.assertEqual((place["border_outputs"], place["outputs"]), (44, 144))

    def test_weights_folded_elsewhere_are_compared_and_explained(self):
        weights, out = self.trained(NETWORK.format(first="ACBlock(1, 4, kernel_size=3, padding=1)")), os.path.join(self.folder, "out.safetensors")
        self.assertEqual(run("fuse", "--weights", weights, "-o", out).code, 0)
        header, data = read(out)
        # As the published code names them after switch_to_deploy().
        renamed = {key.replace("0.weight", "0.fused_conv.weight").replace("0.bias", "0.fused_conv.bias"): value for key, value in header.items()}
        other = os.path.join(self.folder, "deployed.safetensors")
        write(other, renamed, data)
        self.assertEqual(run("fuse", "--weights", weights, "--verify", "5", "--against", other).code, 0)
        # A bias that lost a shift.
        begin = header["0.bias"]["data_offsets"][0]
        write(other, renamed, data[:begin] + struct.pack("<f", 9.5) + data[begin + 4:])
        result = run("fuse", "--weights", weights, "--verify", "5", "--against", other)
        self.assertEqual(result.code, 1, result)
        self.assertIn("the weights agree, the bias does not", result.out)
        # Another file altogether.
        self.expect_error(run("fuse", "--weights", weights, "--verify", "5", "--against", weights), 3,
                          weights + ": has no weight for 0, ACBlock")

    def test_a_network_that_was_not_trained_here(self):
        """torchvision's printed form and values alone: no shape of an input, no classes."""
        layers = "\n".join([f"  (0): Conv2d(3, 4, kernel_size=(3, 3), padding=(1, 1))", "  (1): BatchNorm2d(4)", "  (2): BasicBlock("] +
                           ["    " + line for line in ("(conv1): Conv2d(4, 4, kernel_size=(3, 3), padding=(1, 1), bias=False)", "(bn1): BatchNorm2d(4)",
                                                       "(relu): ReLU(inplace=True)", "(conv2): Conv2d(4, 4, kernel_size=(3, 3), padding=(1, 1), bias=False)",
                                                       "(bn2): BatchNorm2d(4)")] + ["  )"])
        net = self.write("net.txt", f"Sequential(\n{layers}\n)\n")
        shapes = {"0.weight": [4, 3, 3, 3], "0.bias": [4]}
        for norm in ("1", "2.bn1", "2.bn2"):
            shapes.update({f"{norm}.{part}": [4] for part in ("weight", "bias", "running_mean", "running_var")})
        shapes.update({"2.conv1.weight": [4, 4, 3, 3], "2.conv2.weight": [4, 4, 3, 3]})
        header, data = {}, b""
        for key, shape in shapes.items():
            count = 1
            for size in shape:
                count *= size
            values = struct.pack(f"<{count}f", *[0.5 + 0.3 * ((7 * i + len(key)) % 11 - 5) / 5 for i in range(count)])
            header[key] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
            data += values
        weights, out = os.path.join(self.folder, "values.safetensors"), os.path.join(self.folder, "out.safetensors")
        write(weights, header, data)
        result = run("fuse", "--net", net, "--weights", weights, "-o", out)
        self.assertEqual(result.code, 0, result)
        self.assertIn("give it, channels first, as in --input 3x224x224", result.out)
        document = self.json_of(run("fuse", "--net", net, "--weights", weights, "-o", out, "--input", "3x9x8", "--verify", "5", "--json"), "convoy.fuse/1")
        self.assertEqual([place["name"] for place in document["places"]], ["0", "2.conv1", "2.conv2"])
        self.assertTrue(document["verified"]["agrees"])
        self.assertGreater(document["before"]["macs"], 0)
        # What was written says itself which network it is.
        result = run("fuse", "--weights", out, "--input", "3x9x8", "--verify", "5")
        self.assertEqual(result.code, 0, result)
        self.assertIn("nothing to fold here", result.out)

    def test_it_stops_while_it_compares(self):
        weights = self.trained(NETWORK.format(first="ACBlock(1, 4, kernel_size=3, padding=1)"))
        before = sorted(os.listdir(self.folder))
        result = tool.interrupt_after(3, "fuse", "--weights", weights, "-o", os.path.join(self.folder, "out.safetensors"), "--verify", "1000000")
        self.assertEqual(result.code, 130, result)
        self.assertIn("interrupted: while comparing; nothing was written", result.err)
        self.assertEqual(sorted(os.listdir(self.folder)), before)

    def test_being_wrong(self):
        weights = self.trained(NETWORK.format(first="ACBlock(1, 4, kernel_size=3, padding=1)"))
        # A place that cannot be written to is refused before anything is printed.
        nowhere = os.path.join(self.folder, "none", "out.safetensors")
        self.expect_error(run("fuse", "--weights", weights, "-o", nowhere), 3, f"{nowhere}: cannot write: the folder {os.path.dirname(nowhere)} does not exist")
        self.expect_error(run("fuse", "--weights", weights, "-o", self.folder), 3, f"{self.folder}: cannot write: it is a folder")
        result = run("fuse", "--net", "resnet81", "--weights", weights, "-o", "y")
        self.assertEqual(result.code, 2, result)
        self.assertIn("did you mean 'resnet18'?", result.err)
        self.expect_error(run("fuse"), 2, "'convoy fuse' needs --weights")
        self.expect_error(run("fuse", "--weights", "x"), 2, "'convoy fuse' needs -o FILE or --verify N")
        self.expect_error(run("fuse", "--weights", "/nonexistent", "-o", "y"), 3, "/nonexistent: no such file")
        weights = self.trained(NETWORK.format(first="ACBlock(1, 4, kernel_size=3, padding=1)"))
        for wrong in ("3x", "x", "3xx4", "axb", "0x3", "1x-4", "99999999999999999999"):
            self.expect_error(run("fuse", "--weights", weights, "--verify", "3", "--input", wrong), 2,
                              f"option '--input' needs sizes of one input, got '{wrong}'")
        result = run("fuse", "--weights", weights, "--verify", "3", "--input", "2x5x5")
        self.assertIn("expected input[1, 2, 5, 5] to have 1 channels", result.err)
        self.assertEqual(result.code, 4, result)
        result = run("fuse", "--weights", weights, "--net", "lenet", "-o", "y")
        self.assertIn("does not fit the network 'lenet'", result.err)
        self.assertEqual(result.code, 3, result)
        self.expect_error(run("fuse", "--weights", weights, "-o", "y", "--verify", "3", "--against", weights), 2, "--against writes nothing")


if __name__ == "__main__":
    tool.main()
