"""graft against every CPU runtime: the same networks, equal outputs proven first, ratios of medians pair by pair.

Run by `make bench`, or alone:
  GRAFT=path .venv/bin/python Scripts/bench_inference.py [--networks resnet50,vgg16,…] [--batches 1,8,32] [--threads 2,1]
      [--cases forward,start,features,step] [--budget SECONDS] [--quick] [--resume] [--write docs/BENCHMARKS.md]
Measures what is chosen and keeps it, with all that was measured before, in --results (.bench/results.json), from which the
table is made: after a run that was cut short, --resume goes on; --networks vgg16 measures one network anew; --render only
writes the table. Nothing here fails a build: what cannot be measured is a row that says why.
"""
import argparse
import datetime
import hashlib
import json
import os
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _machine
from _bench_table import TITLES, render

HERE = Path(__file__).resolve().parent
GRAFT = os.environ.get("GRAFT", ".build/release/graft")
PEERS = ("onnxruntime", "OpenVINO", "PyTorch", "Keras")
ARCHITECTURES = {
    "resnet50": "torchvision/resnet50", "vgg16": "torchvision/vgg16", "mobilenetv2": "torchvision/mobilenet_v2",
    "efficientnet-lite0": "timm/tf_efficientnet_lite0", "densenet121": "torchvision/densenet121",
}
START, FEATURES, STEP = ("resnet50", "mobilenetv2"), ("resnet50", "efficientnet-lite0"), ("resnet50", "mobilenetv2", "efficientnet-lite0")
EQUAL = 1e-4  # of the largest output
EQUAL_GRADIENTS = 1e-3  # of the gradients' length, and of the loss
TURN = 0.4  # seconds of one engine's turn


def say(text):
    print(text, file=sys.stderr, flush=True)


class Failed(Exception):
    """Why a cell has no figure."""


def environment(threads):
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    return dict(os.environ, CUDA_VISIBLE_DEVICES="", TF_CPP_MIN_LOG_LEVEL="3", KERAS_BACKEND="tensorflow", TF_NUM_INTEROP_THREADS="1",
                GRAFT_CACHE=str(settings.folder / "cache"), **{n: str(threads) for n in names})


def pinned(threads, command):
    """The command on as many processors as it has threads, so that none has more than the others."""
    usable = sorted(os.sched_getaffinity(0))
    if threads >= len(usable):
        return command
    return ["taskset", "-c", ",".join(map(str, usable[-threads:])), *command]


def whole(command, threads):
    """A whole process: its answer, and milliseconds, processor time and peak memory."""
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(pinned(threads, [str(c) for c in command]), stdout=subprocess.PIPE, stderr=errors, text=True,
                                   env=environment(threads))
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if status:
            errors.seek(0)
            said = [l for l in errors.read().strip().splitlines() if l and not l.startswith("hint")]
            raise Failed(f"{Path(str(command[0])).name}: {(said or [f'status {process.returncode}'])[-1][:200]}")
    return output, {"times": [(time.perf_counter() - began) * 1000], "cpu": (usage.ru_utime + usage.ru_stime) * 1000,
                    "peak": usage.ru_maxrss * 1024}


def graft(*arguments, threads):
    return whole([GRAFT, *arguments], threads)


class PeerFailed(Failed):
    """Why a peer goes on no more: it is left out, the others are measured."""

    def __init__(self, engine, reason):
        super().__init__(f"{engine}: {reason}")
        self.engine, self.reason = engine, reason


