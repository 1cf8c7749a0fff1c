"""Vision transformers against timm, torchvision and transformers: logits, features, names, sizes and exports.

The peers' networks get random weights under which every part matters. One network of each kind that timm has, the
smallest; with CONFORMANCE=all every one of them up to 100 M parameters.
"""
import json
import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch

from _graft import attempt, graft, report
from _peers import torchvision

warnings.simplefilter("ignore")
models = torchvision().models  # Before those who import it themselves.
import timm
import transformers
from timm.models.vision_transformer import checkpoint_filter_fn

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
ALL = os.environ.get("CONFORMANCE") == "all"
SHORT = [
    "test_vit", "test_vit2", "test_vit3", "deit_tiny_distilled_patch16_224", "deit3_small_patch16_224",
    "vit_xsmall_patch16_clip_224", "vit_medium_patch16_gap_240", "vit_wee_patch16_reg1_gap_256",
    "vit_small_patch14_reg4_dinov2",
]
torch.manual_seed(0)
home = Path(tempfile.mkdtemp(prefix="graft-vision-transformers-"))


def randomised(model):
    """Weights under which tokens, tables, scales and biases all change the answer."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 1 and name.endswith("weight"):
                weight.copy_(1 + 0.1 * torch.randn_like(weight))
            elif "lambda" in name or "gamma" in name:
                weight.copy_(0.3 + 0.1 * torch.randn_like(weight))
            elif weight.dim() > 1 and weight.shape[0] != 1:
                weight.copy_(torch.randn_like(weight) / weight[0].numel() ** 0.5)
            else:
                weight.copy_(0.1 * torch.randn_like(weight))
    return model.eval()


def agree(name, model, x, expected, *options):
    np.save(home / "x.npy", x.numpy())
    run = attempt("run", model, "--input", home / "x.npy", "--output", home / "y.npy", *options)
    if run.returncode:
        return report(False, name, run.stderr.strip()[-300:])
    found, expected = np.load(home / "y.npy"), expected.detach().numpy()
    if found.shape != expected.shape:
        return report(False, name, f"shape {found.shape}, expected {expected.shape}")
    report.within(name, np.abs(found - expected).max() / np.abs(expected).max(), 1e-4)


def timm_networks():
    names = SHORT
    if ALL:
        listed = json.loads(graft("models", "timm/vit_", "timm/deit", "--json"))
        names = sorted({row["architecture"].split("/")[1] for row in listed if row.get("architecture")} | set(SHORT))
    for name in names:
        with torch.device("meta"):
            size = sum(p.numel() for p in timm.create_model(name, pretrained=False).parameters())
        if size > 100e6:
            continue
        model = randomised(timm.create_model(name, pretrained=False))
        torch.save(model.state_dict(), home / "w.pth")
        graft("convert", home / "w.pth", "-o", home / "m.safetensors", "--architecture", f"timm/{name}")
        x = torch.randn(2, 3, *model.patch_embed.img_size)
        with torch.no_grad():
            tokens = model.forward_features(x)
            features = model.forward_head(tokens, pre_logits=True)
            logits = model(x) if model.num_classes else None
        agree(f"{name} features", home / "m.safetensors", x, features, "--until", "features")
        if logits is not None:
            agree(f"{name} logits", home / "m.safetensors", x, logits)


def timm_sizes():
    """Tables of positions for other sizes of image, by timm's rule; and ONNX."""
    model = randomised(timm.create_model("vit_tiny_patch16_224", num_classes=5))
    torch.save(model.state_dict(), home / "w.pth")
    for size in ((384, 384), (160, 240)):
        other = timm.create_model("vit_tiny_patch16_224", num_classes=5, img_size=size).eval()
        other.load_state_dict(checkpoint_filter_fn(model.state_dict(), other))
        graft("convert", home / "w.pth", "--architecture", "timm/vit_tiny_patch16_224", "-o", home / "m.safetensors",
              "--size", "%dx%d" % size)
        x = torch.randn(2, 3, *size)
        agree(f"vit_tiny_patch16_224 at {size[0]}x{size[1]}", home / "m.safetensors", x, other(x))
    run = attempt("convert", home / "w.pth", "--architecture", "timm/vit_tiny_patch16_224", "-o", home / "m.safetensors",
                  "--size", "100")
    report(run.returncode == 1 and "patches of 16" in run.stderr, "a size that is not whole patches is refused", run.stderr[-200:])
    import onnxruntime

    graft("convert", home / "w.pth", "--architecture", "timm/vit_tiny_patch16_224", "-o", home / "m.onnx")
    session = onnxruntime.InferenceSession(str(home / "m.onnx"))
    x = torch.randn(2, 3, 224, 224)
    found = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
    expected = model(x).detach().numpy()
    report.within("as ONNX in onnxruntime", np.abs(found - expected).max() / np.abs(expected).max(), 1e-4)
    agree("and back from ONNX", home / "m.onnx", x, torch.tensor(expected))


