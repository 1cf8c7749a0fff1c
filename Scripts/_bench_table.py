"""Makes docs/BENCHMARKS.md of what bench_inference.py measured: rows, aims, and where graft is short of them."""
from pathlib import Path

TITLES = {"resnet50": "ResNet50", "vgg16": "VGG16", "mobilenetv2": "MobileNetV2", "efficientnet-lite0": "EfficientNet-Lite0", "densenet121": "DenseNet121"}
ENGINES = ["onnxruntime", "OpenVINO", "PyTorch", "Keras"]
NOTES = Path(__file__).resolve().parent.parent / "docs" / "benchmark-notes.md"


def aim(entry):
    """What graft wants to be, as a ratio to the fastest peer (a step: to PyTorch)."""
    if entry["case"] == "start":
        return 10
    if entry["case"] == "step":
        return 1.3
    if entry["case"] == "features":
        return 1
    if entry["network"] == "resnet50":
        return 1.15 if entry["batch"] == 1 else 1.3
    return {"vgg16": 2.2, "mobilenetv2": 1.3}.get(entry["network"], 1.1)


def fastest(entry):
    """The peer with the smallest ratio: the one to beat. The aims of training are against PyTorch, those of cold starts against
    Python's frameworks, not its runtimes."""
    others = {e: v for e, v in entry["engines"].items() if e != "graft"}
    if entry["case"] == "step" and "PyTorch" in others:
        return "PyTorch"
    if entry["case"] == "start":
        others = {e: v for e, v in others.items() if e in ("PyTorch", "Keras")} or others
    return min(others, key=lambda e: others[e]["ratio"])


def name(entry):
    """A row's name in words."""
    title = TITLES[entry["network"]]
    plural = "thread" if entry["threads"] == 1 else "threads"
    what = {"forward": f"batch {entry['batch']}", "start": "cold start", "features": f"{entry['batch']} photos",
            "step": f"step, {entry['variant'].replace('-', ' ')}"}[entry["case"]]
    return f"{title}, {what}, {entry['threads']} {plural}"


