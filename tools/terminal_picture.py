#!/usr/bin/env python3
"""Draws what a terminal shows as an SVG picture, for the documentation.

    build/release/convoy demo --color=always --progress=none | tools/terminal_picture.py "$ ./demo" > docs/demo.svg

Reads text with SGR colours from standard input; the argument is the command shown on the first line. Works offline; the picture needs no font but a
monospaced one.
"""
import html
import re
import sys

COLOURS = {31: "#ff7b72", 32: "#7ee787", 33: "#e3b341", 34: "#79c0ff", 35: "#d2a8ff", 36: "#76e3ea"}
WIDTH, HEIGHT, MARGIN = 8.4, 19, 18
SGR = re.compile(r"\x1b\[([0-9;]*)m")


def spans(line: str, state: dict):
    """Yields (text, style) runs of one line; `state` carries colours over line ends."""
    at = 0
    for match in SGR.finditer(line):
        if match.start() > at:
            yield line[at:match.start()], dict(state)
        for code in [int(c or 0) for c in match.group(1).split(";")]:
            if code == 0:
                state.clear()
            elif code == 1:
                state["bold"] = True
            elif code == 2:
                state["dim"] = True
            elif code in COLOURS:
                state["colour"] = COLOURS[code]
        at = match.end()
    if at < len(line):
        yield line[at:], dict(state)


def main() -> None:
    lines = sys.stdin.read().rstrip("\n").split("\n")
    if len(sys.argv) > 1:
        lines.insert(0, f"\x1b[1m{sys.argv[1]}\x1b[0m")
    lines = [line.split("\r")[-1] for line in lines]
    columns = max(len(SGR.sub("", line)) for line in lines)
    width, height = columns * WIDTH + 2 * MARGIN, len(lines) * HEIGHT + 2 * MARGIN
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}" role="img">',
           f"<title>{html.escape(SGR.sub('', lines[0]))}</title>",
           f'<rect width="100%" height="100%" rx="8" fill="#0d1117"/>',
           '<g font-family="ui-monospace, SFMono-Regular, Menlo, DejaVu Sans Mono, monospace" font-size="14" fill="#e6edf3" xml:space="preserve">']
    state: dict = {}
    for row, line in enumerate(lines):
        column = 0
        for text, style in spans(line, state):
            if text.strip():
                extra = ""
                if "colour" in style:
                    extra += f' fill="{style["colour"]}"'
                if style.get("bold"):
                    extra += ' font-weight="bold"'
                if style.get("dim"):
                    extra += ' opacity="0.65"'
                x, y = MARGIN + column * WIDTH, MARGIN + (row + 0.75) * HEIGHT
                out.append(f'<text x="{x:.1f}" y="{y:.1f}" textLength="{len(text) * WIDTH:.1f}"{extra}>{html.escape(text)}</text>')
            column += len(text)
    out.append("</g></svg>")
    print("\n".join(out))


if __name__ == "__main__":
    main()
