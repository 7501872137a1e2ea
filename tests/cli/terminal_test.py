"""Colour, character sets, progress and Ctrl-C on a terminal, closed pipes."""
import os
import pty
import re
import resource
import select
import signal
import subprocess
import time
import unittest

import tool
from tool import PLAIN, TOOL, run

ESCAPE = "\x1b"


def on_terminal(words, env=None, cwd=None, act=None, columns=100):
    """Runs on a pseudo terminal of so many columns; `act(process, text so far)` is called as output arrives. Returns (exit code, all output)."""
    try:
        master, slave = pty.openpty()
    except OSError as error:  # a bare container may have no /dev/pts
        raise unittest.SkipTest(f"no terminal to be had here: {error}") from error
    os.set_blocking(master, False)
    import fcntl
    import struct
    import termios
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    process = subprocess.Popen([TOOL, *words], stdin=slave, stdout=slave, stderr=slave, env={**PLAIN, **(env or {})}, cwd=cwd,
                               start_new_session=True)
    os.close(slave)
    text = b""
    deadline = time.time() + 240
    while time.time() < deadline:
        ready, _, _ = select.select([master], [], [], 0.1)
        if ready:
            try:
                piece = os.read(master, 65536)
            except OSError:
                break
            if not piece:
                break
            text += piece
            if act:
                act(process, text.decode(errors="replace"))
        elif process.poll() is not None:
            break
    process.wait(timeout=300)
    os.close(master)
    return process.returncode, text.decode(errors="replace")


def screen(text):
    """The lines a person sees in the end: carriage returns overwrite, erase-to-end-of-line erases."""
    lines, line, at = [], [], 0
    for token in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|.|\n", text, flags=re.DOTALL):
        if token == "\n":
            lines.append("".join(line).rstrip())
            line, at = [], 0
        elif token == "\r":
            at = 0
        elif token == "\x1b[K":
            del line[at:]
        elif not token.startswith(ESCAPE):
            line[at:at + 1] = [token]
            at += 1
    return lines + ["".join(line).rstrip()]


