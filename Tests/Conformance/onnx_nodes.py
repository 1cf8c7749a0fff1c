"""ONNX's own node cases, each a model of one operator or a few, through one process of graft's harness.

A case passes where every output is the expected one within the case's tolerances. What is refused has to be refused with a
reason; a wrong answer, a crash or a hang fails. `--write docs/ONNX.md` writes the table of operators: passed of all. The
number that must pass is in `PASSED`, and may only grow. In CI a part of the cases is run, with CONFORMANCE=all every one;
names of operators choose, and print what is refused.
"""
import collections
import os
import select
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx.backend.test.case.node import collect_testcases

from _graft import GRAFT, report

PASSED = 1265
SECONDS = 60
HARNESS = os.environ.get("GRAFT_HARNESS", os.path.join(os.path.dirname(GRAFT), "graft-harness"))
# Operators that no vision network uses: strings, sequences, optionals, trees, signals, random numbers, optimiser steps, decoders.
LEFT_OUT = {"BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "StringNormalizer", "StringConcat", "StringSplit", "RegexFullMatch", "TfIdfVectorizer",
            "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceLength", "SequenceMap", "SplitToSequence", "ConcatFromSequence",
            "Optional", "OptionalGetElement", "OptionalHasElement", "TreeEnsemble", "LabelEncoder", "ArrayFeatureExtractor", "Binarizer", "BlackmanWindow", "HannWindow",
            "HammingWindow", "DFT", "STFT", "MelWeightMatrix", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial",
            "Adagrad", "Adam", "Momentum", "Gradient", "ImageDecoder"}
KNOWN = {np.dtype(t) for t in ("f4", "f2", "i8", "i4", "u1", "i1", "bool")}


def operator(case):
    """What a case is of: that of its first node."""
    return case.model.graph.node[0].op_type


def is_ours(case):
    """Whether graft's element types hold the case, and it is of an operator that vision networks use."""
    arrays = [a for inputs, outputs in case.data_sets for a in [*inputs, *outputs]]
    return operator(case) not in LEFT_OUT and all(isinstance(a, np.ndarray) and a.dtype in KNOWN for a in arrays)


class Harness:
    """A process that runs one model after another; another one where it died."""

    def __init__(self):
        self.process = None

    def run(self, *paths):
        """The answer to a line: `ok`, `refused …` or `died …`."""
        if self.process is None:
            self.process = subprocess.Popen([HARNESS, "onnx", "run"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.process.stdin.write(" ".join(map(str, paths)) + "\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], SECONDS)
        answer = self.process.stdout.readline().strip() if ready else ""
        if answer:
            return answer
        self.process.kill()
        said = self.process.communicate()[1].strip().splitlines()
        self.process = None
        return f"died {(said or ['no answer'])[0][:200]}"


def run(case, harness, folder):
    """(passed | refused | wrong | died, detail)"""
    at = lambda name: os.path.join(folder, name)
    onnx.save(case.model, at("m.onnx"))
    names = [i.name for i in case.model.graph.input]
    results = [o.name for o in case.model.graph.output]
    for inputs, outputs in case.data_sets:
        np.savez(at("i.npz"), **dict(zip(names, inputs)))
        answer = harness.run(at("m.onnx"), at("i.npz"), at("o.npz"))
        if answer != "ok":
            outcome, _, detail = answer.partition(" ")
            return outcome, detail
        found = np.load(at("o.npz"))
        for index, expected in enumerate(outputs):
            y = found[str(index)]
            if y.shape != expected.shape:
                return "wrong", f"{results[index]}: shape {y.shape}, expected {expected.shape}"
            if not np.allclose(y.astype("f8"), expected.astype("f8"), rtol=max(case.rtol, 1e-4), atol=max(case.atol, 1e-5), equal_nan=True):
                return "wrong", f"{results[index]}: differs by {np.abs(y.astype('f8') - expected.astype('f8')).max():.1e}"
    return "passed", ""


def table(found):
    """The page of operators."""
    rows = collections.defaultdict(collections.Counter)
    for case, (outcome, _) in found:
        rows[operator(case)][outcome] += 1
    passed = sum(row["passed"] for row in rows.values())
    lines = ["# ONNX operators", "",
             "Written by `Tests/Conformance/onnx_nodes.py --write docs/ONNX.md`: the node cases of the package `onnx` in the element types that graft has,",
             "without operators that no vision network uses (strings, sequences, trees, signals, random numbers, optimiser steps). What does not pass is refused by name.",
             "A case is of its first operator: those of `Constant` and `Shape` are operators written out in others.", "",
             f"{passed} of {len(found)} cases pass.", "", "| operator | passed | of |", "|---|--:|--:|"]
    lines += [f"| {name} | {row['passed']} | {sum(row.values())} |" for name, row in sorted(rows.items())]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    arguments = sys.argv[1:]
    target = arguments[arguments.index("--write") + 1] if "--write" in arguments else None
    chosen = {a for a in arguments if a != "--write" and a != target}
    cases = [c for c in collect_testcases() if is_ours(c) and (not chosen or operator(c) in chosen or c.name in chosen)]
    with tempfile.TemporaryDirectory() as folder:
        harness = Harness()
        found = [(case, run(case, harness, folder)) for case in cases]
    counts = collections.Counter(outcome for _, (outcome, _) in found)
    for case, (outcome, detail) in found:
        if outcome in ("wrong", "died"):
            report(False, f"{case.name}: {outcome}", detail)
        elif chosen or "GRAFT_SHOW" in os.environ and outcome == "refused":
            print(outcome, operator(case), case.name, detail)
    if target:
        Path(target).write_text(table(found))
    report(bool(chosen) or counts["passed"] >= PASSED, "node cases", f"{len(found)}: {dict(counts)}; at least {PASSED} must pass")
    report.finish()
