"""convoy summary, run and bench on ONNX files."""
import json
import os
import re
import shutil
import struct
import subprocess
import zipfile
import zlib

import tool
from tool import run

MODEL = os.path.join(tool.SOURCE, "tests", "onnx", "cases", "small_network", "model.onnx")
FLOAT, UINT8, INT64, FLOAT16 = 1, 2, 7, 10  # onnx.TensorProto.DataType


def field(number, content):
    """One of a protobuf message's fields: an integer, or text or a message behind its length (under 128 bytes)."""
    if isinstance(content, int):
        return bytes([number << 3, content])
    content = content.encode() if isinstance(content, str) else content
    assert len(content) < 128 or number == 7, "the graph alone may be longer"
    length = bytes([len(content)]) if len(content) < 128 else bytes([len(content) & 127 | 128, len(content) >> 7])
    return bytes([number << 3 | 2]) + length + content


def onnx_model(op, name, sizes, dtype=FLOAT, initializer=None, then=None, inputs=None, attribute=None):
    """An ONNX file of one node y = op(NAME), or y = op(initializer, NAME), or of other inputs; `then`: another node (op, input or inputs, output); `attribute`: a name and a text."""
    shape = b"".join(field(1, field(1, size) if isinstance(size, int) else field(2, size)) for size in sizes)
    inputs = inputs or ([initializer[0], name] if initializer else [name])
    nodes = [(op, inputs, "y")] + ([(then[0], [then[1]] if isinstance(then[1], str) else then[1], then[2])] if then else [])
    text = field(5, field(1, attribute[0]) + field(4, attribute[1]) + b"\xa0\x01\x03") if attribute else b""  # its type, field 20: STRING
    graph = b"".join(field(1, b"".join(field(1, i) for i in ins) + field(2, out) + field(4, kind) + text) for kind, ins, out in nodes)
    if initializer:
        count = initializer[1][0]
        graph += field(5, field(1, count) + field(2, FLOAT) + field(8, initializer[0]) + field(9, struct.pack(f"<{count}f", *range(count))))
    graph += field(11, field(1, name) + field(2, field(1, field(1, dtype) + field(2, shape)))) + field(12, field(1, nodes[-1][2]))
    return field(1, 8) + field(8, field(2, 13)) + field(7, graph)


