#!/usr/bin/env python3
"""Counts what the house style wants fewer of, and fails where a count has grown: Scripts/house.json holds the
counts that are allowed. `house.py --list` shows the places, `house.py --lower` writes the present counts where they are lower. Needs
Python alone."""

import json
import re
import subprocess
import sys
from pathlib import Path

root = Path(__file__).resolve().parent.parent
baseline = root / "Scripts/house.json"
sources = ("Sources", "Registry", "Cache")
# What swift-protobuf wrote.
generated = re.compile(r"\.pb\.swift$")

WORDS = re.compile(
    r"(?<!there) (is|are) no |\b(told|tells?|nobody|somebody|anew|surer?|mend|photos?|pictures?|things?|thrown away)\b"
    r"|\blies? (in|at|outside|past|between)\b|\b(so many|so long|called so|for who|goes? on|going on)\b|\bprove[sn]?\b"
    r"|\b(bytes|images|batches|messages|milliseconds) a \w+|/// (What|How|Who|Whose|Where)\b"
)
TASKS = re.compile(r"(?<!\w)\.(detection|embedding|regression|multiLabel)\b")


def files(*kinds, folders=sources):
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", *folders], cwd=root, capture_output=True, text=True, check=True).stdout
    for name in names.splitlines():
        if name.endswith(kinds) and not generated.search(name) and (root / name).is_file():
            yield name, (root / name).read_text()


def parameters(text):
    """The parameter lists of all functions, initialisers and subscripts, with the place of each."""
    for match in re.finditer(r"\b(?:func\s+(?:`[^`]+`|\w+|[^\w\s(]+)|init[?!]?|subscript)\s*(?:<[^>(]*>)?\(", text):
        if re.search(r"\bfunc\s+[^\w\s`(]", match.group()):
            continue  # operators
        depth, start, place = 1, match.end(), match.end()
        pieces = []
        while place < len(text) and depth:
            character = text[place]
            if character in "([{":
                depth += 1
            elif character in ")]}":
                depth -= 1
                if depth == 0:
                    pieces.append(text[start:place])
            elif character == "," and depth == 1:
                pieces.append(text[start:place])
                start = place + 1
            place += 1
        # A call of an initialiser has arguments, not parameters.
        if pieces and all(re.match(r"\s*(@\w+\s+)*(`?\w+`?\s+)?`?\w+`?\s*:", piece) for piece in pieces if piece.strip()):
            yield text.count("\n", 0, match.start()) + 1, pieces


def unlabelled(name, text):
    for line, pieces in parameters(text):
        bare = [re.match(r"\s*(@\w+\s+)*_\s", piece) is not None for piece in pieces]
        closure = ["->" in piece for piece in pieces]
        if any(a and b and not closed for a, b, closed in zip(bare, bare[1:], closure[1:])):
            yield line


def by_line(pattern):
    return lambda name, text: [n for n, line in enumerate(text.splitlines(), 1) if pattern.search(line)]


def words(name, text):
    for n, line in enumerate(text.splitlines(), 1):
        said = line if name.endswith(".md") or "///" in line else "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', line))
        if WORDS.search(" " + said if "///" not in line else said):
            yield n


def long(name, text):
    if text.count("\n") > 400:
        yield 1


swift = (".swift",)
checks = {
    "functions with two adjacent unlabelled parameters": (swift, sources, unlabelled),
    "string literals in a throw": (swift, sources, by_line(re.compile(r"^\s*throw\b.*\"|\belse \{ throw .*\""))),
    "imports of libc, canImport and getenv outside System": (
        swift, sources, lambda name, text: [] if name.startswith("Sources/System/") else by_line(re.compile(r"^\s*(public |package |internal )?import (Glibc|Musl)|canImport\(|\bgetenv\("))(name, text)),
    "names of tasks outside their folders": (
        swift, sources, lambda name, text: [] if "/Tasks/" in name else by_line(TASKS)(name, text)),
    "tests that expect a type of error and not its cause": (swift, ("Tests",), by_line(re.compile(r"#expect\(\s*throws: \w+\.self"))),
    "files of more than 400 lines": (swift, sources + ("Tests",), long),
    "lines that the voice would say otherwise": (swift + (".md",), sources + ("docs", "README.md", "CONTRIBUTING.md"), words),
}

allowed = json.loads(baseline.read_text()) if baseline.exists() else {}
found, failed = {}, False
for title, (kinds, folders, check) in checks.items():
    places = [(name, line) for name, text in files(*kinds, folders=folders) for line in check(name, text)]
    found[title] = len(places)
    limit = allowed.get(title, len(places))
    grown = len(places) > limit
    failed |= grown
    print(f"{len(places):6} of {limit:6}  {title}{'  GROWN' if grown else ''}")
    if "--list" in sys.argv:
        for name, line in places:
            print(f"           {name}:{line}")
if "--lower" in sys.argv or not baseline.exists():
    lowered = {title: min(count, allowed.get(title, count)) for title, count in found.items()}
    baseline.write_text(json.dumps(lowered, indent=2) + "\n")
if failed:
    print("hint: `Scripts/house.py --list` shows the places", file=sys.stderr)
sys.exit(failed and "--lower" not in sys.argv)