class Peer:
    """A peer's process, alive as long as its network is measured with these threads."""

    def __init__(self, engine, network, threads):
        self.engine = engine
        self.errors = settings.folder / f"{engine}.log"
        command = [sys.executable, HERE / "_bench_peer.py", "serve", engine, network, settings.folder / network, threads]
        self.process = subprocess.Popen(pinned(threads, [str(c) for c in command]), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=open(self.errors, "w"), text=True, bufsize=1, env=environment(threads))

    def answer(self, seconds=300):
        if not select.select([self.process.stdout], [], [], seconds)[0]:
            self.process.kill()
            raise PeerFailed(self.engine, f"no answer in {seconds} s")
        line = self.process.stdout.readline()
        if not line:
            said = self.errors.read_text().strip().splitlines()
            raise PeerFailed(self.engine, (said or ["it ended"])[-1][:200])
        return json.loads(line)

    def ask(self, **request):
        try:
            self.process.stdin.write(json.dumps(request, default=str) + "\n")
        except OSError:
            pass  # answer() says why
        return self.answer()

    def close(self):
        try:
            self.process.stdin.close()
            self.process.wait(20)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()


def peers(engines, network, threads):
    """Starts them all at once; those that fail are told and left out."""
    started, running = [Peer(e, network, threads) for e in engines], {}
    for peer in started:
        try:
            peer.answer()
            running[peer.engine] = peer
        except Failed as failure:
            say(f"  {peer.engine} left out: {failure}")
            peer.close()
    return running


