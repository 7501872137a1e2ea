"""convoy check: stored PyTorch cases that match, differ, or cannot be read."""
import json
import os
import struct

import tool
from tool import SOURCE, run

CASES = os.path.join(SOURCE, "tests", "cases")
CONV = os.path.join(CASES, "conv2d.safetensors")


def with_wrong_number(path, target):
    """Copies a case file with one stored output changed; returns the name of its case."""
    with open(path, "rb") as file:
        data = bytearray(file.read())
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    case = next(c for c in json.loads(header["__metadata__"]["cases"]) if "outputs" in c and c["op"] == "conv2d")
    begin, end = header[next(iter(case["outputs"].values()))]["data_offsets"]
    assert end > begin
    value = struct.unpack_from("<f", data, 8 + length + begin)[0]
    struct.pack_into("<f", data, 8 + length + begin, value + 1)
    with open(target, "wb") as file:
        file.write(data)
    return case["name"]


class Check(tool.TestCase):
    def test_the_committed_cases_match(self):
        text, document = run("check", CASES), run("check", CASES, "--json")
        self.assertEqual(text.code, 0, text)
        facts = self.json_of(document, "convoy.check/1")
        self.assertEqual(facts["failed"], 0)
        self.assertGreater(facts["passed"], 300)
        self.assertGreater(facts["refused"], 10)
        self.assertEqual(facts["refused_exact_text"], facts["refused"])
        self.assertLessEqual(facts["worst_ratio"], 1)
        self.assertIn("conv2d", facts["ops"])
        for key in ("passed", "failed", "refused", "refused_exact_text"):
            self.assertEqual(sum(op[key] for op in facts["ops"].values()), facts[key], key)
        self.assertEqual(text.out.splitlines()[-1], f"{facts['passed']} passed, 0 failed")
        lines = text.out.splitlines()
        for op in facts["ops"]:
            self.assertEqual(len([line for line in lines if line.split()[1:2] == [op]]), 1, op)

    def test_one_file_as_text(self):
        self.expect_golden("check_conv2d.txt", run("check", CONV, "--ascii").out)

    def test_a_difference_is_named_and_fails(self):
        path = os.path.join(self.folder, "wrong.safetensors")
        name = with_wrong_number(CONV, path)
        result = run("check", path)
        self.assertEqual(result.code, 1, result)
        failures = [line for line in result.out.splitlines() if name + ":" in line]
        self.assertEqual(len(failures), 1, result)
        self.assertTrue(failures[0].startswith("✗ "), failures)
        self.assertTrue(result.out.splitlines()[-1].endswith(" passed, 1 failed"), result)
        facts = self.json_of(run("check", path, CASES, "--json"), "convoy.check/1")
        self.assertEqual(facts["failed"], 1)
        self.assertEqual([failure["name"] for failure in facts["failures"]], [name])

    def test_files_that_cannot_be_read(self):
        self.expect_error(run("check", "/nonexistent"), 3, "/nonexistent: no such file")
        junk = self.write("junk.safetensors", b"\x01\x02\x03")
        result = run("check", junk, CONV)
        self.assertEqual(result.code, 3, result)
        self.assertIn("convoy: error: " + junk, result.err)
        self.assertIn(" passed, 0 failed", result.out)  # the other file was checked all the same
        facts = json.loads(run("check", junk, CONV, "--json").out)
        self.assertEqual([entry["file"] for entry in facts["unreadable"]], [junk])
        empty = os.path.join(self.folder, "empty")
        os.mkdir(empty)
        self.expect_error(run("check", empty), 3, f"{empty}: no case files (*.safetensors) in this folder")

    def test_without_a_file(self):
        self.expect_error(run("check"), 2, "'convoy check' needs the case files to run")


if __name__ == "__main__":
    tool.main()
