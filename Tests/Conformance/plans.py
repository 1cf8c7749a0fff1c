"""No step of any built-in network, forward or backward, runs on oneDNN's reference code.

Reference code (`ref:any`) is what oneDNN falls back to where an operation is described in a way that it has
no kernel for: right, and hundreds of times slower. Plans are made for AVX2, whatever this machine has.
One network of each family, or with CONFORMANCE=all every one; names as arguments choose.
"""
import collections
import json
import os
import sys

os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"
from _graft import graft
from _networks import KERAS, KERAS_VARIANTS, ROWS, TIMM, TORCHVISION

ALL = os.environ.get("CONFORMANCE") == "all"
names = [row[0] for row in KERAS + KERAS_VARIANTS]
names += [f"torchvision/{row[0]}" for row in TORCHVISION] + [f"timm/{row[0]}" for row in TIMM]
names = [n for n in names if (n in sys.argv[1:] if len(sys.argv) > 1 else ALL or n in ROWS)]
failures = 0
for name in names:
    # VGG's linear layers want their size; Inception's map must outlast its pools.
    side = "224" if "vgg" in name else "107" if "inception" in name else "65"
    for mode in [[], ["--train"]]:
        label = f"{name} {'backward' if mode else 'forward'}"
        try:
            answer = json.loads(graft("bench", name, "--untrained", "--size", side, "--runs", "1", "--json", *mode))
        except RuntimeError as error:
            failures += 1
            print(f"FAIL {label}: {error}", flush=True)
            continue
        steps = collections.Counter(step["algorithm"] for step in answer["plan"])
        slow = [f"{step['node']} {step['algorithm']}" for step in answer["plan"] if step["algorithm"].startswith("ref")]
        wrong = bool(slow) or len(answer["plan"]) < 5
        failures += wrong
        print(f"{'FAIL' if wrong else 'ok  '} {label}: {len(answer['plan'])} steps, {len(steps)} kinds of code"
              + (f"; {len(slow)} on reference code: {slow[:4]}" if slow else ""), flush=True)
print(f"plans: {len(names)} networks, {failures} failed")
sys.exit(1 if failures or not names else 0)
