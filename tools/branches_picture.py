#!/usr/bin/env python3
"""Draws what the three kernels of an ACNet block read for the first output, for three paddings: docs/acnet_branches.svg.

Usage: branches_picture.py > docs/acnet_branches.svg
The rule drawn is the one of docs/howto/fold_a_network.md; nn/reparam/blocks_test.cc holds the layers to the same numbers.
"""
K, N, CELL = 3, 5, 16
BLUE, SHADE, INK, GREY = "#268bd2", "#073642", "#002b36", "#93a1a1"
MAP = (N + 4) * CELL  # two cells of padding on each side at most
LEFT, TOP, GAP_X, GAP_Y = 118, 58, 34, 52


def branch(kind, p):
    """kernel, padding (rows, columns), crop (rows, columns) of a branch."""
    half, outer = K // 2, max(0, p - K // 2)
    crop = max(0, half - p)
    return {"square": ((K, K), (p, p), (0, 0)),
            "hor": ((1, K), (outer, p), (crop, 0)),
            "ver": ((K, 1), (p, outer), (0, crop))}[kind]


def draw_map(x, y, kind, p):
    kernel, padding, crop = branch(kind, p)
    out = []
    cell = lambda row, column: (x + (column + 2) * CELL, y + (row + 2) * CELL)
    for row in range(-padding[0], N + padding[0]):
        for column in range(-padding[1], N + padding[1]):
            cx, cy = cell(row, column)
            inside = 0 <= row < N and 0 <= column < N
            cut = inside and not (crop[0] <= row < N - crop[0] and crop[1] <= column < N - crop[1])
            fill = "#eee8d5" if cut else BLUE if inside else "none"
            dash = "" if inside else ' stroke-dasharray="2 2"'
            out.append(f'<rect x="{cx}" y="{cy}" width="{CELL}" height="{CELL}" fill="{fill}" stroke="{INK if inside else GREY}" stroke-width="1"{dash}/>')
            if cut:
                out.append(f'<path d="M{cx} {cy}l{CELL} {CELL}M{cx + CELL} {cy}l-{CELL} {CELL}" stroke="{GREY}" stroke-width="1"/>')
    wx, wy = cell(crop[0] - padding[0], crop[1] - padding[1])
    out.append(f'<rect x="{wx}" y="{wy}" width="{kernel[1] * CELL}" height="{kernel[0] * CELL}" fill="{SHADE}" fill-opacity="0.5" stroke="{SHADE}" stroke-width="2.5"/>')
    lines = [f"padding [{padding[0]}, {padding[1]}]"] + (["outer rows cropped" if crop[0] else "outer columns cropped"] if max(crop) > 0 else [])
    for i, line in enumerate(lines):
        out.append(f'<text x="{x + MAP / 2}" y="{y + MAP + 14 + 15 * i}" text-anchor="middle">{line}</text>')
    return out


def picture():
    kinds, paddings = ["square", "hor", "ver"], [1, 0, 2]
    width, height = LEFT + 3 * (MAP + GAP_X) + 6, TOP + 3 * (MAP + GAP_Y) - 8
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
           f'aria-labelledby="t d" font-family="sans-serif" font-size="12" fill="{INK}">',
           "<title id=\"t\">What the branches of an ACNet block read</title>",
           "<desc id=\"d\">A 5 by 5 input and the first windows of the 3 by 3, 1 by 3 and 3 by 1 kernels for padding 1, 0 and 2. The narrow windows lie on the "
           "middle row and the middle column of the square one; for padding 0 the input is cropped by one row or column on each side.</desc>",
           f'<rect width="{width}" height="{height}" fill="white"/>']
    for i, (kind, size) in enumerate(zip(kinds, [f"{K}×{K}", f"1×{K}", f"{K}×1"])):
        x = LEFT + i * (MAP + GAP_X)
        out.append(f'<text x="{x + MAP / 2}" y="22" text-anchor="middle" font-size="14" font-weight="bold">{kind}_conv {size}</text>')
    for r, p in enumerate(paddings):
        y = TOP + r * (MAP + GAP_Y) - 18
        out.append(f'<text x="10" y="{y + MAP / 2 - 8}" font-size="14" font-weight="bold">padding {p}</text>')
        out.append(f'<text x="10" y="{y + MAP / 2 + 10}">{p} - {K} // 2 = {p - K // 2}</text>')
        out.append(f'<text x="10" y="{y + MAP / 2 + 26}">crop {max(0, K // 2 - p)}</text>')
        for i, kind in enumerate(kinds):
            out += draw_map(LEFT + i * (MAP + GAP_X), y, kind, p)
    return "\n".join(out + ["</svg>"]) + "\n"


print(picture(), end="")
