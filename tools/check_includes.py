#!/usr/bin/env python3
"""Holds the table "Who may include whom" of docs/architecture.md: every #include of the library and the tool is looked up in it.

The table's first column names a folder, the second the folders (or single headers) it may include, the third the other libraries it may
use. Other libraries stay out of headers, so that whoever includes Convoy needs none of them; only the tool's own headers may have them, and
Highway may stand in the kernels' -inl.h files. A _test.cc or _test.h file follows its folder's row and may also use GoogleTest and headers of
tests/.

Usage: check_includes.py [ROOT]; prints one line per offence; exit 1 if there is one.
"""
import pathlib
import re
import sys

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
# How the headers of other libraries are recognised, by the name the table uses.
LIBRARIES = {
    "Highway": r"hwy/",
    "OpenMP": r"omp\.h$",
    "protozero": r"protozero/",
    "nlohmann": r"nlohmann/",
    "fmt": r"fmt/",
    "CLI11": r"CLI/",
    "libpng": r"png\.h$|pngconf\.h$",
    "libjpeg": r"jpeglib\.h$|jerror\.h$",
    "zlib": r"zlib\.h$|zconf\.h$",
    "GoogleTest": r"g(test|mock)/",
    "benchmark": r"benchmark/",
}
# Intrinsics belong to Highway: one source for every instruction set.
INTRINSICS = re.compile(r"(^|/)([a-z]*intrin|arm_neon|arm_sve|wasm_simd128)\.h$")
# The C++ standard library has no dots or slashes in its names; the C and POSIX headers that are used have these.
SYSTEM = re.compile(r"^[a-z_0-9]+$|^(sched|malloc|unistd|pthread|fcntl|signal|setjmp|dirent|termios|langinfo|locale|cpuid)\.h$|^sys/[a-z]+\.h$")
BAD_NAMES = re.compile(r"(^|_)(utils?|common|helpers?|managers?|misc)(_|\.|$)")


def read_table(text: str, problems: "list[str]") -> "dict[str, tuple[set[str], set[str]]]":
    """folder -> (what it may include, the libraries it may use)."""
    section = re.search(r"^## Who may include whom.*?\n(.*?)(?=^## |\Z)", text, re.S | re.M)
    table = {}
    for line in section.group(1).splitlines() if section else []:
        cells = [re.sub(r"`", "", cell).strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|") or len(cells) != 3 or cells[0] == "folder" or set(cells[0]) <= set("-: "):
            continue
        names = [{name.strip() for name in cell.split(",") if name.strip()} for cell in cells[1:]]
        for folder in (name.strip() for name in cells[0].split(",")):
            table[folder] = (names[0], names[1])
    if not table:
        problems.append("docs/architecture.md: there is no table under 'Who may include whom'")
    for folder, (below, libraries) in table.items():
        for name in below:
            if name.split("/")[0] not in table:
                problems.append(f"docs/architecture.md: {folder} may include {name}, which has no row of its own")
        for name in libraries - LIBRARIES.keys():
            problems.append(f"docs/architecture.md: {folder} may use {name}, which this check does not know")
    return table


def find_cycle(table: "dict[str, tuple[set[str], set[str]]]") -> "list[str]":
    """Folders that include one another in a ring, if there are any: then 'down' would mean nothing."""
    done: "set[str]" = set()

    def visit(folder: str, path: "list[str]") -> "list[str]":
        if folder in path:
            return path[path.index(folder):] + [folder]
        if folder not in done:
            for below in sorted(table.get(folder, (set(), set()))[0]):
                ring = visit(below.split("/")[0], path + [folder]) if "/" not in below else []
                if ring:
                    return ring
            done.add(folder)
        return []

    for folder in table:
        ring = visit(folder, [])
        if ring:
            return ring
    return []


def check_file(root: pathlib.Path, path: pathlib.Path, table, problems: "list[str]") -> None:
    where = path.relative_to(root).as_posix()
    parts = where.split("/")
    folder = parts[1] if parts[0] == "convoy" and len(parts) > 2 else parts[0]  # convoy/convoy.h belongs to no folder
    text = path.read_text(encoding="utf-8")
    header, test = path.suffix == ".h", path.stem.endswith("_test")
    private = path.name.endswith("-inl.h")  # included once for every instruction set, so they guard themselves
    if header and not private and "#pragma once" not in text:
        problems.append(f"{where}: has no #pragma once")
    if BAD_NAMES.search(path.stem):
        problems.append(f"{where}: the name says nothing about what is inside")
    umbrella = parts[0] == "convoy" and len(parts) == 2
    if folder not in table and not umbrella:
        problems.append(f"{where}: the folder {folder} has no row in docs/architecture.md")
        return
    below, libraries = ({name for name in table if name != "cli"}, set()) if umbrella else table[folder]

    for match in INCLUDE.finditer(text):
        target = match[2]
        line = f"{where}:{text.count(chr(10), 0, match.start()) + 1}"
        library = next((name for name, pattern in LIBRARIES.items() if re.search(pattern, target)), None)
        if INTRINSICS.search(target):
            problems.append(f"{line}: {target} is for one instruction set only; kernels use Highway")
        elif library == "GoogleTest":
            if not test and parts[0] != "tests":
                problems.append(f"{line}: GoogleTest is for tests")
        elif library is not None:
            if library not in libraries:
                problems.append(f"{line}: {folder} may not use {library}")
            elif header and parts[0] == "convoy" and not (library == "Highway" and private):
                problems.append(f"{line}: {library} in a header; only .cc files may have it")
        elif target.startswith("convoy/"):
            if not (root / target).is_file():
                problems.append(f"{line}: there is no {target}")
            other = target.split("/")[1]
            if target.endswith("-inl.h") and other != folder:
                problems.append(f"{line}: {target} is private to {other}")
            elif not target.endswith(".h"):
                problems.append(f"{line}: {target} is not a header")
            elif other != folder and other not in below and target[len("convoy/"):] not in below:
                problems.append(f"{line}: {folder} may not include {other}")
        elif target.startswith("cli/"):
            if folder != "cli":
                problems.append(f"{line}: {folder} may not include cli")
        elif target.startswith("tests/"):
            if not test:
                problems.append(f"{line}: only tests may include {target}")
        elif match[1] == '"':
            problems.append(f'{line}: write "{target}" with its path from the root')
        elif not SYSTEM.match(target):
            problems.append(f"{line}: <{target}> belongs to no library that this check knows")


def check(root: pathlib.Path) -> "list[str]":
    problems: "list[str]" = []
    table = read_table((root / "docs" / "architecture.md").read_text(encoding="utf-8"), problems)
    ring = find_cycle(table)
    if ring:
        problems.append("docs/architecture.md: the table goes in a ring: " + " -> ".join(ring))
    for folder in table:
        base = root / "cli" if folder == "cli" else root / "convoy" / folder
        if not base.is_dir():
            problems.append(f"docs/architecture.md: there is no folder {base.relative_to(root).as_posix()}")
    for top in ("convoy", "cli"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix in (".h", ".cc"):
                check_file(root, path, table, problems)
    return problems


def main() -> int:
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    problems = check(root)
    for problem in problems:
        print(problem)
    if not problems:
        files = sum(1 for top in ("convoy", "cli") for path in (root / top).rglob("*") if path.suffix in (".h", ".cc"))
        print(f"{files} files keep the table of docs/architecture.md")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
