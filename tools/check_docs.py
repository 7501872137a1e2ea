#!/usr/bin/env python3
"""Holds the code blocks of the documentation against the sources they were taken from.

A block behind `<!-- FILE: NAME -->` must be, word for word, what stands in FILE between the comment lines [NAME] and [/NAME], so that every
worked example is compiled and run by the tests. Also: relative links lead to files that exist. Usage: check_docs.py [ROOT]; exit 1 on a difference.
"""
import pathlib
import re
import sys

BLOCK = re.compile(r"<!-- (?P<file>[\w./-]+): (?P<name>[\w-]+) -->\n```\w*\n(?P<text>.*?)\n```", re.S)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)(?P<path>[^)#\s]+)(#[^)]*)?\)")


def region(source: str, name: str) -> "str | None":
    match = re.search(rf"^[^\n\[\]]*\[{re.escape(name)}\]\n(.*?)\n[^\n\[\]]*\[/{re.escape(name)}\]$", source, re.S | re.M)
    return match.group(1) if match else None


def main() -> int:
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    pages = sorted(root.glob("*.md")) + sorted((root / "docs").rglob("*.md"))
    problems, blocks, links = [], 0, 0
    for page in pages:
        text = page.read_text(encoding="utf-8")
        where = page.relative_to(root)
        for match in BLOCK.finditer(text):
            blocks += 1
            source = root / match["file"]
            if not source.is_file():
                problems.append(f"{where}: there is no {match['file']}")
                continue
            code = region(source.read_text(encoding="utf-8"), match["name"])
            if code is None:
                problems.append(f"{where}: {match['file']} has no region [{match['name']}]")
            elif code.strip("\n") != match["text"].strip("\n"):
                problems.append(f"{where}: the block differs from {match['file']} [{match['name']}]")
        for match in LINK.finditer(text):
            links += 1
            if not (page.parent / match["path"]).exists():
                problems.append(f"{where}: the link to {match['path']} leads nowhere")
    for problem in problems:
        print(problem)
    print(f"{len(pages)} pages, {blocks} code blocks, {links} links: {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
