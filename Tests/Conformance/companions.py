"""Fine-tuned models as publishers leave them: labels and preprocessing beside the weights, against transformers and timm.

A folder of `save_pretrained`, one of timm's hub, and Teachable Machine's files: `graft predict` gives the probabilities and
the names that their own pipelines give on the same images.
"""
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from _graft import attempt, graft, report
from _peers import each_alone

folder = Path(tempfile.mkdtemp(prefix="graft-companions-"))
NAMES = ["ant", "bee", "cat; large", "dog", "emu"]


def images(count=4):
    """Smooth colours with some noise, wide and tall."""
    random = np.random.default_rng(5)
    paths = []
    for index in range(count):
        width, height = [(320, 240), (200, 300), (401, 299), (256, 256)][index % 4]
        small = Image.fromarray(random.integers(0, 255, (9, 11, 3), dtype=np.uint8))
        pixels = np.asarray(small.resize((width, height), Image.BICUBIC)).astype(int)
        pixels = (pixels + random.integers(-12, 12, pixels.shape)).clip(0, 255).astype(np.uint8)
        paths.append(folder / f"{index}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths


def liven(model, x):
    """Statistics of these inputs and a last layer whose answers differ."""
    import torch

    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    model.train()
    with torch.no_grad():
        model(x)
    model.eval()
    last = [m for m in model.modules() if isinstance(m, torch.nn.Linear)][-1]
    last.weight.data.normal_(0, 0.3)


def compare(label, model, paths, theirs, names, tolerance):
    """`graft predict` beside the peer's probabilities, by name."""
    found = json.loads(graft("predict", model, *paths, "--top", 99, "--json"))["photos"]
    worst = 0
    for one, expected in zip(found, theirs):
        mine = {p["label"]: p["probability"] for p in one["predictions"]}
        report(set(mine) == set(names), f"{label}: names", "" if set(mine) == set(names) else f"{sorted(mine)}")
        worst = max([worst] + [abs(mine.get(name, 9) - float(p)) for name, p in zip(names, expected)])
    report.within(f"{label}: probabilities", worst, tolerance)


def transformers_folders():
    from _peers import torchvision

    torchvision()
    import torch
    from transformers import AutoModelForImageClassification, ConvNextImageProcessorPil, ResNetConfig, ViTImageProcessorPil
    from transformers import BitImageProcessorPil, EfficientNetImageProcessorPil, MobileViTImageProcessorPil

    torch.manual_seed(0)
    paths = images()
    config = ResNetConfig(num_labels=5, id2label=dict(enumerate(NAMES)), label2id={n: i for i, n in enumerate(NAMES)})
    for label, processor in [
        ("convnext 224", ConvNextImageProcessorPil(size={"shortest_edge": 224}, crop_pct=0.875)),
        ("convnext 384", ConvNextImageProcessorPil(size={"shortest_edge": 384})),
        ("vit 192, half", ViTImageProcessorPil(size={"height": 192, "width": 192})),
        ("bit, crop", BitImageProcessorPil(size={"shortest_edge": 248}, crop_size={"height": 224, "width": 224})),
        ("efficientnet, twice", EfficientNetImageProcessorPil(size={"height": 160, "width": 160})),
        ("efficientnet, offset", EfficientNetImageProcessorPil(size={"height": 96, "width": 96}, rescale_offset=True, rescale_factor=1 / 127.5, include_top=False)),
        ("mobilevit, bgr", MobileViTImageProcessorPil(size={"shortest_edge": 200}, crop_size={"height": 192, "width": 192})),
        ("no mean", ViTImageProcessorPil(size={"height": 160, "width": 160}, do_normalize=False, resample=3)),
    ]:
        inputs = processor([Image.open(p) for p in paths], return_tensors="pt")["pixel_values"]
        model = AutoModelForImageClassification.from_config(config)
        liven(model, inputs)
        with torch.no_grad():
            theirs = model(inputs).logits.softmax(1).numpy()
        place = folder / label.replace(", ", "-").replace(" ", "-")
        model.save_pretrained(place)
        processor.save_pretrained(place)
        # Since Pillow 13 both passes of a resize are in the other order: squashed sides differ by a level.
        compare(f"transformers, {label}", place, paths, theirs, NAMES, 5e-4 if "height" in processor.size else 1e-4)
    run = attempt("predict", place, paths[0])
    report("config.json" in run.stderr and "preprocessor_config.json" in run.stderr, "it says what it took", run.stderr[:200])
    graft("convert", place, "-o", folder / "t.safetensors")
    compare("transformers, converted", folder / "t.safetensors", paths, theirs, NAMES, 5e-4)
    # The bare network leaves its own name off its tensors.
    model.resnet.save_pretrained(folder / "bare")
    np.save(folder / "x.npy", inputs.numpy())
    graft("convert", folder / "bare", "--notop", "-o", folder / "bare.safetensors")
    graft("run", folder / "bare.safetensors", "--input", folder / "x.npy", "--output", folder / "y.npy")
    with torch.no_grad():
        features = model.resnet(inputs).pooler_output.flatten(1).numpy()
    report.within("transformers, a bare ResNetModel", np.abs(np.load(folder / "y.npy") - features).max() / np.abs(features).max(), 2e-4)
    # What a caller says goes first.
    plain = json.loads(graft("predict", place, paths[0], "--labels", "a,b,c,d,e", "--preprocess", "torch", "--json"))
    names = {p["label"] for p in plain["photos"][0]["predictions"]}
    report(names == set("abcde"), "options go first", f"{sorted(names)}")


def timm_folders():
    from _peers import torchvision

    torchvision()
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    paths = images()
    for name, cfg in [
        ("efficientnet_b0", dict(input_size=(3, 224, 224), crop_pct=0.875, interpolation="bicubic", mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))),
        ("tf_efficientnet_b0", dict(input_size=(3, 240, 240), crop_pct=1.0, interpolation="bilinear", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))),
        ("tf_efficientnet_lite0", dict(input_size=(3, 192, 192), crop_pct=0.9, crop_mode="squash", interpolation="bicubic", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))),
    ]:
        model = timm.create_model(name, num_classes=5)
        transform = timm.data.create_transform(**timm.data.resolve_data_config(dict(cfg)), is_training=False)
        inputs = torch.stack([transform(Image.open(p)) for p in paths])
        liven(model, inputs)
        with torch.no_grad():
            theirs = model(inputs).softmax(1).numpy()
        place = folder / name
        place.mkdir()
        save_file(model.state_dict(), place / "model.safetensors")
        # As `timm.models.push_to_hf_hub` writes it.
        (place / "config.json").write_text(json.dumps({
            "architecture": name, "num_classes": 5, "num_features": 1280, "global_pool": "avg", "label_names": NAMES,
            "pretrained_cfg": {**cfg, "tag": "mine", "num_classes": 5, "custom_load": False}}))
        # Among tf_ networks and the others, the tensors have the same names: the configuration says which it is.
        compare(f"timm, {name}", place, paths, theirs, NAMES, 1e-4)