def size(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(entries, first):
    """One table of a case."""
    seen = [e for e in ENGINES if any(e in x.get("engines", {}) or e in x.get("different", []) for x in entries)]
    head = [*first, "graft ms", *(f"{e} ms" for e in seen), "ratio to beat", "range", "CPU ratio", "aim", "memory MB: graft, peers", "differs by", "rounds", "load, foreign CPU"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(first) + "--:|" * (len(head) - len(first))]
    for entry in entries:
        cells = [TITLES[entry["network"]], *(str(entry[k]).replace("-", " ") for k in first.values() if k != "network")]
        if "failed" in entry:
            lines.append("| " + " | ".join(cells + [f"FAIL: {entry['failed'].replace('|', '/')}"] + [""] * (len(head) - len(cells) - 1)) + " |")
            continue
        engines, best = entry["engines"], fastest(entry)
        row = [size(engines["graft"]["ms"])]
        for e in seen:
            if e in engines:
                text = f"{size(engines[e]['ms'])} ({engines[e]['ratio']:.2f}x)"
                row.append(f"**{text}**" if e == best else text)
            else:
                row.append("FAIL: other numbers" if e in entry["different"] else "FAIL" if e in entry.get("lost", {}) else "")
        mark = "" if engines[best]["ratio"] >= aim(entry) else " ✗"
        row += [f"**{engines[best]['ratio']:.2f}x**", f"{engines[best]['low']:.2f}–{engines[best]['high']:.2f}", f"{engines[best]['cpu_ratio']:.2f}x", f"{aim(entry):g}x{mark}",
                f"{engines['graft']['peak'] / 1e6:.0f}, " + "/".join(f"{engines[e]['peak'] / 1e6:.0f}" for e in seen if e in engines),
                f"{max(entry['errors'].values()):.0e}", str(engines["graft"]["rounds"]), f"{entry['load']:.1f}, {entry['foreign']:.0%}"]
        lines.append("| " + " | ".join(cells + row) + " |")
    return "\n".join(lines)


def shortfall(entries):
    """Every row where graft is below its aim, the slower ones first."""
    measured = [x for x in entries if "engines" in x]
    below = sorted((x for x in measured if x["engines"][fastest(x)]["ratio"] < aim(x)), key=lambda x: x["engines"][fastest(x)]["ratio"] / aim(x))
    if not measured:
        return "Nothing was measured."
    lost = [x for x in measured if min(v["ratio"] for e, v in x["engines"].items() if e != "graft") < 1]
    lines = [f"graft is faster than every peer in {len(measured) - len(lost)} of {len(measured)} rows and reaches its aim in {len(measured) - len(below)}."]
    for entry in below:
        best = fastest(entry)
        ratio = entry["engines"][best]["ratio"]
        loss = f"**slower than {best}**" if ratio < 1 else f"against {best}"
        lines.append(f"- {name(entry)}: {ratio:.2f}x, aim {aim(entry):g}x, {loss} (by CPU time {entry['engines'][best]['cpu_ratio']:.2f}x)")
    return "\n".join(lines)


METHOD = """\
- Every engine computes the same network with the same weights, in single precision. The networks are torchvision's and timm's; graft
  converts them, and writes the ONNX file that onnxruntime and OpenVINO read and the file that Keras reads. Weights are published ones
  for EfficientNet-Lite0 and random ones with non-trivial statistics for the others; speed does not depend on them.
- Equal outputs first: the outputs for a cell's own batch and threads must agree with PyTorch's within {equal:g} of the largest, or there
  is no ratio; so must embeddings of photos and the probabilities of a cold start. Gradients differ from PyTorch's, and in length from
  Keras', by less than 0.001 of their length. "Differs by" is the largest difference of any engine.
- Each engine is a process of its own, new for each network and number of threads, pinned to as many processors as it has threads.
  They take turns of about {turn:g} s in rotating order, and starting a process is no part of a turn but in cold starts. A figure is the median
  of turns' medians; a ratio is the median of ratios pair by pair (a peer's turn by graft's of the same round): above 1, graft is
  faster. "Range" is the smallest and largest of those. The CPU ratio compares processor time: the steadier one on a busy machine.
- **Forward**: a batch of 224 × 224, input and output in memory. PyTorch: eager, channels_last, inference mode. Keras: `tf.function` on
  TensorFlow. OpenVINO: compiled for the shape, one stream, latency hint. onnxruntime: defaults. All spin or wait as they do by default.
- **Cold start**: from starting the process to the five best classes of one photo, files in the page cache.
- **Features**: a folder of photos to embeddings, decoding included; Python decodes with Pillow on as many threads as the network has.
  graft's figure is the whole command; the peers' leave out their imports, loading and first run.
- **Step**: forward, cross entropy and backward of a batch of 8, BatchNorm's statistics frozen, no update. The last stage's step starts
  from the frozen part's kept output, in PyTorch too; Keras is measured where all learns.
- Memory is the largest resident set (VmHWM) of the process. "Foreign CPU" is the share of the machine that others used meanwhile.
"""

CASES = [
    ("forward", "Forward", {"network": "network", "batch": "batch", "threads": "threads"}),
    ("start", "Cold start", {"network": "network", "threads": "threads"}),
    ("features", "Features from photos", {"network": "network", "photos": "batch", "threads": "threads"}),
    ("step", "A step of training", {"network": "network", "what learns": "variant", "threads": "threads"}),
]


def note(case):
    """What the bold figure of a table is."""
    bold = {"forward": "Bold: the fastest peer, the one to beat; ✗: short of the aim.",
            "start": "Bold: the faster of Python's two frameworks, which the aim of 10x is about; onnxruntime and OpenVINO only run networks.",
            "step": "Bold: PyTorch, which the aim is about."}
    return [bold[case], ""] if case in bold else []


def render(results):
    """The page, as Markdown."""
    entries, order = list(results["cells"].values()), list(TITLES)
    entries.sort(key=lambda e: (order.index(e["network"]), -e["threads"], e["batch"], e["variant"]))
    here = results.get("machine", {})
    versions = ", ".join(f"{n} {v}" for n, v in here.get("versions", {}).items())
    dates = sorted(e["date"] for e in entries) or ["never"]
    programs = sorted({e["graft"] for e in entries})
    parts = [
        "# Benchmarks", "",
        "Made by `make bench` (`Scripts/bench_inference.py`); do not edit by hand. A ratio above 1 says that graft is faster.", "",
        "| | |", "|---|---|",
        f"| machine | {here.get('processor')}, {here.get('cores')} cores, {here.get('memory_gb')} GB; {' '.join(here.get('flags', []))} |",
        f"| system | {here.get('system')}, Linux {here.get('kernel')}, Python {here.get('python')} |",
        f"| versions | {here.get('program')} (build {', '.join(programs)}); {versions} |",
        f"| measured | {dates[0]} to {dates[-1]}, `{results.get('command', '').strip()}` |",
        f"| photos | {results.get('photos', '')} |", "",
    ]
    if len(programs) > 1:
        parts += ["Rows come from more than one build of graft: some networks were measured anew.", ""]
    busy = [e for e in entries if e.get("foreign", 0) > 0.1]
    if busy:
        parts += [f"**The machine was not quiet**: in {len(busy)} of {len(entries)} rows others used more than a tenth of it. There the CPU ratio "
                  "is the figure to look at, and ratios of two threads are worth little.", ""]
    parts += ["## Where graft stands", "", shortfall(entries), ""]
    if NOTES.exists():
        parts += [NOTES.read_text().strip(), ""]
    for case, title, columns in CASES:
        chosen = [e for e in entries if e["case"] == case]
        if chosen:
            parts += [f"## {title}", "", *note(case), table(chosen, columns), ""]
    parts += ["## Method", "", METHOD.format(equal=1e-4, turn=0.4)]
    return "\n".join(parts)
