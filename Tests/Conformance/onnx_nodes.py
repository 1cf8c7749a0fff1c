"""ONNX's own node cases, each a model of one operator or a few, through `graft run`.

A case passes where every output is the expected one within the case's tolerances. What is refused has to be refused with a
reason; a wrong answer, a crash or a hang fails. `--write docs/ONNX.md` writes the table of operators: passed of all. The
number that must pass is in `PASSED`, and may only grow.
"""
import collections
import concurrent.futures
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx.backend.test.case.node import collect_testcases

from _graft import GRAFT, report

PASSED = 51
SECONDS = 60
# Operators that no vision network uses: strings, sequences, optionals, trees, signals, random numbers, optimiser steps, decoders.
LEFT_OUT = {"BitShift", "BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor", "StringNormalizer", "StringConcat", "StringSplit", "RegexFullMatch", "TfIdfVectorizer",
            "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert", "SequenceLength", "SequenceMap", "SplitToSequence", "ConcatFromSequence",
            "Optional", "OptionalGetElement", "OptionalHasElement", "TreeEnsemble", "LabelEncoder", "ArrayFeatureExtractor", "Binarizer", "BlackmanWindow", "HannWindow",
            "HammingWindow", "DFT", "STFT", "MelWeightMatrix", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial",
            "Adagrad", "Adam", "Momentum", "Gradient", "ImageDecoder"}
KNOWN = {np.dtype(t) for t in ("f4", "f2", "i8", "i4", "u1", "i1", "bool")}


def operator(case):
    """What a case is of: its name's operator, or that of its first node."""
    return case.model.graph.node[0].op_type


def is_ours(case):
    """Whether graft's element types hold the case, and it is of an operator that vision networks use."""
    arrays = [a for inputs, outputs in case.data_sets for a in [*inputs, *outputs]]
    return operator(case) not in LEFT_OUT and all(isinstance(a, np.ndarray) and a.dtype in KNOWN for a in arrays)


def run(case):
    """(passed | refused | wrong | died, detail)"""
    with tempfile.TemporaryDirectory() as folder:
        at = lambda name: os.path.join(folder, name)
        onnx.save(case.model, at("m.onnx"))
        names, results = [i.name for i in case.model.graph.input], [o.name for o in case.model.graph.output]
        for inputs, outputs in case.data_sets:
            options = []
            for index, (name, value) in enumerate(zip(names, inputs)):
                np.save(at(f"i{index}.npy"), value)
                options += ["--input", f"{name}={at(f'i{index}.npy')}" if len(inputs) > 1 else at(f"i{index}.npy")]
            for index, name in enumerate(results):
                options += ["--output", f"{name}={at(f'o{index}.npy')}" if len(results) > 1 else at(f"o{index}.npy")]
            try:
                done = subprocess.run([GRAFT, "run", at("m.onnx"), *options], capture_output=True, text=True, timeout=SECONDS)
            except subprocess.TimeoutExpired:
                return "died", f"no answer in {SECONDS} s"
            if done.returncode in (1, 64) and "error:" in done.stderr.lower():
                return "refused", done.stderr.strip().splitlines()[0]
            if done.returncode:
                return "died", f"exit code {done.returncode}: {done.stderr.strip()[-200:]}"
            for index, expected in enumerate(outputs):
                found = np.load(at(f"o{index}.npy"))
                if found.shape != expected.shape:
                    return "wrong", f"{results[index]}: shape {found.shape}, expected {expected.shape}"
                if not np.allclose(found.astype("f8"), expected.astype("f8"), rtol=max(case.rtol, 1e-4), atol=max(case.atol, 1e-5), equal_nan=True):
                    return "wrong", f"{results[index]}: differs by {np.abs(found.astype('f8') - expected.astype('f8')).max():.1e}"
        return "passed", ""


def table(found):
    """The page of operators."""
    rows = collections.defaultdict(collections.Counter)
    for case, (outcome, _) in found:
        rows[operator(case)][outcome] += 1
    passed = sum(row["passed"] for row in rows.values())
    lines = ["# ONNX operators", "",
             "Written by `Tests/Conformance/onnx_nodes.py --write docs/ONNX.md`: the node cases of the package `onnx` in the element types that graft has,",
             "without operators that no vision network uses (strings, sequences, trees, signals, random numbers, optimiser steps). What does not pass is refused by name.", "",
             f"{passed} of {len(found)} cases pass.", "", "| operator | passed | of |", "|---|--:|--:|"]
    lines += [f"| {name} | {row['passed']} | {sum(row.values())} |" for name, row in sorted(rows.items())]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    arguments = sys.argv[1:]
    target = arguments[arguments.index("--write") + 1] if "--write" in arguments else None
    chosen = {a for a in arguments if a != "--write" and a != target}
    cases = [c for c in collect_testcases() if is_ours(c) and (not chosen or operator(c) in chosen)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(zip(cases, pool.map(run, cases)))
    counts = collections.Counter(outcome for _, (outcome, _) in found)
    for case, (outcome, detail) in found:
        if outcome in ("wrong", "died"):
            report(False, f"{case.name}: {outcome}", detail)
        elif chosen:
            print(outcome, case.name, detail)
    if target:
        Path(target).write_text(table(found))
    report(bool(chosen) or counts["passed"] >= PASSED, "node cases", f"{len(found)}: {dict(counts)}; at least {PASSED} must pass")
    report.finish()
