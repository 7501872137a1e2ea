"""convoy predict: classes of image files, from a network that 'convoy train' saved."""
import json
import math
import os
import struct
import zlib

import tool
from tool import run


def png(rows):
    """An 8-bit grey PNG."""
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    pixels = b"".join(b"\0" + bytes(row) for row in rows)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


def striped(label, size=12, classes=3):
    return png([[170 if row % classes == label else 50] * size for row in range(size)])


class Predict(tool.TestCase):
    def setUp(self):
        super().setUp()
        data = os.path.join(self.folder, "data")
        os.mkdir(data)
        tool.write_idx_folder(data)
        self.model = os.path.join(self.folder, "model.safetensors")
        trained = run("train", "--data", "idx:" + data, "--net", "shapes", "--epochs", "8", "--batch-size", "16", "--save", self.model)
        self.assertEqual(trained.code, 0, trained)
        self.images = [self.write(f"{label}.png", striped(label)) for label in range(3)]

    def test_names_the_class_with_its_probability(self):
        result = run("predict", "--weights", self.model, *self.images)
        self.assertEqual(result.code, 0, result)
        lines = result.out.splitlines()
        self.assertEqual(len(lines), 3)
        for label, (line, path) in enumerate(zip(lines, self.images)):
            self.assertRegex(line, rf"^{path}  {label} \d+\.\d %(  \d \d+\.\d %){{2}}$")

    def test_names_of_files_move_no_cursor(self):
        path = self.write("a\x1b[2Jb.png", striped(1))
        self.assertIn(r'b.png"', run("predict", "--weights", self.model, path).out)
        self.assertNotIn("\x1b", run("predict", "--weights", self.model, path).out)

    def test_json_and_top(self):
        document = self.json_of(run("predict", "--weights", self.model, self.images[1], "--top", "2", "--json"), "convoy.predict/1")
        classes = document["images"][0]["classes"]
        self.assertEqual(len(classes), 2)
        self.assertEqual(classes[0]["class"], "1")
        self.assertGreaterEqual(classes[0]["probability"], classes[1]["probability"])
        every = self.json_of(run("predict", "--weights", self.model, self.images[1], "-k", "99", "--json"), "convoy.predict/1")
        self.assertAlmostEqual(sum(c["probability"] for c in every["images"][0]["classes"]), 1, places=5)

    def test_labels_of_your_own(self):
        labels = self.write("labels.txt", "low\nmiddle\nhigh\n")
        result = run("predict", "--weights", self.model, "--labels", labels, self.images[2])
        self.assertIn("  high ", result.out)
        short = self.write("short.txt", "low\nhigh\n")
        self.expect_error(run("predict", "--weights", self.model, "--labels", short, self.images[2]), 3,
                          f"{short}: has 2 names, the network knows 3 classes", "one name a line, in the order of 0, 1, 2")
        self.assertEqual(run("predict", "--weights", self.model, "--labels", "/nonexistent", self.images[2]).code, 3)

    def test_images_of_other_sizes_are_brought_to_the_networks(self):
        large = self.write("large.png", png([[170 if (row // 2) % 3 == 1 else 50] * 24 for row in range(24)]))
        result = run("predict", "--weights", self.model, large)
        self.assertEqual(result.code, 0, result)
        self.assertIn(large + "  1 ", result.out)

    def test_an_unreadable_image_does_not_stop_the_others(self):
        junk = self.write("junk.png", "not a picture")
        result = run("predict", "--weights", self.model, junk, self.images[0], "/nonexistent.png")
        self.assertEqual(result.code, 3, result)
        self.assertEqual(len(result.out.splitlines()), 1)
        self.assertIn("convoy: error: " + junk, result.err)
        self.assertIn("convoy: error: /nonexistent.png", result.err)

    def test_wrong_weights_and_networks(self):
        self.expect_error(run("predict", self.images[0]), 2, "'convoy predict' needs --weights")
        self.expect_error(run("predict", "--weights", self.model), 2, "'convoy predict' needs at least one image")
        self.assertEqual(run("predict", "--weights", "/nonexistent", self.images[0]).code, 3)
        self.assertEqual(run("predict", "--weights", self.images[0], self.images[0]).code, 3)
        other = self.write("other.txt", "Sequential(Flatten(), Linear(144, 3))\n")
        result = run("predict", "--weights", self.model, "--net", other, self.images[0])
        self.assertEqual(result.code, 3, result)
        self.assertIn("does not fit the network", result.err)

    def test_names_from_a_strangers_file_move_no_cursor(self):
        network = "Sequential(AdaptiveAvgPool2d(2), Flatten(), Linear(4, 2))"
        values = {"2.weight": [2, 4], "2.bias": [2]}

        def file(**said):
            about = {"schema": "convoy.model/1", "net": "small", "image_shape": "[1, 12, 12]", "classes": '["one", "two"]'}
            about.update(said)
            header = {"__metadata__": {"convoy.network": network}}
            header["__metadata__"].update({"convoy.progress." + key: value for key, value in about.items()})
            end = 0
            for name, shape in values.items():
                begin, end = end, end + 4 * math.prod(shape)
                header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
            text = json.dumps(header).encode()
            path = os.path.join(self.folder, "strange.safetensors")
            with open(path, "wb") as out:
                out.write(struct.pack("<Q", len(text)) + text + bytes(end))
            return run("predict", "--weights", path, self.images[0])

        named = file(classes=json.dumps(["\033[2Jone", "two"]))
        self.assertEqual(named.code, 0, named)
        self.assertIn(r'"\x1b[2Jone" 50', named.out)
        for strange in (named, file(schema="\033[2J"), file(net="\033[2J", image_shape="[5, 12, 12]"), file(classes="[\033[2J")):
            self.assertNotIn("\033", strange.out + strange.err)

    def test_the_net_may_be_given_as_well(self):
        plain = run("predict", "--weights", self.model, *self.images)
        self.assertEqual(run("predict", "--weights", self.model, "--net", "shapes", *self.images).out, plain.out)


if __name__ == "__main__":
    tool.main()
