#!/usr/bin/env python3
"""Holds the register tiles of compiled kernels to their name: check_register_tiles.py OBJECT...

A tile's innermost loops multiply and add into registers. Where a compiler keeps the sums in memory (GCC's -O2 does if a loop over
them is not unrolled by request) a layer takes twice as long and computes the same, so no other test sees it. Here the x86-64 code of
every function named ...Tile<...> is read: a loop with multiply-adds and no loop inside of it may store one vector for eight of them,
which leaves room for a few spilled ones. Tiles that write their normalised input down (PixelTile<true, true, ...>) are left out.
Prints the loops that fail and how many were read; needs objdump. Exit status 1 if any fails or there are none.
"""
import os, re, subprocess, sys

FUNCTION = re.compile(r"^[0-9a-f]+ <(.*)>:$")
INSTRUCTION = re.compile(r"^\s+([0-9a-f]+):\s+(\S+)\s*(.*)$")
TILE = re.compile(r"\w+Tile<")
COPYING = re.compile(r"PixelTile<true, true,")
MULTIPLY_ADD = re.compile(r"vfn?m(add|sub)")
STORE = re.compile(r"%[xyz]mm\d+,[^%]*\(.*\)(\{%k\d\})?$")


def functions(path):
    """Names and instructions (address, operation, operands) of the functions of an object file."""
    objdump = os.environ.get("OBJDUMP", "objdump")
    text = subprocess.run([objdump, "-d", "-C", "--no-show-raw-insn", path], check=True, capture_output=True, text=True).stdout
    name, body = "", []
    for line in text.splitlines():
        if found := FUNCTION.match(line):
            yield name, body
            name, body = found[1], []
        elif found := INSTRUCTION.match(line):
            body.append((int(found[1], 16), found[2], found[3]))
    yield name, body


def innermost_loops(body):
    """First and last address of the loops of a function without loops inside."""
    loops = set()
    for address, operation, operands in body:
        target = re.match(r"([0-9a-f]+) <", operands)
        if operation.startswith("j") and target and body[0][0] <= int(target[1], 16) <= address:
            loops.add((int(target[1], 16), address))
    return [a for a in loops if not any(b != a and a[0] <= b[0] and b[1] <= a[1] for b in loops)]


def main(paths):
    read = failures = 0
    for path in paths:
        for name, body in functions(path):
            if not TILE.search(name) or COPYING.search(name):
                continue
            for first, last in innermost_loops(body):
                loop = [(operation, operands) for address, operation, operands in body if first <= address <= last]
                sums = sum(bool(MULTIPLY_ADD.match(operation)) for operation, _ in loop)
                stores = sum(operation.startswith("vmov") and bool(STORE.search(operands)) for operation, operands in loop)
                read += sums > 0
                if sums > 0 and 8 * stores > sums:
                    failures += 1
                    print(f"{os.path.basename(path)}: {name.split('(')[0]} stores {stores} vectors for {sums} multiply-adds")
    print(f"{read} loops of register tiles, {failures} with sums in memory")
    return 1 if failures or not read else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
