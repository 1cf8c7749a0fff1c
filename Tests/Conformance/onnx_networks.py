"""Networks of other programs as ONNX files, as people export them, against onnxruntime.

Random weights. Each is run on one image and, where the file's batch of one can be any, on two; converted to the
native form and to ONNX again, and run from there. Answers agree within 1e-4 of the largest magnitude. One of each
kind, or with CONFORMANCE=all every one; names as arguments choose.
"""

import os
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import torch
import torch.nn as nn
import torch.nn.functional as F

import _peers
from _graft import graft, report

_peers.torchvision()
import timm  # noqa: E402  (after torchvision is there)
from _exported import clip, error, segformer, with_statistics  # noqa: E402

warnings.filterwarnings("ignore")
onnxruntime.set_default_logger_severity(3)
torch.manual_seed(0)
ALL = os.environ.get("CONFORMANCE") == "all"


def classifier(name, **settings):
    """A network of timm, its attention written out as older exporters have it."""
    def build():
        network = timm.create_model(name, pretrained=False, **settings)
        for module in network.modules():
            if hasattr(module, "fused_attn"):
                module.fused_attn = False
        return network

    return build


class Shuffled(nn.Module):
    """Super resolution by pixel shuffle, with a slope for each channel."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1), nn.PReLU(16), nn.Conv2d(16, 48, 3, 1, 1))

    def forward(self, x):
        return F.pixel_shuffle(self.body(x), 4) + F.interpolate(x, scale_factor=4, mode="nearest")


class Style(nn.Module):
    """Mirrored edges and instance normalisation."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = nn.Conv2d(3, 8, 9), nn.InstanceNorm2d(8, affine=True), nn.Conv2d(8, 3, 3)

    def forward(self, x):
        x = torch.relu(self.norm(self.first(F.pad(x, (4, 4, 4, 4), mode="reflect"))))
        return self.last(F.pad(x, (1, 1, 1, 1), mode="reflect"))


class Grouped(nn.Module):
    """Group normalisation, corners aligned, a softmax over the map."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 12, 3), nn.GroupNorm(3, 12)

    def forward(self, x):
        x = self.norm(self.first(x))
        x = F.interpolate(x, size=(40, 24), mode="bilinear", align_corners=True)
        return (x * x.flatten(2).softmax(2).reshape(x.shape)).sum((2, 3))


# Name: how it is built, the side of its input, whether CI runs it.
NETWORKS = {
    "vit": (classifier("vit_tiny_patch16_224", depth=3), 224, True),
    "dinov2": (classifier("vit_small_patch14_dinov2", depth=2, img_size=70), 70, False),
    "swin": (classifier("swin_tiny_patch4_window7_224", depths=(1, 2, 1, 1)), 224, True),
    "tiny_vit": (classifier("tiny_vit_5m_224"), 224, False),
    "efficientvit": (classifier("efficientvit_b0"), 224, True),
    "mobilevit": (classifier("mobilevit_xxs"), 256, False),
    "edgenext": (classifier("edgenext_xx_small"), 224, True),
    "efficientformer": (classifier("efficientformerv2_s0"), 224, False),
    "convnext": (classifier("convnext_atto"), 224, False),
    "resnest": (classifier("resnest14d"), 224, True),
    "fastvit": (classifier("fastvit_t8"), 224, False),
    # Their attention written out.
    "segformer": (segformer(attn_implementation="eager"), 128, True),
    "clip": (clip(attn_implementation="eager"), 64, True),
    "shuffled": (Shuffled, 32, True),
    "style": (Style, 48, True),
    "grouped": (Grouped, 48, True),
}


def peer(path, x):
    """onnxruntime's answer."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def check(name, build, side, home):
    network = with_statistics(build().eval())
    x = torch.rand(2, 3, side, side)
    path = home / f"{name}.onnx"
    with torch.no_grad():
        torch.onnx.export(network, (x[:1],), str(path), opset_version=17, dynamo=False)
    np.save(home / "one.npy", x[:1].numpy())
    np.save(home / "two.npy", x.numpy())
    expected = [peer(path, image[None].numpy()) for image in x]

    def run(model, inputs):
        graft("run", model, "--input", home / inputs, "--output", home / "y.npy")
        return np.load(home / "y.npy")

    report.within(f"{name}: one image", error(run(path, "one.npy"), expected[0]), 1e-4)
    report.within(f"{name}: two images", error(run(path, "two.npy"), np.concatenate(expected)), 1e-4)
    native, again = home / f"{name}.safetensors", home / f"{name}.again.onnx"
    graft("convert", path, "-o", native)
    report.within(f"{name}: native", error(run(native, "one.npy"), expected[0]), 1e-4)
    graft("convert", native, "-o", again)
    report.within(f"{name}: written as ONNX", error(peer(again, x.numpy()), np.concatenate(expected)), 1e-4)
    report.within(f"{name}: read again", error(run(again, "two.npy"), np.concatenate(expected)), 1e-4)


with tempfile.TemporaryDirectory(prefix="graft-onnx-") as folder:
    for name, (build, side, isInCI) in NETWORKS.items():
        chosen = name in sys.argv[1:] if sys.argv[1:] else ALL or isInCI
        if chosen:
            try:
                check(name, build, side, Path(folder))
            except RuntimeError as problem:
                report(False, name, str(problem)[-400:])

report.finish()
