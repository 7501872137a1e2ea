"""Runs the tool as a person or a script would, for the tests beside this file. Standard library only."""
import json
import os
import re
import signal
import struct
import subprocess
import tempfile
import time
import unittest

TOOL = os.environ["CONVOY_TOOL"]
SOURCE = os.environ["CONVOY_SOURCE"]
GOLDEN = os.path.join(SOURCE, "tests", "cli", "golden")

# A terminal without wishes of its own: UTF-8, 80 columns, nothing forced.
PLAIN = {"PATH": os.environ["PATH"], "HOME": "/tmp", "LC_ALL": "C.UTF-8", "TERM": "xterm"}
for name in ("CONVOY_NUM_THREADS", "ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
    if name in os.environ:
        PLAIN[name] = os.environ[name]


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __repr__(self):
        return f"exit {self.code}\n--- out\n{self.out}\n--- err\n{self.err}"


def run(*words, cwd=None, env=None, timeout=300):
    done = subprocess.run([TOOL, *words], cwd=cwd, env={**PLAIN, **(env or {})}, timeout=timeout, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


def start(*words, cwd=None, env=None):
    return subprocess.Popen([TOOL, *words], cwd=cwd, env={**PLAIN, **(env or {})}, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for_handler(process):
    """Until the process has its handler for Ctrl-C: on a busy machine a second may pass before main()."""
    while process.poll() is None:
        with open(f"/proc/{process.pid}/status", encoding="ascii", errors="replace") as status:
            caught = int(re.search(r"^SigCgt:\s*(\w+)", status.read(), re.MULTILINE)[1], 16)
        if caught >> (signal.SIGINT - 1) & 1:
            return
        time.sleep(0.01)


def interrupt_after(seconds, *words, cwd=None):
    """Ctrl-C some time after the tool listens to it; whatever came first."""
    process = start(*words, cwd=cwd)
    wait_for_handler(process)
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300)
    return Result(process.returncode, out.decode(), err.decode())


def normalised(text):
    """Without what differs from run to run and machine to machine: times, rates, threads, instruction sets, sizes of temporary names."""
    text = re.sub(r"\d[\d,]* img/s", "N img/s", text)
    text = re.sub(r"\b\d[\d.,]* ?(ns|µs|us|ms|s|min \d+ s)\b", "T", text)
    text = re.sub(r"(AVX-512|AVX2|NEON|scalar)", "SIMD", text)
    text = re.sub(r"\d+ threads?( \(the limit here, of \d+ CPUs\))?", "N threads", text)
    text = re.sub(r"convoy \d+\.\d+\.\d+", "convoy VERSION", text)
    text = re.sub(r"/tmp/[\w./-]*?tmp[\w-]+", "TMP", text)
    return re.sub(r" +T$", " T", text, flags=re.MULTILINE)


def interrupt_once(pattern, *words, cwd=None, number=signal.SIGINT):
    """A signal once a line of standard output begins like this: how long that takes depends on what else the machine does."""
    process = start(*words, cwd=cwd)
    before = b""
    for line in process.stdout:
        before += line
        if re.match(pattern, line.decode()):
            process.send_signal(number)
            break
    out, err = process.communicate(timeout=300)
    return Result(process.returncode, (before + out).decode(), err.decode())


class TestCase(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def expect_golden(self, name, text):
        path = os.path.join(GOLDEN, name)
        if os.environ.get("CONVOY_UPDATE_GOLDEN"):
            with open(path, "w", encoding="utf-8") as file:
                file.write(normalised(text))
        with open(path, encoding="utf-8") as file:
            self.assertEqual(file.read(), normalised(text), f"differs from tests/cli/golden/{name}; CONVOY_UPDATE_GOLDEN=1 rewrites it")

    def expect_error(self, result, code, first, second=None):
        """`convoy: error: FIRST`, `       SECOND`, the exit code, nothing on standard output."""
        lines = result.err.splitlines()
        self.assertEqual(result.code, code, result)
        self.assertEqual(lines[0], "convoy: error: " + first, result)
        if second is not None:
            self.assertEqual(lines[1], "       " + second, result)
        self.assertEqual(result.out, "", result)

    def json_of(self, result, schema):
        """The one object on standard output."""
        document = json.loads(result.out)
        self.assertEqual(document["schema"], schema)
        return document

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w" if isinstance(text, str) else "wb") as file:
            file.write(text)
        return path


def write_idx_folder(folder, train=300, test=60, size=12, classes=3):
    """MNIST's four files with images that a small network can learn: class k is bright in rows k, k + classes, ..."""
    state = 12345
    for prefix, count in (("train", train), ("t10k", test)):
        pixels, labels = bytearray(), bytearray()
        for i in range(count):
            label = i % classes
            labels.append(label)
            for row in range(size):
                for _ in range(size):
                    state = (state * 1103515245 + 12345) & 0x7FFFFFFF
                    pixels.append((state >> 16) % 100 + (120 if row % classes == label else 0))
        with open(os.path.join(folder, f"{prefix}-images-idx3-ubyte"), "wb") as file:
            file.write(struct.pack(">IIII", 0x803, count, size, size) + bytes(pixels))
        with open(os.path.join(folder, f"{prefix}-labels-idx1-ubyte"), "wb") as file:
            file.write(struct.pack(">II", 0x801, count) + bytes(labels))


def main():
    unittest.main(verbosity=2)