def npy(dtype, shape, data):
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def write_gray_png(path, width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes((x * 7 + y) % 256 for x in range(width)) for y in range(height))
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


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

    def test_json_holds_numbers(self):
        """Sizes as lists, ranges as numbers, the image's path even if it is the only one."""
        document = self.json_of(run("summary", MODEL, "--json"), "convoy.summary/1")
        self.assertEqual(document["layers"][0]["output_shape"][0], 1)
        self.assertEqual(document["parameter_bytes"], 4 * document["parameters"])
        self.assertEqual([value["dtype"] for value in document["inputs"] + document["outputs"]], ["float32", "float32"])
        result = self.json_of(run("run", MODEL, "--random-input", "--json"), "convoy.run/1")["results"][0]
        self.assertIsNone(result["file"])
        values = result["outputs"][0]["values"]
        self.assertLessEqual(values["min"], values["mean"])
        self.assertEqual(values["not_finite"], 0)

    def test_classes_of_each_sample_of_a_batch(self):
        document = self.json_of(run("run", MODEL, "--random-input", "--batch", "2", "--top", "1", "--json"), "convoy.run/1")
        self.assertEqual([result["sample"] for result in document["results"]], [0, 1])
        self.assertEqual([len(result["classes"]) for result in document["results"]], [1, 1])

    def test_open_sizes_are_chosen(self):
        path = self.write("open.onnx", onnx_model("Relu", "x", ["N", 3, "H", "W"]))
        self.assertEqual(self.json_of(run("summary", path, "--size", "4x6", "--json"), "convoy.summary/1")["layers"][0]["output_shape"], [1, 3, 4, 6])
        self.assertIn("count as 1: --size", run("summary", path).out)
        self.assertNotIn("count as 1", run("summary", path, "--size", "5").out)
        document = self.json_of(run("run", path, "--random-input", "--batch", "2", "--size", "5", "--json"), "convoy.run/1")
        self.assertEqual(document["results"][0]["outputs"][0]["shape"], [2, 3, 5, 5])
        self.assertEqual(run("bench", path, "--size", "8", "--seconds", "0.01").code, 0)
        refused = run("summary", path, "--size", "8x")
        self.assertEqual((refused.code, refused.out), (2, ""), "a wrong option is refused before anything is read")
        self.expect_error(run("bench", path, "--size", "8x"), 2, "--size: '8x' is not a size", "for example --size 224, or 224x320 (height x width), up to 16384")
        self.expect_error(run("bench", "--training", "resnet18", "--size", "224x64"), 2, "--size: training steps take square images of 32 to 4096 pixels", "for example --size 224")

    def test_summary_ends_where_chosen_sizes_fail(self):
        """With the sizes that were chosen, up to the node that refuses them."""
        path = self.write("open.onnx", onnx_model("Relu", "x", ["N", 1, "H", "W"], initializer=("w", [3]), inputs=["x"], then=("Mul", ["y", "w"], "z")))
        self.assertEqual(run("summary", path, "--size", "3").code, 0)
        result = run("summary", path, "--size", "4", "--json")
        self.assertEqual(result.code, 4, result)
        self.assertEqual([(layer["type"], layer["output_shape"]) for layer in json.loads(result.out)["layers"]], [("Relu", [1, 1, 4, 4]), ("Mul", None)])
        path = self.write("open.onnx", onnx_model("Mul", "x", ["N", 1, "H", "W"], initializer=("w", [3]), then=("Relu", "y", "z")))
        self.assertEqual([layer["type"] for layer in json.loads(run("summary", path, "--size", "4", "--json").out)["layers"]], ["Mul"])

    def test_errors_name_the_file(self):
        """Also where only a run's sizes are impossible."""
        path = self.write("open.onnx", onnx_model("Mul", "x", ["N", 1, "H", "W"], initializer=("w", [3])))
        first = f"{path}: the node (Mul) that makes 'y': shapes [3] and [1, 1, 4, 4] cannot be broadcast together"
        for command in ("summary", path), ("bench", path), ("run", path, "--random-input"):
            self.assertIn(f"convoy: error: {first}\n", run(*command, "--size", "4").err)

    def test_two_dashes_end_the_options(self):
        self.write("-relu.onnx", onnx_model("Relu", "x", [1]))
        self.assertEqual(run("summary", "--", "-relu.onnx", cwd=self.folder).code, 0)
        self.expect_error(run("summary", "-relu.onnx", cwd=self.folder), 2, "unknown option '-relu.onnx'")

    def test_half_precision_networks_take_images(self):
        path = self.write("half.onnx", onnx_model("Relu", "x", [1, 1, 8, 8], FLOAT16))
        image = os.path.join(self.folder, "gray.png")
        write_gray_png(image, 8, 8)
        result = self.json_of(run("run", path, image, "--json"), "convoy.run/1")["results"][0]
        self.assertEqual((result["file"], result["outputs"][0]["dtype"]), (image, "float16"))
        self.expect_error(run("run", path, image, "--size", "4x5"), 4, image + ": 8x8 pixels (height x width) cannot be cut out of 4x5",
                          "use a larger --size or a smaller --crop")

    def test_arrays_of_other_types(self):
        path = self.write("whole.onnx", onnx_model("Abs", "x", ["N"], INT64))
        self.assertEqual(run("run", path, "--input", self.write("i.npy", npy("<i4", (2,), struct.pack("<2i", -1, 2)))).code, 0)
        floats = self.write("f.npy", npy("<f4", (2,), struct.pack("<2f", 0.5, 2)))
        self.expect_error(run("run", path, "--input", floats), 2, f"--input {floats}: float32 for input x: int64 [N]",
                          'save it with whole numbers: numpy.save(FILE, x.astype("int64"))')

        small = self.write("small.onnx", onnx_model("Identity", "x", ["N"], UINT8))
        self.assertEqual(run("run", small, "--input", self.write("b.npy", npy("<i8", (1,), struct.pack("<q", 255)))).code, 0)
        large = self.write("l.npy", npy("<i8", (1,), struct.pack("<q", 256)))
        self.expect_error(run("run", small, "--input", large), 2, f"--input {large}: int64 values that input x: uint8 [N] cannot hold",
                          "give values that uint8 has")

    def test_arrays_in_npz_files(self):
        """All inputs by their names, or one: the array of its name, or the only one."""
        path = self.write("relu.onnx", onnx_model("Relu", "x", ["N"]))
        array = {name: npy("<f4", (1,), struct.pack("<f", value)) for name, value in (("x", 5), ("other", 7))}
        for names, argument, value in ((("x",), "{}", 5), (("other", "x"), "x={}", 5), (("other",), "x={}", 7)):
            file = os.path.join(self.folder, "+".join(names) + ".npz")
            with zipfile.ZipFile(file, "w") as archive:
                for name in names:
                    archive.writestr(name + ".npy", array[name])
            outputs = self.json_of(run("run", path, "--input", argument.format(file), "--json"), "convoy.run/1")["results"][0]["outputs"]
            self.assertEqual(outputs[0]["values"]["max"], value)
        file = os.path.join(self.folder, "other+x.npz")
        self.expect_error(run("run", path, "--input", file), 2, f"--input {file}: the model has no input 'other'", "it takes x")
        path = self.write("relu.onnx", onnx_model("Relu", "input", ["N"]))
        self.expect_error(run("run", path, "--input", "input=" + file), 2, f"--input input={file}: the file has no array 'input'", "it holds other, x")

    def test_a_batch_that_the_file_gives(self):
        """Is what is counted, timed and said, whatever --batch asks for."""
        path = self.write("two.onnx", onnx_model("Relu", "x", [2, 3]))
        warning = "convoy: warning: --batch 3 changes nothing: the file gives the first size of every input\n"
        for words, err in (([], ""), (["--batch", "2"], ""), (["--batch", "3"], warning)):
            for command, schema in ((["summary", path], "convoy.summary/1"), (["bench", path, "--seconds", "0.01"], "convoy.bench_model/1")):
                result = run(*command, *words, "--json")
                self.assertEqual((self.json_of(result, schema)["batch"], result.err), (2, err))
            self.assertEqual(run("run", path, "--random-input", *words).err, err)
        self.assertIn("for one input of batch 2 ", run("summary", path).out)
        self.assertIn(" · batch 2 · ", run("bench", path, "--seconds", "0.01").out)

    def test_values_that_a_node_refuses_are_no_bug(self):
        path = self.write("gather.onnx", onnx_model("Gather", "x", [1], INT64, initializer=("w", [2])))
        index = self.write("i.npy", npy("<i8", (1,), struct.pack("<q", 9)))
        self.expect_error(run("run", path, "--input", index), 3, f"{path}: the node (Gather) that makes 'y': index 9 is out of bounds for dimension 0 with size 2",
                          "indices can be -2 to 1")

    def test_what_is_wrong_only_for_known_sizes_is_the_files(self):
        for attribute, reason in ((("mode", "nearby"), "attribute 'mode' is 'nearby'"), (("mode", "linear"), "resize: scales must be above 0, but one is 0.000000")):
            path = self.write("resize.onnx", onnx_model("Resize", "x", [1, 1, "h", "w"], initializer=("s", [4]), inputs=["x", "", "s"], attribute=attribute))
            for command in (["summary", path], ["run", path, "--random-input"], ["bench", path]):
                result = run(*command)
                self.assertEqual(result.code, 3, result)
                self.assertIn(f"convoy: error: {path}: the node (Resize) that makes 'y': {reason}\n", result.err)

    def test_too_little_memory_is_no_bug(self):
        path = self.write("wide.onnx", onnx_model("Relu", "x", ["N", 127, "h", "w"]))
        for command in (["run", path, "--random-input"], ["bench", path]):
            for batch, need in ((4096, "1.1 PB"), (1024, "281.5 TB")):  # the first more than addresses of 47 bits count
                result = run(*command, "--batch", str(batch), "--size", "16384")
                self.assertRegex(result.err, f"not enough memory: a run needs {need}, and [0-9.]+ [MG]B are available\n")
                self.assertIn("use smaller sizes, fewer at a time, or a smaller batch", result.err)
                self.assertEqual((result.code, result.out), (4, ""))

    def test_sizes_without_end_are_no_bug(self):
        path = self.write("endless.onnx", onnx_model("Identity", "x", ["N", 1, "h", "w"] + ["d"] * 8, FLOAT16))
        shape = ", ".join(["4096", "1"] + ["16384"] * 10)
        for command in ["run", path, "--random-input"], ["bench", path]:
            self.expect_error(run(*command, "--batch", "4096", "--size", "16384"), 4, "numel: integer multiplication overflow",
                              f"the shape [{shape}] has more elements than 64 bits can count")

    def test_a_run_fits_the_memory_there_is(self):
        """Inputs alone would, the network does not: without a limit the system would end the process."""
        with open("/proc/meminfo") as file:
            kilobytes = int(re.search(r"MemAvailable: *([0-9]+)", file.read())[1])
        planes = max(1, kilobytes * 7 // 10 >> 20)  # of 1 GiB: 0.7 of it as input, as much again as output
        path = self.write("half.onnx", onnx_model("Sigmoid", "x", ["N", 1, "h", "w"]))
        result = run("run", path, "--random-input", "--batch", str(planes), "--size", "16384")
        self.assertRegex(result.err, "not enough memory: a run needs [0-9.]+ [MGT]B, and [0-9.]+ [MG]B are available\n")
        self.assertEqual(result.code, 4)

    def test_arrays_are_looked_at_before_they_are_read(self):
        """An archive of 260 KB would unpack to 256 MB, a file of holes has a terabyte."""
        fixed, free = (self.write(f"{sizes[-1]}.onnx", onnx_model("Relu", "x", sizes)) for sizes in ([1, 3], [1, "n"]))
        archive = os.path.join(self.folder, "bomb.npz")
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            with file.open("x.npy", "w") as entry:  # piece by piece: the tool's process begins with the size of this one
                entry.write(npy("|u1", "(268435456,)", b""))
                for _ in range(256):
                    entry.write(b"\0" * (1 << 20))
            file.writestr("other.npy", npy("<f4", "(1, 3)", b"\0" * 12))
        shape, fix = "the array is uint8 [268435456], the model takes x: float32 [1, 3]", "sizes given as numbers must be met, named ones may be any"
        for argument in (archive, "x=" + archive):
            process = tool.start("run", fixed, "--input", argument)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            self.expect_error(tool.Result(process.returncode, *(text.read().decode() for text in (process.stdout, process.stderr))), 4, f"--input {argument}: {shape}", fix)
            process.stdout.close(), process.stderr.close()
            self.assertLess(usage.ru_maxrss, 200 << 10)
        self.assertIn("the array is float32 [1, 3]", run("run", self.write("4.onnx", onnx_model("Relu", "other", [1, 4])), "--input", "other=" + archive).err)
        holes = self.write("holes.npy", npy("<f4", f"(1, {1 << 38})", b""))
        os.truncate(holes, os.path.getsize(holes) + (1 << 40))
        for argument in (holes, "x=" + holes):
            result = run("run", free, "--input", argument)
            self.assertRegex(result.err, f"{holes}: the array takes {1 << 40} bytes, and [0-9]+ are available\n.*make it smaller")
            self.assertEqual(result.code, 4)

    def test_options_of_another_kind_of_input(self):
        photo = os.path.join(self.folder, "photo.png")
        write_gray_png(photo, 8, 8)
        array = self.write("x.npy", npy("<f4", "(1, 3, 16, 16)", b"\0" * 3072))
        images, random = "images", "--random-input"
        for words, options in (([photo], {"--batch": random, "--seed": random}),
                               (["--input", array], {"--mean": images, "--std": images, "--crop": images, "--size": "images or --random-input", "--batch": random, "--seed": random}),
                               (["--random-input"], {"--mean": images, "--std": images, "--crop": images})):
            for option, kind in options.items():
                self.expect_error(run("run", MODEL, *words, option, "2"), 2, f"{option} is for {kind}", f"leave it out, or give {kind}")
        warning = "convoy: warning: --size changes nothing: the file gives the sizes of every input\n"
        for command in (["run", MODEL, "--random-input"], ["bench", MODEL, "--seconds", "0.01"], ["summary", MODEL]):
            result = run(*command, "--size", "2")
            self.assertEqual((result.code, result.err), (0, warning), command)

    def test_a_model_from_a_pipe(self):
        """Read once: runs with inputs of other shapes need nothing more of it."""
        path = self.write("open.onnx", onnx_model("Relu", "x", [1, 1, "H", "W"]))
        images = []
        for size in (5, 9):
            images.append(os.path.join(self.folder, f"{size}.png"))
            write_gray_png(images[-1], size, size)
        with open(path, "rb") as file:
            done = subprocess.run([tool.TOOL, "run", "/dev/stdin", *images, "--json"], env=tool.PLAIN, input=file.read(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([result["outputs"][0]["shape"] for result in json.loads(done.stdout)["results"]], [[1, 1, 5, 5], [1, 1, 9, 9]])

    def test_layers_before_an_error_are_shown(self):
        path = self.write("broken.onnx", onnx_model("Relu", "x", [2], then=("Frobnicate", "y", "z")))
        result = run("summary", path)
        self.assertEqual(result.code, 3, result)
        self.assertIn("Relu", result.out)
        self.assertEqual([layer["type"] for layer in self.json_of(run("summary", path, "--json"), "convoy.error/1")["layers"]], ["Relu"])

    def test_labels_are_text(self):
        for content, reason in ((b"a\n\x1b[31mb\n", 'line 2 is no name: "\\x1b[31mb"'), (b"", "holds no names")):
            labels = self.write("labels.txt", content)
            self.expect_error(run("run", MODEL, "--random-input", "--labels", labels), 3, f"{labels}: {reason}")
        self.expect_error(run("run", MODEL, "--random-input", "--labels", self.folder), 3, self.folder + ": is a folder, not a file")
        self.expect_error(run("run", MODEL, "--random-input", "--labels", labels[:-1]), 3, labels[:-1] + ": no such file")

    def test_bench_times_the_whole_and_its_layers(self):
        document = self.json_of(run("bench", MODEL, "--layers", "--seconds", "0.01", "--json"), "convoy.bench_model/1")
        self.assertGreaterEqual(document["runs"], 5)
        self.assertLessEqual(document["min_ms"], document["median_ms"])
        self.assertAlmostEqual(sum(layer["share"] for layer in document["layers"]), 1)
        self.assertTrue(all(layer["output_shape"][0] == 1 for layer in document["layers"] if layer["type"] == "FusedConv"))

    def test_bench_lists_layers_where_none_are_left(self):
        path = self.write("constant.onnx", onnx_model("Abs", "x", [1], initializer=("c", [1]), inputs=["c"]))
        self.assertEqual(self.json_of(run("bench", path, "--layers", "--seconds", "0.01", "--json"), "convoy.bench_model/1")["layers"], [])

    def test_bench_stops_when_asked(self):
        path = self.write("large.onnx", onnx_model("Relu", "x", [1, 127, 127, 127]))
        result = tool.interrupt_after(2, "bench", path, "--seconds", "60", "--layers")
        self.assertEqual(result.code, 130, result)
        self.assertRegex(result.err, r"interrupted: [\d,]+ runs were measured")
        self.assertIn("GFLOP/s", result.out)

    def test_training_stops_when_asked(self):
        result = tool.interrupt_after(3, "bench", "--training", "resnet18", "--batch", "2", "--size", "32", "--seconds", "200")
        self.assertEqual(result.code, 130, result)
        self.assertRegex(result.err, r"interrupted: [\d,]+ steps? (was|were) measured")

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
        result = tool.interrupt_after(3, "fuse", MODEL, "-o", path, "--verify", "1000000", "--json")
        self.assertEqual(result.code, 130, result)
        self.assertIn("interrupted: while comparing; nothing was written", result.err)
        self.assertEqual(self.json_of(result, "convoy.error/1")["exit_code"], 130)
        self.assertEqual(os.listdir(self.folder), [])

    def test_problems_are_a_file(self):
        self.expect_error(run("bench", "--problems", self.folder), 3, self.folder + ": is a folder, not a file", "give a file inside it")
        path = self.write("layers.txt", "# none\n")
        self.expect_error(run("bench", "--problems", path), 3, path + ": there is no layer in it")
        path = self.write("strange.txt", b"n1 ic3 oc4 i5 k3 \x1b[2J\xc2\x9b2J\xff\n")
        result = run("bench", "--problems", path)
        self.assertEqual(result.code, 2, result)
        self.assertIn(r"unknown word '\x1b[2J\xc2\x9b2J\xff'", result.err)

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
        self.expect_error(run("run", MODEL, "--input", "nobody=x.npy"), 2, "--input nobody=x.npy: the model has no input 'nobody'", "it takes x")
        self.assertEqual(run("run", MODEL, "--input", MODEL).code, 3)
        self.expect_error(run("run", MODEL, "x.npy"), 2, "x.npy is an array, not an image", "give it with --input x.npy")
        # Said before the network is read, not after it has run.
        self.expect_error(run("run", "/nonexistent.onnx", "--random-input", "--output-dir", os.path.join(MODEL, "out")), 3,
                          os.path.join(MODEL, "out") + ": cannot be written to: Not a directory", "give --output-dir a folder that can be written")
        labels = os.path.join(self.folder, "labels.txt")
        open(labels, "w").close()
        self.expect_error(run("run", MODEL, "--random-input", "--labels", labels), 3, labels + ": holds no names")


if __name__ == "__main__":
    tool.main()
