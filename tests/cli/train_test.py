"""Training that can be stopped and resumed to the same bits, and using what was trained."""
import json
import os
import signal
import struct

import tool
from tool import interrupt_after, interrupt_once, run

# Dropout draws from the generator and batch normalisation keeps running statistics: both have to survive an interruption.
NET = """Sequential(  # a network file
  Conv2d(1, 8, kernel_size=3, padding=1),
  BatchNorm2d(8),
  ReLU(),
  MaxPool2d(2),
  Dropout(p=0.3),
  Flatten(),
  Linear(288, 3)
)
"""


def tensors_of(path):
    with open(path, "rb") as file:
        data = file.read()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__", {})
    return header, metadata


class Train(tool.TestCase):
    def setUp(self):
        super().setUp()
        self.data = os.path.join(self.folder, "data")
        os.mkdir(self.data)
        tool.write_idx_folder(self.data)
        self.net = self.write("net.txt", NET)

    def words(self, *more):
        return ["train", "--data", "idx:" + self.data, "--net", self.net, "--progress=none", *more]

    def path(self, name):
        return os.path.join(self.folder, name)

    def bytes_of(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()


def with_metadata(path, target, changes):
    """Copies a file with other metadata."""
    with open(path, "rb") as file:
        data = file.read()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    header["__metadata__"].update(changes)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(target, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data[8 + length:])


class Resume(Train):
    def expect_same_bits(self, *settings):
        whole = run(*self.words("--save", self.path("whole.safetensors"), *settings))
        self.assertEqual(whole.code, 0, whole)
        path = self.path("parts.safetensors")
        stops, early, pause = 0, 0, 0.05
        for _ in range(100):
            words = ["train", "--resume", path, "--progress=none"] if os.path.exists(path) else self.words("--save", path, *settings)
            result = interrupt_after(pause, *words)
            if result.code == 0 or "too late" in result.err:
                if stops > 0:
                    break
                os.remove(path)  # it ended before the first signal: once more, with an earlier one
                pause = (early + pause) / 2
                continue
            # Killed by the signal itself: it came before the program had got as far as listening to it.
            self.assertIn(result.code, (130, -signal.SIGINT), result)
            if result.code == 130:
                stops += 1
            elif stops == 0:
                early = pause
            pause *= 1.3
        self.assertGreater(stops, 0, "was never interrupted while training")
        self.assertEqual(self.bytes_of("whole.safetensors"), self.bytes_of("parts.safetensors"))

    def test_sgd(self):
        self.expect_same_bits("--epochs", "12", "--batch-size", "7", "--momentum", "0.9", "--weight-decay", "0.001")

    def test_adam_with_a_schedule(self):
        self.expect_same_bits("--epochs", "12", "--batch-size", "16", "--optimizer", "adam", "--schedule", "cosine")

    def test_adamw_with_steps(self):
        self.expect_same_bits("--epochs", "12", "--batch-size", "16", "--optimizer", "adamw", "--schedule", "step", "--seed", "9")

    def test_threads_do_not_change_a_bit(self):
        for threads in ("1", "2", "3"):
            result = run(*self.words("--epochs", "2", "--threads", threads, "--save", self.path(threads)))
            self.assertEqual(result.code, 0, result)
        self.assertEqual(self.bytes_of("1"), self.bytes_of("2"))
        self.assertEqual(self.bytes_of("1"), self.bytes_of("3"))

    def test_other_settings_are_refused_by_name(self):
        result = interrupt_once(r"epoch +1 ", *self.words("--epochs", "100000", "--save", self.path("c")))
        self.assertEqual(result.code, 130, result)
        self.assertIn("go on with: convoy train --resume", result.err)
        refused = run(*self.words("--resume", self.path("c"), "--lr", "0.3", "--batch-size", "5"))
        self.expect_error(refused, 2, f"cannot resume {self.path('c')} with other settings: --lr is 0.05 there, 0.3 here; "
                                      "--batch-size is 64 there, 5 here")
        other = self.write("other.txt", NET.replace("0.3", "0.4"))
        refused = run("train", "--resume", self.path("c"), "--net", other)
        self.assertEqual(refused.code, 2)
        self.assertIn("--net is " + self.net + " there, " + other + " here", refused.err)
        # The same path, but another network in it; the same folder, but other images in it.
        self.write("net.txt", NET.replace("0.3", "0.4"))
        refused = run(*self.words("--resume", self.path("c")))
        self.assertEqual(refused.code, 2, refused)
        self.assertIn("net.txt", refused.err)
        self.write("net.txt", NET)
        tool.write_idx_folder(self.data, train=290)
        refused = run("train", "--resume", self.path("c"))
        self.assertEqual(refused.code, 3, refused)
        self.assertIn("are not those it was trained with", refused.err)

    def test_what_cannot_be_resumed(self):
        run(*self.words("--epochs", "1", "--save", self.path("done")))
        refused = run("train", "--resume", self.path("done"))
        self.expect_error(refused, 3, f"{self.path('done')}: holds no training state to resume from", "its training is finished")
        self.assertEqual(run("train", "--resume", self.path("nothing")).code, 3)
        self.assertEqual(run("train", "--resume", self.write("junk", "junk")).code, 3)

    def test_damaged_checkpoints_are_refused(self):
        result = interrupt_once(r"epoch +1 ", *self.words("--epochs", "100000", "--save", self.path("c")))
        self.assertEqual(result.code, 130, result)
        metadata = tensors_of(self.path("c"))[1]
        damages = [{key: "junk"} for key in metadata if key.startswith("convoy.") and key != "convoy.progress.net"]
        damages += [{"convoy.progress.position": text} for text in ("[]", "[1,2]", "[-1,0,0]", "[0,999,0]", "[1e99,0,0]", "[0,0.5,0]",
                                                                      "[0,0,-5]")]
        damages += [{"convoy.progress.image_shape": text} for text in ("[1,12]", "[0,12,12]", "[1.5,12,12]", "[-1,12,12]", "[4611686018427387904,4,4]")]
        settings = json.loads(metadata["convoy.progress.settings"])
        for option, value in (("--epochs", "0"), ("--batch-size", "-3"), ("--optimizer", "junk"), ("--lr", "x"), ("--seed", "1e99")):
            damages.append({"convoy.progress.settings": json.dumps({**settings, option: value})})
        # Four results for each of 2^62 epochs are none in 64 bits.
        damages.append({"convoy.progress.position": "[4611686018427387904,0,0]", "convoy.progress.results": "[]",
                        "convoy.progress.settings": json.dumps({**settings, "--epochs": "4611686018427387905"})})
        for damage in damages:
            with self.subTest(damage):
                with_metadata(self.path("c"), self.path("damaged"), damage)
                refused = run("train", "--resume", self.path("damaged"), "--progress=none")
                self.assertEqual(refused.code, 3, refused)
                self.assertIn(self.path("damaged"), refused.err)
        whole = self.bytes_of("c")
        for length in (0, 7, 8, 100, len(whole) // 2, len(whole) - 1):
            with self.subTest(length):
                refused = run("train", "--resume", self.write("short", whole[:length]))
                self.assertEqual(refused.code, 3, refused)

    def test_other_numbers_of_epochs(self):
        result = interrupt_once(r"epoch +2 ", *self.words("--epochs", "100000", "--save", self.path("part")))
        self.assertEqual(result.code, 130, result)
        # A run that is further than one epoch cannot become one of one epoch, but one of more epochs than it was to have.
        refused = run("train", "--resume", self.path("part"), "--epochs", "1", "--progress=none")
        self.assertEqual(refused.code, 2, refused)
        self.assertIn("--epochs is 1", refused.err)


class Outcome(Train):
    def test_learns_and_reports(self):
        result = run(*self.words("--epochs", "6", "--batch-size", "16", "--save", self.path("m")))
        self.assertEqual(result.code, 0, result)
        lines = [line for line in result.out.splitlines() if line.startswith("epoch ")]
        self.assertEqual(len(lines), 6, result)
        self.assertRegex(lines[-1], r"^epoch 6  ━+  [\d,]+ img/s  loss \d\.\d{3}  test \d+\.\d %$")
        self.assertIn("saved " + self.path("m"), result.out)

    def test_json(self):
        result = run(*self.words("--epochs", "6", "--batch-size", "16", "--save", self.path("m"), "--json"))
        document = self.json_of(result, "convoy.train/1")
        self.assertEqual(len(document["epochs"]), 6)
        self.assertEqual(set(document["epochs"][0]), {"epoch", "lr", "loss", "test_loss", "test_accuracy", "images_per_second"})
        self.assertEqual(document["test_accuracy"], document["epochs"][-1]["test_accuracy"])
        self.assertGreater(document["test_accuracy"], 0.9)
        self.assertEqual(document["settings"]["batch-size"], "16")
        self.assertFalse(document["interrupted"])
        self.assertEqual(document["saved"], self.path("m"))

    def test_saved_file_is_a_plain_state_dict(self):
        run(*self.words("--epochs", "1", "--save", self.path("m")))
        header, metadata = tensors_of(self.path("m"))
        self.assertEqual(set(header), {"0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked",
                                       "6.weight", "6.bias"})
        self.assertEqual(json.loads(metadata["convoy.progress.classes"]), ["0", "1", "2"])
        self.assertEqual(os.listdir(self.folder).count("m"), 1)
        self.assertFalse([name for name in os.listdir(self.folder) if "tmp" in name], "a temporary file was left behind")

    def test_errors(self):
        wrong = {
            ("train", "--net", "shapes"): (2, "'convoy train' needs --data"),
            ("train", "--data", "shapes"): (2, "'convoy train' needs --net"),
            ("train", "--data", "idx:" + self.data, "--net", "lenett"): (2, "unknown network 'lenett'; did you mean 'lenet'?"),
            ("train", "--data", "idx:" + self.data, "--net", self.path("no.txt")): (3, f"{self.path('no.txt')}: no such file"),
            ("train", "--data", "idx:" + self.data, "--net", "shapes", "--save", "/nonexistent/m"): (3, "/nonexistent/m: there is no folder /nonexistent"),
        }
        for words, (code, first) in wrong.items():
            with self.subTest(" ".join(words)):
                self.expect_error(run(*words), code, first)
        self.assertEqual(run("train", "--data", "shaeps", "--net", "shapes").code, 2)
        self.assertEqual(run("train", "--data", "idx:/nonexistent", "--net", "shapes").code, 3)

    def test_network_files_are_explained_by_line(self):
        cases = {
            "Sequential(\n  Conv2d(1, 8, kernel_size=3)\n  ReLu())": (3, 'line 3, column 3: unknown layer "ReLu"; did you mean \'ReLU\'?'),
            "Sequential(Conv2d(1, 8, kernal_size=3))": (3, "kernal_size"),
            "Sequential(Conv2d(1, 8": (3, "line 1, column"),
            "# nothing\n": (3, "line 2, column 1: there is no layer"),
            "Sequential(Conv2d(1, 8, 3, groups=3))": (3, "in_channels must be divisible by groups"),
            "Sequential(Conv2d(1, 8, 3)\nFlatten()\nLinear(10, 3))": (4, "layer (2): Linear cannot take its input [2, 800]"),
            "Sequential(Flatten()\nLinear(144, 4))": (4, "answers two images with [2, 4], not with 3 classes: [2, 3]"),
        }
        for text, (code, words) in cases.items():
            with self.subTest(text):
                result = run("train", "--data", "idx:" + self.data, "--net", self.write("wrong.txt", text))
                self.assertEqual(result.code, code, result)
                self.assertIn(words, result.err.splitlines()[0], result)

    def test_a_printed_pytorch_sequential_is_a_network_file(self):
        printed = """Sequential(
  (0): Conv2d(1, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
  (1): BatchNorm2d(8, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)
  (2): ReLU()
  (3): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
  (4): Dropout(p=0.3, inplace=False)
  (5): Flatten(start_dim=1, end_dim=-1)
  (6): Linear(in_features=288, out_features=3, bias=True)
)
"""
        short = run(*self.words("--epochs", "1", "--save", self.path("a")))
        long = run("train", "--data", "idx:" + self.data, "--net", self.write("printed.txt", printed), "--epochs", "1", "--save", self.path("b"))
        self.assertEqual((short.code, long.code), (0, 0), (short, long))
        self.assertEqual(tensors_of(self.path("a"))[0], tensors_of(self.path("b"))[0])


if __name__ == "__main__":
    tool.main()
