"""What the conformance scripts share: getting at peers that need some care."""
import subprocess
import sys


def torchvision():
    """torchvision, also where it was built against another torch and lacks its own operators."""
    import torch

    try:
        import torchvision
    except RuntimeError:
        # The networks need none of the operators that fail to register.
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        for module in [m for m in sys.modules if m.startswith("torchvision")]:
            del sys.modules[module]
        import torchvision

        torchvision.library_kept_alive = library
    return torchvision


def scatter(model):
    """Gives a Keras model weights that hide no mistake."""
    import numpy as np

    random = np.random.default_rng(3)
    for v in model.weights:
        if len(v.shape) > 1:
            v.assign(random.normal(0, 1 / np.sqrt(np.prod(v.shape[:-1])), v.shape))
        elif "variance" in v.path:
            v.assign(random.uniform(0.5, 1.5, v.shape) if v.shape else v)
        elif v.dtype == "float32" and v.shape:
            v.assign(random.normal(0.1, 0.5, v.shape))


def each_alone(script, **parts):
    """Runs the part that the command line names, or each in a process of its own, and says how many failed: two frameworks
    do not share a process, for each brings an OpenMP runtime. What a part itself counts is the caller's."""
    if len(sys.argv) == 1:
        return sum(subprocess.run([sys.executable, script, name]).returncode != 0 for name in parts)
    parts[sys.argv[1]]()
    return 0
