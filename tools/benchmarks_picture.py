#!/usr/bin/env python3
"""Draws the tables of docs/benchmarks.md: whole networks against ONNX Runtime, layers against oneDNN.

Usage: benchmarks_picture.py > docs/benchmarks.svg, from the root of the repository
       benchmarks_picture.py --check: exit 1 if docs/benchmarks.svg is not what the tables say
"""
import html
import math
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
WIDTH, LEFT, RIGHT, ROW = 900, 210, 40, 17
LEAST, MOST = 0.5, 4.8  # the axis is logarithmic: twice as fast is as far to the right as half as fast to the left
TICKS = (0.5, 0.7, 1, 1.5, 2, 3, 4)
INK, GRID, ONE = "#073642", "#d8d8d0", "#586e75"
COLOURS = {"conv_winograd": "#268bd2", "conv_pointwise": "#b58900", "conv_depthwise": "#2aa198", "conv_direct": "#6c71c4", "conv_grouped": "#d33682", "conv_strassen": "#cb4b16", "conv_paired": "#dc322f"}


def table(text, heading):
    """The rows of the first table below a heading, as lists of cells."""
    rows = []
    for line in text[text.index(f"\n## {heading}\n"):].split("\n"):
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows:
            break
    return rows[2:]  # behind the head and its rule


def x(ratio):
    share = math.log(min(max(ratio, LEAST), MOST) / LEAST) / math.log(MOST / LEAST)
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def colour(algorithm):
    return next((c for name, c in COLOURS.items() if algorithm.startswith(name)), INK)


class Drawing:
    def __init__(self):
        self.y, self.parts = 10, []

    def text(self, at, words, anchor="start", size=12, weight="normal", fill=INK):
        self.parts.append(f'<text x="{at}" y="{self.y}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" fill="{fill}">'
                          f"{html.escape(words)}</text>")

    def title(self, words, below):
        self.y += 22
        self.text(12, words, size=15, weight="bold")
        self.y += 17
        self.text(12, below, fill=ONE)
        self.y += 6

    def axis(self, rows):
        top, bottom = self.y + 4, self.y + 8 + rows * ROW
        for tick in TICKS:
            strong = tick == 1
            self.parts.append(f'<line x1="{x(tick)}" x2="{x(tick)}" y1="{top}" y2="{bottom}" stroke="{ONE if strong else GRID}" '
                              f'stroke-width="{1.6 if strong else 1}"/>')
        self.y = bottom + 14
        for tick in TICKS:
            self.text(x(tick), f"{tick:g}x" if tick != 1 else "as fast", anchor="middle", size=11, fill=ONE)
        self.y = top + 13

    def label(self, name):
        self.text(LEFT - 10, name, anchor="end")


def picture(text):
    d = Drawing()
    networks = sorted(((row[0].rstrip(" *"), float(row[3])) for row in table(text, "Networks")), key=lambda row: -row[1])
    d.title("Whole networks", "times as fast as ONNX Runtime 1.30; batch 1, 2 threads, interleaved; to the right of the line Convoy is ahead")
    d.axis(len(networks))
    for name, ratio in networks:
        d.label(name)
        begin, end = sorted((x(1), x(ratio)))
        d.parts.append(f'<rect x="{begin}" y="{d.y - 10}" width="{round(end - begin, 1)}" height="11" rx="2" fill="{COLOURS["conv_winograd"]}"/>')
        beside = x(max(ratio, 1)) + 6
        d.text(beside, f"{ratio:.2f}", size=11)
        d.y += ROW
    d.y += 24

    layers = [(row[0], row[1], float(row[5]), float(row[7])) for row in table(text, "Layers, forward")]
    d.title("Single layers, forward",
            "times as fast as oneDNN 2.6: dot, oneDNN in its own blocked layout; ring, oneDNN with NCHW in and out, as Convoy has it")
    at = 12
    d.y += 14
    for name, c in COLOURS.items():
        d.parts.append(f'<circle cx="{at + 5}" cy="{d.y - 4}" r="5" fill="{c}"/>')
        d.text(at + 15, name, size=11)
        at += 30 + 7 * len(name)
    d.y += 4
    d.axis(len(layers))
    for name, algorithm, blocked, nchw in layers:
        c = colour(algorithm)
        d.label(name)
        d.parts.append(f'<line x1="{x(min(blocked, nchw))}" x2="{x(max(blocked, nchw))}" y1="{d.y - 4}" y2="{d.y - 4}" stroke="{c}" stroke-width="2"/>'
                       f'<circle cx="{x(nchw)}" cy="{d.y - 4}" r="4.5" fill="#fff" stroke="{c}" stroke-width="2"/>'
                       f'<circle cx="{x(blocked)}" cy="{d.y - 4}" r="5" fill="{c}"/>')
        d.y += ROW
    height = d.y + 20
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            f'font-family="DejaVu Sans, Helvetica, Arial, sans-serif" role="img" aria-label="The tables of benchmarks.md as a picture">'
            f'<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(d.parts) + "\n</svg>\n")


def main():
    drawn = picture((ROOT / "docs/benchmarks.md").read_text(encoding="utf-8"))
    if sys.argv[1:] == ["--check"]:
        if (ROOT / "docs/benchmarks.svg").read_text(encoding="utf-8") == drawn:
            return 0
        print("docs/benchmarks.svg does not show docs/benchmarks.md: tools/benchmarks_picture.py > docs/benchmarks.svg", file=sys.stderr)
        return 1
    sys.stdout.write(drawn)
    return 0


if __name__ == "__main__":
    sys.exit(main())