class Color(tool.TestCase):
    def test_only_where_it_is_wanted(self):
        self.assertNotIn(ESCAPE, run("help").out)
        self.assertIn(ESCAPE, run("help", "--color=always").out)
        self.assertIn(ESCAPE, run("help", "--color", "always", env={"NO_COLOR": "1"}).out)
        self.assertIn(ESCAPE, run("help", env={"CLICOLOR_FORCE": "1"}).out)
        self.assertNotIn(ESCAPE, run("help", env={"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}).out)
        self.assertIn(ESCAPE, on_terminal(["help"])[1])
        self.assertNotIn(ESCAPE, on_terminal(["help"], {"NO_COLOR": "1"})[1])
        self.assertNotIn(ESCAPE, on_terminal(["help"], {"TERM": "dumb"})[1])
        self.assertNotIn(ESCAPE, on_terminal(["help", "--color=never"])[1])

    def test_colour_changes_no_word(self):
        colored = run("help", "train", "--color=always").out
        self.assertEqual(re.sub(r"\x1b\[[0-9]*m", "", colored), run("help", "train").out)

    def test_json_is_never_coloured(self):
        self.assertNotIn(ESCAPE, run("help", "--json", "--color=always").out)


class Characters(tool.TestCase):
    def test_ascii_by_option_and_by_locale(self):
        self.assertIn("×", run("demo", "--quick").out)
        for result in (run("demo", "--quick", "--ascii"), run("demo", "--quick", env={"LC_ALL": "C"})):
            self.assertTrue(result.out.isascii(), result.out)
            self.assertIn("5x5", result.out)


class Pipes(tool.TestCase):
    def test_a_closed_pipe_ends_quietly(self):
        read_end, write_end = os.pipe()
        os.close(read_end)
        process = subprocess.Popen([TOOL, "help"], stdout=write_end, stderr=subprocess.PIPE, env=PLAIN)
        os.close(write_end)
        _, err = process.communicate(timeout=300)
        self.assertEqual(err, b"")
        self.assertEqual(process.returncode, 128 + signal.SIGPIPE)

    def test_a_full_disk_is_an_error(self):
        with open("/dev/full", "w") as full:
            done = subprocess.run([TOOL, "help"], stdout=full, stderr=subprocess.PIPE, env=PLAIN, timeout=60)
        self.assertEqual(done.returncode, 3)
        self.assertIn(b"No space left on device", done.stderr)
        for words, code in (("help", "--json"), 3), (("nope", "--json"), 2):
            with open("/dev/full", "w") as full:
                self.assertEqual(subprocess.run([TOOL, *words], stdout=full, stderr=subprocess.DEVNULL, env=PLAIN, timeout=60).returncode, code)

    def test_a_limit_of_file_sizes_is_an_error_that_leaves_nothing(self):
        words = [TOOL, "fuse", Width.MODEL, "-o", os.path.join(self.folder, "out.onnx")]
        limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=PLAIN, timeout=60, preexec_fn=limit)
        self.assertEqual(done.returncode, 3, done)
        self.assertIn(b"out.onnx: cannot write: File too large", done.stderr)
        self.assertEqual(os.listdir(self.folder), [])

    def test_devices_may_be_written_to(self):
        for words in (["fuse", Width.MODEL, "-o", "/dev/null"], ["train", "--data", "shapes", "--net", "shapes", "--epochs", "1", "--save", "/dev/null"]):
            self.assertEqual(run(*words).code, 0)


class Width(tool.TestCase):
    MODEL = os.path.join(tool.SOURCE, "tests", "onnx", "cases", "small_network", "model.onnx")

    def lines(self, columns, *words, env=None):
        code, text = on_terminal([*words, "--color=never", "--progress=none"], env=env, columns=columns)
        self.assertEqual(code, 0, text)
        return text.replace("\r", "").splitlines()

    def test_tables_fit(self):
        wide = run("summary", self.MODEL).out.splitlines()
        table = len(wide) - wide[::-1].index("") - 1  # lines up to the first sentence
        self.assertGreater(max(map(len, wide[:table])), 70)
        self.assertEqual(self.lines(200, "summary", self.MODEL), wide)
        for columns in (50, 60, 70):
            lines = self.lines(columns, "summary", self.MODEL)
            shown = lines[:lines.index("")]
            self.assertLessEqual(max(map(len, shown)), columns, lines)
            self.assertEqual(len([line for line in shown if not re.match("no room for: .*sees$", line)]), table, lines)
        bench = ("bench", "--layer", "n2 ic8 oc8 i8 k3 p1", "--seconds", "0.001")
        self.assertTrue(any(line.startswith("n2 ic8 oc8 i8 k3 p1 ") for line in self.lines(70, *bench)))
        self.assertIn("n2 ic8 oc8 g1 ih8 iw8 kh3 kw3 sh1 sw1 ph1 pw1 dh1 dw1 ", run(*bench).out)

    def test_help_fits(self):
        for words in (["help"], ["help", "train"]):
            self.assertEqual(self.lines(1000, *words)[4:6], run(*words).out.splitlines()[4:6])
        self.assertLessEqual(max(map(len, self.lines(80, "help"))), 80)
        options = [line for line in self.lines(70, "help", "train") if line.startswith("  -") or line.startswith(" " * 30)]
        self.assertLessEqual(max(map(len, options)), 70)

    def test_a_terminal_without_a_width(self):
        self.assertEqual(self.lines(0, "help", env={"COLUMNS": "60"}), self.lines(60, "help"))
        self.assertEqual(self.lines(0, "help"), self.lines(80, "help"))


class Progress(tool.TestCase):
    def setUp(self):
        super().setUp()
        tool.write_idx_folder(self.folder)
        self.train = ["train", "--data", "idx:" + self.folder, "--net", "shapes", "--batch-size", "8"]

    def test_plain_lines_when_standard_error_is_no_terminal(self):
        result = run(*self.train, "--epochs", "2")
        self.assertEqual(result.code, 0, result)
        self.assertNotIn("\r", result.err)
        self.assertEqual([int(p) for p in re.findall(r"^epoch \d  (\d+) %", result.err, re.MULTILINE)], list(range(10, 101, 10)), result.err)
        self.assertEqual(run(*self.train, "--epochs", "1", "--progress=none").err, "")
        self.assertIn("\r", run(*self.train, "--epochs", "1", "--progress=bar").err)

    def test_a_bar_on_a_terminal_that_leaves_nothing_behind(self):
        code, text = on_terminal([*self.train, "--epochs", "3"])
        self.assertEqual(code, 0)
        self.assertRegex(text, r"\r\x1b\[Kepoch 1  .*━.*img/s  loss \d\.\d\d\d")
        self.assertRegex(text, r"\d+ s left")
        seen = screen(text)
        self.assertEqual(len([line for line in seen if line.startswith("epoch ")]), 3, seen)
        self.assertFalse(any(" left" in line for line in seen), seen)

    def test_ctrl_c_leaves_a_clean_terminal(self):
        sent = []

        def act(process, text):
            if not sent and "epoch    2" in text:
                sent.append(True)
                process.send_signal(signal.SIGINT)

        path = os.path.join(self.folder, "model.safetensors")
        code, text = on_terminal([*self.train, "--epochs", "1000", "--save", path], act=act)
        self.assertEqual(code, 130, text)
        seen = screen(text)
        self.assertEqual(seen[-1], "")
        self.assertRegex(seen[-3], r"^convoy: interrupted: (epoch \d+ of 1000, batch \d+ of 38 done|\d+ of 1,000 epochs done)$")
        self.assertIn("convoy train --resume " + path, seen[-2])

    def test_a_closed_terminal_keeps_the_checkpoint(self):
        path = os.path.join(self.folder, "model.safetensors")
        # The line before the first epoch: what ended earlier trained nothing, and has nothing to keep.
        result = tool.interrupt_once("method ", *self.train, "--epochs", "100000", "--save", path, number=signal.SIGHUP)
        self.assertEqual(result.code, 128 + signal.SIGHUP, result)
        self.assertIn("saved " + path, result.err)
        self.assertTrue(os.path.exists(path))

    def test_ctrl_c_ends_the_timing_of_a_layer(self):
        begin = time.time()
        result = tool.interrupt_after(0.5, "bench", "--layer", "ic1 oc1 i2048 k3", "--seconds", "600", "--json")
        self.assertEqual(result.code, 130, result)
        self.json_of(result, "convoy.bench/1")
        self.assertEqual(result.err, "convoy: interrupted: 1 of 1 layers were measured\n")
        self.assertLess(time.time() - begin, 60)

    def test_second_ctrl_c_kills(self):
        process = tool.start(*self.train, "--epochs", "100000")
        tool.wait_for_handler(process)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=300)
        self.assertIn(process.returncode, (130, -signal.SIGINT))


if __name__ == "__main__":
    tool.main()