def teachable_machine():
    import keras

    keras.utils.set_random_seed(3)
    layers = keras.layers
    model = keras.Sequential([
        keras.Input((224, 224, 3)), layers.Conv2D(8, 5, strides=4, activation="relu"), layers.GlobalAveragePooling2D(),
        layers.Dense(3, activation="softmax", kernel_initializer=keras.initializers.RandomNormal(0, 3))])
    model.save(folder / "keras_model.h5")
    (folder / "labels.txt").write_text("0 Cat\n1 Big dog\n2 Bird\n")
    paths = images()
    # The program that the site hands out with the model.
    fitted = [ImageOps.fit(Image.open(p).convert("RGB"), (224, 224), Image.Resampling.LANCZOS) for p in paths]
    theirs = model.predict(np.stack([np.asarray(i).astype("f4") / 127.5 - 1 for i in fitted]), verbose=0)
    # It cuts before it resizes, graft after: fractions of a pixel.
    compare("Teachable Machine", folder / "keras_model.h5", paths, theirs, ["Cat", "Big dog", "Bird"], 5e-3)


if __name__ == "__main__":
    failed = each_alone(__file__, transformers=transformers_folders, timm=timm_folders, teachable=teachable_machine)
    if len(sys.argv) > 1:
        report.finish()
    sys.exit(failed > 0)