class Load:
    """How busy the machine was with other things while something was measured."""

    def __init__(self, running=()):
        self.running, self.before = list(running), os.getloadavg()[0]
        self.start = time.time(), self.machine(), self.own()

    def machine(self):
        """Processor seconds that anything used, or the host took away."""
        fields = [int(n) for n in open("/proc/stat").readline().split()[1:]]
        return (sum(fields[:8]) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")

    def own(self):
        total = sum(os.times()[:4])
        for peer in self.running:
            try:
                fields = open(f"/proc/{peer.process.pid}/stat").read().rsplit(")", 1)[1].split()
                total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            except OSError:
                pass
        return total

    def end(self):
        elapsed = (time.time() - self.start[0]) * (os.cpu_count() or 1)
        foreign = (self.machine() - self.start[1]) - (self.own() - self.start[2])
        return {"load": round(self.before, 2), "foreign": round(max(0, foreign / elapsed), 3), "date": now()}


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def apart(one, other):
    out, _ = whole([sys.executable, HERE / "_bench_peer.py", "compare", one, other], 1)
    return float(out)


def judge(outputs, limit):
    """Largest difference of each engine from the reference: PyTorch, which owns the networks, else the first peer."""
    reference = "PyTorch" if "PyTorch" in outputs else next((e for e in outputs if e != "graft"), None)
    if reference is None:
        raise Failed("no peer to compare with")
    errors = {e: apart(path, outputs[reference]) for e, path in outputs.items() if e != reference}
    return reference, errors, [e for e, error in errors.items() if not error <= limit]


def rotate(turns, budget):
    """Runs turns (engine -> function of the number of runs) in rotating order until the budget is used; each engine's turns.

    The first turn of each says how long a run takes; it counts only where a run is so long that nothing is left to warm up.
    """
    first, cost = {}, {}
    for engine, turn in turns.items():
        began = time.perf_counter()
        first[engine] = turn(1)
        cost[engine] = time.perf_counter() - began
    alone = {e: statistics.median(answer["times"]) / 1000 for e, answer in first.items()}
    runs = {e: max(1, min(50, round(TURN / max(t, 1e-6)))) for e, t in alone.items()}
    round_cost = sum(cost[e] + (runs[e] - 1) * alone[e] for e in turns)
    slow = round_cost > budget
    rounds = 2 if slow else max(3, min(settings.repeats, int(budget / round_cost)))
    names, rows = list(turns), {e: [first[e]] if slow and min(alone.values()) > 0.5 else [] for e in turns}
    for number in range(rounds - len(rows[names[0]])):
        for at in range(len(names)):
            engine = names[(at + number) % len(names)]
            rows[engine].append(turns[engine](runs[engine]))
    return rows


def summed(rows):
    """Medians of each engine, and of ratios pair by pair: a peer's turn by graft's of the same round."""
    middle = lambda r: statistics.median(r["times"])
    answer = {}
    for engine, turns in rows.items():
        answer[engine] = {
            "ms": statistics.median(map(middle, turns)), "best": min(min(r["times"]) for r in turns),
            "cpu": statistics.median(r["cpu"] for r in turns), "peak": max(r["peak"] for r in turns), "rounds": len(turns)}
        if engine != "graft":
            ratios = sorted(middle(t) / middle(o) for t, o in zip(turns, rows["graft"]))
            answer[engine] |= {"ratio": statistics.median(ratios), "low": ratios[0], "high": ratios[-1],
                               "cpu_ratio": statistics.median(t["cpu"] / o["cpu"] for t, o in zip(turns, rows["graft"]))}
    return answer


def cell(case, network, batch, threads, measure, running=None, variant=""):
    """Measures one cell, keeps it, and says it in a line."""
    key = "/".join(map(str, filter(None, (case, network, batch, threads, variant))))
    if settings.resume and results["cells"].get(key, {}).get("graft") == results["graft"] and "engines" in results["cells"][key]:
        return
    entry = {"case": case, "network": network, "batch": batch, "threads": threads, "variant": variant, "graft": results["graft"]}
    load, lost = Load((running or {}).values()), {}
    while True:
        try:
            entry |= measure()
        except PeerFailed as failure:
            if running and failure.engine in running:
                running.pop(failure.engine).close()
                lost[failure.engine] = failure.reason
                say(f"  {failure.engine} left out: {failure.reason}")
                continue
            entry["failed"] = str(failure)
        except (Failed, OSError, LookupError, ValueError) as failure:
            entry["failed"] = f"{type(failure).__name__}: {failure}" if not isinstance(failure, Failed) else str(failure)
        break
    entry["lost"] = lost
    entry |= load.end()
    results["cells"][key] = entry
    keep()
    if "failed" in entry:
        say(f"  {key:<34} FAIL {entry['failed']}")
        return
    engines = entry["engines"]
    line = "  ".join(f"{e} {v['ms']:.1f} ({v['ratio']:.2f}x, CPU {v['cpu_ratio']:.2f}x)" for e, v in engines.items() if e != "graft")
    say(f"  {key:<34} graft {engines['graft']['ms']:.1f} ms  {line}  {engines['graft']['rounds']} rounds, foreign {entry['foreign']:.0%}"
        + "".join(f"  FAIL {e} differs by {entry['errors'][e]:.1e}" for e in entry["different"]))


def checked(outputs, limit, turns, budget):
    """Compares outputs, then measures those that agree."""
    reference, errors, different = judge(outputs, limit)
    if "graft" in different or set(different) >= set(turns) - {"graft", reference} and len(turns) > 2:
        raise Failed("outputs differ: " + ", ".join(f"{e} {errors[e]:.1e}" for e in different))
    rows = rotate({e: t for e, t in turns.items() if e not in different}, budget)
    return {"reference": reference, "errors": errors, "different": different, "limit": limit, "engines": summed(rows)}


def forward(network, threads):
    folder, model = settings.folder / network, settings.folder / network / "m.safetensors"
    running = peers(settings.peers, network, threads)
    try:
        for batch in settings.batches:
            def measure():
                outputs = {e: folder / f"{e}.npy" for e in ["graft", *running]}
                if settings.tune:
                    graft("bench", model, "--batch", batch, "--threads", threads, "--runs", 1, "--tune", threads=threads)
                graft("run", model, "--input", folder / f"x{batch}.npy", "--output", outputs["graft"], threads=threads)
                for e, peer in list(running.items()):
                    peer.ask(do="forward", batch=batch, runs=1, save=outputs[e])

                def ours(runs):
                    output, _ = graft("bench", model, "--batch", batch, "--threads", threads, "--runs", runs, "--json", "--brief", threads=threads)
                    answer = json.loads(output)
                    return {"times": [answer["median_ms"]], "cpu": answer["cpu_ms"], "peak": answer["peak_bytes"]}

                turns = {"graft": ours} | {e: (lambda runs, p=p: p.ask(do="forward", batch=batch, runs=runs)) for e, p in running.items()}
                return checked(outputs, EQUAL, turns, settings.budget)

            cell("forward", network, batch, threads, measure, running)
    finally:
        for peer in running.values():
            peer.close()


def start(network, threads):
    """From nothing to the answer on one photo: whole processes."""
    folder, photo = settings.folder / network, settings.photos[0]
    commands = {"graft": [GRAFT, "predict", folder / "m.safetensors", photo, "--json"]}
    for e in settings.peers:
        commands[e] = [sys.executable, HERE / "_bench_peer.py", "once", e, network, folder, threads, photo]

    def measure():
        answers = {}
        for e in list(commands):
            try:
                answer = json.loads(whole(commands[e], threads)[0])  # also warms the page cache
                if e == "graft":
                    best = answer["photos"][0]["predictions"]
                    answer = {"best": [p["index"] for p in best], "probabilities": [p["probability"] for p in best]}
                answers[e] = answer
            except Failed as failure:
                if e == "graft":
                    raise
                say(f"  {e} left out: {failure}")
                del commands[e]
        reference = "PyTorch" if "PyTorch" in answers else next(e for e in answers if e != "graft")
        truth = answers[reference]["probabilities"]
        errors = {e: max(abs(a - b) for a, b in zip(answers[e]["probabilities"], truth)) / truth[0] for e in answers if e != reference}
        different = [e for e in errors if errors[e] > EQUAL or answers[e]["best"][0] != answers[reference]["best"][0]]
        if "graft" in different:
            raise Failed(f"answers differ: {answers['graft']} and {answers[reference]}")
        turns = {e: (lambda runs, c=c: whole(c, threads)[1]) for e, c in commands.items() if e not in different}
        return {"reference": reference, "errors": errors, "different": different, "limit": EQUAL,
                "engines": summed(rotate(turns, settings.budget * 2))}

    cell("start", network, 1, threads, measure)


def features(network, threads):
    """A folder of photos to embeddings: graft's whole command; of the peers what comes after their imports and loading."""
    folder, count = settings.folder / network, len(settings.photos)
    running = peers(settings.peers, network, threads)
    try:
        def measure():
            outputs = {e: folder / f"{e}.npy" for e in ["graft", *running]}

            def ours(_):
                return graft("features", folder / "m.safetensors", settings.folder / "photos", "-o", outputs["graft"], threads=threads)[1]

            turns = {"graft": ours} | {
                e: (lambda _, e=e, p=p: p.ask(do="features", photos=settings.photos, save=outputs[e])) for e, p in running.items()}
            for turn in turns.values():
                turn(1)
            return checked(outputs, EQUAL, turns, settings.budget * 2)

        cell("features", network, count, threads, measure, running)
    finally:
        for peer in running.values():
            peer.close()


def step(network, threads):
    """Forward, loss and backward of a batch of 8, BatchNorm's statistics frozen: of all, and of the last stage."""
    folder = settings.folder / network
    for variant, extra in (("all", []), ("last stage", ["--unfreeze", 1])):
        # Keras' functional models are not cut at a stage; there it would compute the frozen part too.
        running = peers([e for e in settings.peers if e in (("PyTorch", "Keras") if variant == "all" else ("PyTorch",))], network, threads)
        try:
            def measure():
                slopes = folder / "g.safetensors"
                graft("gradients", folder / "m.safetensors", "--input", folder / "x8.npy", "--labels", folder / "y8.npy", "-o", slopes,
                      *extra, threads=threads)
                errors = {}
                for e, peer in list(running.items()):
                    errors[e] = peer.ask(do="step", batch=8, runs=1, gradients=slopes)["apart"]
                different = [e for e, error in errors.items() if not error <= EQUAL_GRADIENTS]
                if not running or len(different) == len(running):
                    raise Failed("gradients differ: " + ", ".join(f"{e} {errors[e]:.1e}" for e in different))

                def ours(runs):
                    answer = json.loads(graft("bench", folder / "m.safetensors", "--train", "--batch", 8, "--threads", threads,
                                              "--runs", runs, "--json", "--brief", *extra, threads=threads)[0])
                    return {"times": [answer["median_ms"]], "cpu": answer["cpu_ms"], "peak": answer["peak_bytes"]}

                turns = {"graft": ours} | {e: (lambda runs, p=p: p.ask(do="step", batch=8, runs=runs, gradients=slopes))
                                           for e, p in running.items() if e not in different}
                return {"reference": "graft", "errors": errors, "different": different, "limit": EQUAL_GRADIENTS,
                        "engines": summed(rotate(turns, settings.budget))}

            cell("step", network, 8, threads, measure, running, variant.replace(" ", "-"))
        finally:
            for peer in running.values():
                peer.close()


def make(network):
    """The network in every form that is measured, from weights as its publisher names them."""
    folder = settings.folder / network
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        source = whole([sys.executable, HERE / "_bench_peer.py", "make", network, folder], 2)[0].strip()
        graft("convert", source, "--architecture", ARCHITECTURES[network], "-o", folder / "m.safetensors", threads=2)
        for form, name in (("onnx", "onnx"), ("keras", "keras")):
            graft("convert", folder / "m.safetensors", "--to", form, "-o", folder / f"m.{name}", threads=2)
            graft("convert", folder / "m.safetensors", "--to", form, "--notop", "-o", folder / f"f.{name}", threads=2)
        cut = "import numpy as np, sys\nf, *n = sys.argv[1:]\nfor b in map(int, n):\n    np.save(f'{f}/x{b}.npy', np.load(f + '/x.npy')[:b])\n    np.save(f'{f}/y{b}.npy', np.load(f + '/y.npy')[:b])"
        whole([sys.executable, "-c", cut, folder, *sorted({8, *settings.batches})], 1)
        (folder / "w.safetensors").unlink(missing_ok=True)
    except Failed as failure:
        say(f"  {network} could not be made: {failure}")
        return False
    return True


def photos(count):
    """Photos to embed: $PHOTOS, else those of the tests beside the project, else drawn ones."""
    folder = settings.folder / "photos"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    beside = HERE.parent.parent / "shared/data/clothing/test"
    root = Path(os.environ["PHOTOS"]) if os.environ.get("PHOTOS") else beside if beside.is_dir() else None
    if root is None:
        root = settings.folder / "drawn"
        shutil.rmtree(root, ignore_errors=True)
        graft("draw", root, "--classes", 4, "--count", (count + 3) // 4, "--size", 400, threads=2)
        results["photos"] = "pictures that graft draws, 400 × 400 ($PHOTOS was not set)"
    else:
        results["photos"] = "photos of `$PHOTOS`" if os.environ.get("PHOTOS") else "photos of clothing (CC0), shorter side 240"
    found = sorted(p for p in root.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    found = found[:: max(1, len(found) // count)][:count]
    for number, path in enumerate(found):
        shutil.copy(path, folder / f"{number:04}{path.suffix.lower()}")
    return sorted(str(p) for p in folder.iterdir())


def keep():
    """Replaces the file of results as a whole, so that a run that is cut short leaves a good one."""
    draft = settings.results.with_suffix(".tmp")
    draft.write_text(json.dumps(results, indent=1))
    draft.replace(settings.results)


def arguments():
    words = lambda text: [w for w in text.split(",") if w]
    numbers = lambda text: [int(w) for w in words(text)]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=words)
    parser.add_argument("--batches", type=numbers)
    parser.add_argument("--threads", type=numbers)
    parser.add_argument("--cases", type=words)
    parser.add_argument("--peers", type=words, default=list(PEERS), help="some of " + ", ".join(PEERS))
    parser.add_argument("--budget", type=float, help="seconds of measuring for each cell of the table")
    parser.add_argument("--repeats", type=int, default=9, help="at most so many rounds a cell (9)")
    parser.add_argument("--photos", type=int, help="how many photos to embed")
    parser.add_argument("--quick", action="store_true", help="two networks, batches 1 and 8, about 3 minutes")
    parser.add_argument("--tune", action="store_true", help="let graft measure its kernels for each network first (`graft bench --tune`)")
    parser.add_argument("--resume", action="store_true", help="keep what this program measured in a run before")
    parser.add_argument("--render", action="store_true", help="measure nothing: make the table of what was measured")
    parser.add_argument("--write", type=Path, help="where the table goes; stdout without")
    parser.add_argument("--folder", type=Path, default=HERE.parent / ".bench", help="where models and results are kept (3 GB)")
    parser.add_argument("--results", type=Path)
    s = parser.parse_args()
    s.folder = s.folder.resolve()
    s.results = s.results or s.folder / ("quick.json" if s.quick else "results.json")
    usable = len(os.sched_getaffinity(0))
    s.networks = s.networks or (["resnet50", "mobilenetv2"] if s.quick else list(ARCHITECTURES))
    s.batches = sorted(s.batches or ([1, 8] if s.quick else [1, 8, 32]))  # ascending: memory that a peer keeps is then its own batch's
    s.threads = s.threads or sorted({1, min(2, usable)}, reverse=True)
    s.cases = s.cases or ["forward", "start", "features", "step"]
    s.budget = s.budget or (2.5 if s.quick else 7)
    s.count = s.photos or (32 if s.quick else 96)
    for given, known, what in ((s.networks, ARCHITECTURES, "network"), (s.cases, ("forward", "start", "features", "step"), "case"), (s.peers, PEERS, "peer")):
        for name in given:
            if name not in known:
                parser.error(f"no {what} `{name}`; there are {', '.join(known)}")
    if max(s.batches) > 32 or min(s.batches) < 1:
        parser.error("batches are 1 to 32")
    return s


settings = arguments()
settings.folder.mkdir(parents=True, exist_ok=True)
here = _machine.machine(GRAFT)
results = {"cells": {}}
if settings.results.exists():
    before = json.loads(settings.results.read_text())
    if before.get("machine", {}).get("processor") == here["processor"] and before["machine"]["cores"] == here["cores"]:
        results = before
    else:
        say("what was measured before was on another machine: starting anew")
if not settings.render:
    results |= {"machine": here, "command": "Scripts/bench_inference.py " + " ".join(sys.argv[1:])}
    results["graft"] = hashlib.sha256(Path(GRAFT).read_bytes()).hexdigest()[:12]
    began = time.time()
    say(_machine.line(GRAFT))
    settings.peers = [e for e in settings.peers if e in here["versions"] or say(f"{e} is not installed: left out")]
    settings.photos = photos(settings.count)
    for network in settings.networks:
        say(f"{TITLES[network]} ({time.time() - began:.0f} s)")
        if not make(network):
            continue
        top = max(settings.threads)
        for case, run, chosen in (("forward", forward, settings.networks), ("start", start, START), ("features", features, FEATURES), ("step", step, STEP)):
            if case in settings.cases and network in chosen:
                for threads in settings.threads if case == "forward" else [top]:
                    run(network, threads)
        shutil.rmtree(settings.folder / network, ignore_errors=True)
    results["minutes"] = round((time.time() - began) / 60, 1)
    keep()
table = render(results)
if settings.write:
    settings.write.write_text(table)
    say(f"wrote {settings.write}")
else:
    print(table)
