"""Names, shapes and parameter counts of every architecture against the publishers' own code."""
import json, os, subprocess, sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
from _networks import KERAS, KERAS_VARIANTS, TIMM, TORCHVISION, TORCHVISION_SHAPES

GRAFT = os.environ.get("GRAFT", ".build/release/graft")
failures = 0


def check(name, problem):
    global failures
    print(("FAIL " if problem else "ok   ") + name + (f": {problem}" if problem else ""), flush=True)
    failures += bool(problem)


def summary(*arguments):
    run = subprocess.run([GRAFT, "summary", *arguments, "--json"], capture_output=True, text=True)
    if run.returncode:
        return None, run.stderr.strip()
    return json.loads(run.stdout), None


def compare(name, arguments, expected):
    """expected: {parameter: logical shape}."""
    got, error = summary(*arguments)
    if error:
        return check(name, error)
    weights = {w["name"]: tuple(w["shape"]) for w in got["weights"]}
    # Keras 3 calls a depthwise kernel `kernel`, Keras 2 and graft `depthwise_kernel`.
    weights = {n if "/kernel" in n or n in expected else n.replace("/depthwise_kernel", "/kernel"): s
               for n, s in weights.items()}
    # A 1 x 1 convolution and a linear layer hold the same numbers.
    same = {n for n in expected if n in weights and product(expected[n]) == product(weights[n])
            and sorted(d for d in expected[n] if d > 1) == sorted(d for d in weights[n] if d > 1)}
    weights.update({n: expected[n] for n in same})
    missing = sorted(set(expected) - set(weights))
    extra = sorted(set(weights) - set(expected))
    shapes = [(n, expected[n], weights[n]) for n in expected if n in weights and expected[n] != weights[n]]
    total = sum(product(s) for s in expected.values())
    problem = None
    if missing or extra or shapes:
        problem = f"missing {missing[:3]}, unexpected {extra[:3]}, shapes {shapes[:3]}"
    elif got["total"] != total:
        problem = f"total {got['total']}, expected {total}"
    check(f"{name}: {len(weights)} weights, {got['total']:,} parameters", problem)
    return got


def product(shape):
    total = 1
    for extent in shape:
        total *= extent
    return total


def keras_weights(model):
    expected = {}
    for layer in model.layers:
        if hasattr(layer, "layers"):
            expected.update(keras_weights(layer))
            continue
        for variable in layer.weights:
            shape = tuple(variable.shape)
            kind = variable.path.split("/")[-1]
            if kind.startswith("variable"):
                kind = "gamma"  # Layer scale.
            if kind == "depthwise_kernel" and type(layer).__name__ == "SeparableConv2D":
                h, w, i, o = shape
                expected[f"{layer.name}/{kind}"] = (i * o, 1, h, w)
                continue
            if kind == "pointwise_kernel":
                expected[f"{layer.name}/{kind}"] = shape[::-1][:2] + shape[:2]
                continue
            if kind in ("kernel", "depthwise_kernel") and len(shape) == 4:
                h, w, i, o = shape
                shape = (i * o, 1, h, w) if type(layer).__name__ == "DepthwiseConv2D" else (o, i, h, w)
                kind = "kernel"
            elif kind == "kernel":
                shape = shape[::-1]
            expected[f"{layer.name}/{kind}"] = shape
    return expected


def keras_part():
    import keras
    for name, build, options, odd in KERAS + KERAS_VARIANTS:
        for top in (True, False):
            keras.backend.clear_session()
            options_here = dict(options)
            # Sizes as they are built with: padding before strided layers depends on them.
            if not top:
                options_here["input_shape"] = (*odd, 3)
            model = getattr(keras.applications, build)(weights=None, include_top=top, **options_here)
            arguments = [name] + ([] if top else ["--notop"])
            got = compare(f"keras {name}{'' if top else ' notop'}", arguments, keras_weights(model))
            if not got:
                continue
            depth = layers_with_weights(model)
            if got["depth"] != depth:
                check(f"keras {name} depth", f"{got['depth']} layers with weights, expected {depth}")
            if not top:
                height, width = model.output.shape[1:3] if len(model.output.shape) == 4 else (None, None)
                found, error = summary(name, "--notop", "--size", f"{odd[0]}x{odd[1]}")
                shape = None if error else tuple(found["output"][2:])
                check(f"keras {name} at {odd[0]} x {odd[1]}",
                      error or (None if shape in [(height, width), ()] else f"{shape}, expected {(height, width)}"))


def layers_with_weights(model):
    count = 0
    for layer in model.layers:
        # ConvNeXt's stem and downsampling are models of their own.
        count += layers_with_weights(layer) if hasattr(layer, "layers") else bool(layer.weights)
    return count


def torch_part():
    import torch
    from _peers import torchvision as load

    torchvision = load()
    # RegNet reckons its widths with tensors, which need numbers.
    parameters = torchvision.models.regnet.BlockParams
    reckon = parameters.from_init_params

    def on_cpu(**options):
        with torch.device("cpu"):
            return reckon(**options)

    parameters.from_init_params = on_cpu
    with torch.device("meta"):
        for name, options, _ in TORCHVISION + [(n, {}, None) for n in TORCHVISION_SHAPES]:
            state = getattr(torchvision.models, name)(weights=None, **options).state_dict()
            # Auxiliary classifiers are for training only.
            state = {n: t for n, t in state.items() if not n.startswith(("AuxLogits.", "aux1.", "aux2."))}
            compare(f"torchvision {name}", [f"torchvision/{name}"], torch_weights(state))
        import timm
        for name, options, _ in TIMM:
            state = timm.create_model(name, **options).state_dict()
            compare(f"timm {name}", [f"timm/{name}"], torch_weights(state))


def torch_weights(state):
    return {n: tuple(t.shape) for n, t in state.items() if not n.endswith("num_batches_tracked")}


parts = sys.argv[1:] or ["torch", "keras"]
if "torch" in parts:
    torch_part()
if "keras" in parts:
    keras_part()
sys.exit(failures > 0)
