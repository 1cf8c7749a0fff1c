"""Programs of torch.export (.pt2) against PyTorch.

Networks of torchvision, timm and transformers with random weights are exported, run on one image and, where the batch is
open, on two; converted to the native form and run from there. The archive of PyTorch before 2.8, whose weights are
pickled, answers the same. Answers agree within 1e-4 of the largest magnitude. One of each kind, or with CONFORMANCE=all every
one; names as arguments choose.
"""
import collections
import io
import json
import os
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import _peers
from _graft import complaint, graft, report

torchvision = _peers.torchvision()
import timm  # noqa: E402  (after torchvision is there)
from _exported import Answer, clip, error, segformer, with_statistics  # noqa: E402

warnings.filterwarnings("ignore")
ALL = os.environ.get("CONFORMANCE") == "all"
wanted = sys.argv[1:]


def vision(name, **settings):
    return lambda: torchvision.models.get_model(name, weights=None, **settings)


def dense(name):
    return lambda: Answer(vision(name, weights_backbone=None)(), lambda network, x: network(x)["out"])


def pictures(name, **settings):
    return lambda: timm.create_model(name, pretrained=False, **settings)


class Written(nn.Module):
    """Values that are written in place, borders, a transposed convolution, a group norm, uneven means."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8)
        self.back, self.slope = nn.ConvTranspose2d(8, 4, 3, 2, 1, 1), nn.PReLU(4)

    def forward(self, x):
        x = F.relu_(self.norm(self.first(F.pad(x, (1, 2, 0, 1), mode="replicate"))))
        x = self.slope(self.back(x)).clamp_(-1, 2)
        left, right = x.chunk(2, 1)
        x = torch.stack([left, right * 2], 0).sum(0) + left.roll(3, 2)
        return F.adaptive_avg_pool2d(x, (5, 3)).flatten(1).softmax(1)


# Name: how it is built, the side of its input, whether CI runs it.
NETWORKS = {
    "resnet18": (vision("resnet18"), 64, True),
    "vit": (pictures("vit_tiny_patch16_224", depth=3), 224, True),
    "written": (Written, 32, True),
    "clip": (clip(), 64, True),
    "mobilenet_v3_large": (vision("mobilenet_v3_large"), 96, False),
    "densenet121": (vision("densenet121"), 64, False),
    "convnext_tiny": (vision("convnext_tiny"), 64, False),
    "efficientnet_b0": (vision("efficientnet_b0"), 96, False),
    "shufflenet_v2_x0_5": (vision("shufflenet_v2_x0_5"), 64, False),
    "swin_t": (vision("swin_t"), 224, False),
    "vit_b_16": (vision("vit_b_16"), 224, False),
    "lraspp": (dense("lraspp_mobilenet_v3_large"), 128, False),
    "deeplabv3": (dense("deeplabv3_mobilenet_v3_large"), 128, False),
    "fcn": (dense("fcn_resnet50"), 128, False),
    "segformer": (segformer(), 128, False),
    **{name: (pictures(name), side, False) for name, side in (
        ("tiny_vit_5m_224", 224), ("swin_tiny_patch4_window7_224", 224), ("efficientvit_b0", 224),
        ("convnext_atto", 224), ("mobileone_s0", 224), ("fastvit_t8", 224), ("repvit_m0_9", 224),
        ("mobilenetv4_conv_small", 224), ("edgenext_xx_small", 224), ("mobilevit_xxs", 256), ("ghostnet_100", 224),
        ("hgnetv2_b0", 224), ("resnest14d", 224), ("dla34", 224), ("cspresnet50", 224), ("darknet53", 224),
        ("inception_v4", 299), ("eca_nfnet_l0", 224), ("regnety_002", 224), ("efficientformerv2_s0", 224))},
}


def run(model, x, home):
    np.save(home / "x.npy", x.numpy())
    graft("run", model, "--input", home / "x.npy", "--output", home / "y.npy")
    return np.load(home / "y.npy")


def old_layout(path, state, target):
    """The same program as PyTorch laid it out before 2.8: a graph, and weights that `torch.save` wrote."""
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(target, "w") as old:
        graph = next(name for name in archive.namelist() if name.endswith("models/model.json"))
        old.writestr("serialized_exported_program.json", archive.read(graph))
        buffer = io.BytesIO()
        torch.save(collections.OrderedDict(state), buffer)
        old.writestr("serialized_state_dict.pt", buffer.getvalue())


def check(name, build, side, home):
    torch.manual_seed(0)
    network = with_statistics(build().eval())
    x = torch.rand(2, 3, side, side)
    path, native, old = home / f"{name}.pt2", home / f"{name}.safetensors", home / f"{name}.old.pt2"
    with torch.no_grad():
        expected = network(x).numpy()
        program = torch.export.export(network, (x[:1],))
    torch.export.save(program, path)
    report.within(f"{name}: one image", error(run(path, x[:1], home), expected[:1]), 1e-4)
    report.within(f"{name}: two images", error(run(path, x, home), expected), 1e-4)
    graft("convert", path, "-o", native)
    report.within(f"{name}: native", error(run(native, x[:1], home), expected[:1]), 1e-4)
    if name != "resnet18":
        return
    old_layout(path, network.state_dict(), old)
    report.within(f"{name}: pickled weights", error(run(old, x[:1], home), expected[:1]), 1e-4)
    with torch.no_grad():
        program = torch.export.export(network, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.export.save(program, path)
    report.within(f"{name}: an open batch", error(run(path, x, home), expected), 1e-4)
    unknown(path, home)


def unknown(path, home):
    """An operator that graft does not know is refused by its name."""
    target = home / "unknown.pt2"
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(target, "w") as changed:
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith("models/model.json"):
                program = json.loads(content)
                program["graph_module"]["graph"]["nodes"][2]["target"] = "torch.ops.evil.run.default"
                content = json.dumps(program)
            changed.writestr(name, content)
    report("torch.ops.evil.run.default" in complaint("summary", target), "an unknown operator is refused by name")


with tempfile.TemporaryDirectory(prefix="graft-pt2-") as folder:
    for name, (build, side, is_in_ci) in NETWORKS.items():
        if name in wanted if wanted else ALL or is_in_ci:
            try:
                check(name, build, side, Path(folder))
            except RuntimeError as problem:
                report(False, name, str(problem)[-400:])

report.finish()