def hub_names():
    """transformers' files, read under its names and written so that it reads them."""
    sizes = dict(hidden_size=192, num_hidden_layers=12, num_attention_heads=3, intermediate_size=768, num_labels=7)
    x = torch.randn(1, 3, 224, 224)
    for title, model in (
        ("ViT", transformers.ViTForImageClassification(transformers.ViTConfig(**sizes, layer_norm_eps=1e-6))),
        ("DeiT", transformers.DeiTForImageClassificationWithTeacher(transformers.DeiTConfig(**sizes, layer_norm_eps=1e-6))),
    ):
        randomised(model).save_pretrained(home / title)
        with torch.no_grad():
            expected = model(x).logits
        agree(f"transformers' {title}", home / title / "model.safetensors", x, expected)
    # By way of timm and back.
    theirs = timm.create_model("vit_tiny_patch16_224", num_classes=7).eval()
    graft("convert", home / "ViT" / "model.safetensors", "--architecture", "timm/vit_tiny_patch16_224", "--to", "safetensors",
          "-o", home / "timm.safetensors")
    from safetensors.torch import load_file

    theirs.load_state_dict(load_file(home / "timm.safetensors"))
    model = transformers.ViTForImageClassification.from_pretrained(home / "ViT").eval()
    with torch.no_grad():
        expected = model(x).logits
        report.within("timm reads it under its own names", ((theirs(x) - expected).abs().max() / expected.abs().max()).item(), 1e-4)
    graft("convert", home / "timm.safetensors", "--architecture", "transformers/vit_tiny_patch16_224", "--to", "safetensors",
          "-o", home / "ViT" / "model.safetensors")
    back = transformers.ViTForImageClassification.from_pretrained(home / "ViT").eval()
    with torch.no_grad():
        report.within("and transformers again", ((back(x).logits - expected).abs().max() / expected.abs().max()).item(), 1e-4)
    dino = randomised(transformers.Dinov2Model(transformers.Dinov2Config(
        hidden_size=384, num_hidden_layers=12, num_attention_heads=6, image_size=518)))
    dino.save_pretrained(home / "dino")
    for size in ((224, 224), (196, 252)):
        graft("convert", home / "dino" / "model.safetensors", "-o", home / "m.safetensors", "--size", "%dx%d" % size)
        x = torch.randn(1, 3, *size)
        with torch.no_grad():
            tokens = dino(x).last_hidden_state
        agree(f"transformers' DINOv2 at {size[0]}x{size[1]}: tokens", home / "m.safetensors", x, tokens)
        agree(f"transformers' DINOv2 at {size[0]}x{size[1]}: class token", home / "m.safetensors", x, tokens[:, 0],
              "--until", "features")


def swin():
    """Windows: at the size of the weights, and at one whose maps windows do not divide."""
    model = randomised(timm.create_model("swin_tiny_patch4_window7_224", num_classes=11))
    torch.save(model.state_dict(), home / "w.pth")
    x = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        agree("timm/swin_tiny_patch4_window7_224 logits", home / "w.pth", x, model(x))
        agree("timm/swin_tiny_patch4_window7_224 features", home / "w.pth", x,
              model.forward_head(model.forward_features(x), pre_logits=True), "--until", "features")
    other = models.swin_t(weights=None, num_classes=11).eval()
    graft("convert", home / "w.pth", "--architecture", "torchvision/swin_t", "--to", "safetensors", "-o", home / "tv.safetensors")
    from safetensors.torch import load_file

    loaded = other.load_state_dict(load_file(home / "tv.safetensors"), strict=False)
    report(not loaded.unexpected_keys and all(k.endswith("relative_position_index") for k in loaded.missing_keys),
           "torchvision takes the names", str(loaded)[:200])
    for size in ((224, 224), (200, 296)):
        x = torch.randn(1, 3, *size)
        graft("convert", home / "tv.safetensors", "--architecture", "torchvision/swin_t", "-o", home / "m.safetensors",
              "--size", "%dx%d" % size)
        with torch.no_grad():
            agree(f"torchvision/swin_t at {size[0]}x{size[1]}", home / "m.safetensors", x, other(x))


def torchvision_networks():
    for name in ("vit_b_32", "vit_b_16") if ALL else ("vit_b_32",):
        model = randomised(getattr(models, name)(weights=None))
        torch.save(model.state_dict(), home / "w.pth")
        x = torch.randn(2, 3, 224, 224)
        with torch.no_grad():
            agree(f"torchvision/{name}", home / "w.pth", x, model(x))


for part in (timm_networks, timm_sizes, hub_names, swin, torchvision_networks):
    part()
report.finish()
