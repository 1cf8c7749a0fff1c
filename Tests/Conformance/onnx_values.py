"""ONNX networks with several inputs and outputs, and with values of any rank and type, against onnxruntime.

Random weights. Each is run from its ONNX file with inputs by name, to one .npz, to a folder and by `--select`; what has
sizes that no number decides is converted to the native form and run from there. Answers agree within 1e-4 of the largest
magnitude. One of each kind, or with CONFORMANCE=all every one; names as arguments choose.
"""

import os
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import torch.nn as nn
from onnx import TensorProto, helper

import _peers
from _graft import attempt, graft, report

_peers.torchvision()
import transformers as T  # noqa: E402  (after torchvision is there)

warnings.filterwarnings("ignore")
onnxruntime.set_default_logger_severity(3)
ALL = os.environ.get("CONFORMANCE") == "all"
EAGER = dict(attn_implementation="eager")


class Call(nn.Module):
    """A network whose answers are taken by a function of it and its inputs."""

    def __init__(self, network, function):
        super().__init__()
        self.network, self.function = network, function

    def forward(self, *inputs):
        return self.function(self.network, *inputs)


def boxes(network, x):
    """A detector's scores and boxes."""
    y = network(pixel_values=x)
    return y.logits, y.pred_boxes


def detr():
    backbone = T.ResNetConfig(depths=[1, 1, 1, 1], hidden_sizes=[32, 64, 128, 256], embedding_size=32, out_features=["stage4"])
    config = T.DetrConfig(use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, backbone_config=backbone, d_model=64,
                          encoder_layers=1, decoder_layers=1, encoder_ffn_dim=64, decoder_ffn_dim=64, num_queries=20, num_labels=5,
                          encoder_attention_heads=4, decoder_attention_heads=4, **EAGER)
    return Call(T.DetrForObjectDetection(config), boxes), (torch.rand(1, 3, 224, 224),)


def queries(model, config):
    """A detector of the RT-DETR family: top queries, sampling of grids, distributions of edges."""
    def build():
        backbone = T.RTDetrResNetConfig(depths=[1, 1, 1, 1], hidden_sizes=[64, 128, 256, 512], layer_type="bottleneck",
                                        out_features=["stage2", "stage3", "stage4"])
        settings = dict(backbone_config=backbone, encoder_in_channels=[128, 256, 512], decoder_layers=2, encoder_layers=1,
                        decoder_in_channels=[64, 64, 64], encoder_hidden_dim=64, d_model=64, encoder_ffn_dim=64, decoder_ffn_dim=64,
                        num_queries=50, num_labels=5, hidden_expansion=0.5, anchor_image_size=None, **EAGER)
        return Call(getattr(T, model)(getattr(T, config)(**settings)), boxes), (torch.rand(1, 3, 160, 160),)

    return build


def text():
    config = T.CLIPTextConfig(vocab_size=1000, eos_token_id=999, hidden_size=64, intermediate_size=128, num_hidden_layers=2,
                              num_attention_heads=4, projection_dim=32, **EAGER)
    return Call(T.CLIPTextModelWithProjection(config), lambda m, x: m(input_ids=x).text_embeds), (torch.randint(0, 998, (1, 20)),)


def sam():
    vision = T.SamVisionConfig(hidden_size=32, output_channels=32, num_hidden_layers=2, num_attention_heads=2, image_size=256, patch_size=16,
                               window_size=4, global_attn_indexes=[1], mlp_dim=64, num_pos_feats=16)
    prompt = T.SamPromptEncoderConfig(hidden_size=32, image_size=256, patch_size=16)
    decoder = T.SamMaskDecoderConfig(hidden_size=32, mlp_dim=64, iou_head_hidden_dim=32, num_attention_heads=2)
    config = T.SamConfig(vision_config=vision.to_dict(), prompt_encoder_config=prompt.to_dict(), mask_decoder_config=decoder.to_dict())
    config._attn_implementation = "eager"
    return T.SamModel(config)


def encoder():
    first = lambda e: e[0] if isinstance(e, (tuple, list)) else e
    return Call(sam(), lambda m, x: first(m.get_image_embeddings(x))), (torch.rand(1, 3, 256, 256),)


def decoder():
    def masks(network, embedding, points, labels):
        y = network(image_embeddings=embedding, input_points=points, input_labels=labels)
        return y.pred_masks, y.iou_scores

    return Call(sam(), masks), (torch.rand(1, 32, 16, 16), torch.rand(1, 1, 2, 2) * 200, torch.ones(1, 1, 2, dtype=torch.int64))


# Networks that are exported for one image and cannot be generalised to any number.
FIXED = {"dfine"}
# Name: how it is built with its inputs, whether CI runs it.
NETWORKS = {
    "detr": (detr, True), "rtdetr": (queries("RTDetrForObjectDetection", "RTDetrConfig"), False),
    "rtdetr_v2": (queries("RTDetrV2ForObjectDetection", "RTDetrV2Config"), False),
    "dfine": (queries("DFineForObjectDetection", "DFineConfig"), True), "clip_text": (text, True),
    "sam_encoder": (encoder, False), "sam_decoder": (decoder, True),
}


def error(found, expected):
    """The largest difference, as a share of the largest magnitude; shapes that differ are no answer."""
    if found.shape != expected.shape:
        return float("nan")
    return np.abs(found.astype("f8") - expected).max() / max(np.abs(expected).max(), 1e-12)


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def given(names, arrays, home):
    """The options that hand arrays in by name."""
    options = []
    for index, (name, array) in enumerate(zip(names, arrays)):
        np.save(home / f"i{index}.npy", array)
        options += ["--input", f"{name}={home / f'i{index}.npy'}"]
    return options


def check(name, build, home):
    torch.manual_seed(0)
    network, inputs = build()
    network.eval()
    path = home / f"{name}.onnx"
    with torch.no_grad():
        torch.onnx.export(network, inputs, str(path), opset_version=17, dynamo=False)
    peer = session(path)
    names, results = [i.name for i in peer.get_inputs()], [o.name for o in peer.get_outputs()]
    arrays = [t.numpy() for t in inputs]
    expected = peer.run(None, dict(zip(names, arrays)))
    options = given(names, arrays, home)
    graft("run", path, *options, "--output", home / "y.npz")
    found = np.load(home / "y.npz")
    for result, y in zip(results, expected):
        report.within(f"{name}: {result}", error(found[result], y), 1e-4)
    graft("run", path, *options, "--output", str(home / "answers") + "/")
    report(all(np.array_equal(np.load(home / "answers" / f"{r}.npy"), found[r]) for r in results), f"{name}: a folder of outputs")
    graft("run", path, *options, "--select", results[-1], "--output", home / "last.npy")
    report.within(f"{name}: --select {results[-1]}", error(np.load(home / "last.npy"), expected[-1]), 1e-4)
    native = home / f"{name}.safetensors"
    if name in FIXED:
        # What it writes at places of one sample holds for no other number of them.
        refused = attempt("convert", path, "-o", native)
        report(refused.returncode == 1 and "batch of one is fixed" in refused.stderr, f"{name}: its conversion is refused by the node's name", refused.stderr.strip()[:120])
        return
    graft("convert", path, "-o", native)
    taken = names if len(names) > 1 or arrays[0].ndim != 4 else ["input"]
    graft("run", native, *given(taken, arrays, home), "--output", home / "n.npz")
    again = np.load(home / "n.npz")
    for result, y in zip(results if len(results) > 1 else again.files, expected):
        report.within(f"{name}: native {result}", error(again[result], y), 1e-4)


def dependent(home):
    """Sizes that numbers decide: a threshold, a choice of boxes, a branch and a loop."""
    value = helper.make_tensor_value_info
    number = lambda name, array: helper.make_tensor(name, {"f": TensorProto.FLOAT, "i": TensorProto.INT64, "b": TensorProto.BOOL}[array.dtype.kind], array.shape, array.flatten().tolist())
    body = helper.make_graph(
        [helper.make_node("Add", ["sum", "sum"], ["next"]), helper.make_node("Identity", ["go"], ["on"])], "body",
        [value("i", TensorProto.INT64, []), value("go", TensorProto.BOOL, []), value("sum", TensorProto.FLOAT, None)],
        [value("on", TensorProto.BOOL, []), value("next", TensorProto.FLOAT, None)])
    then = helper.make_graph([helper.make_node("Neg", ["kept"], ["turned"])], "then", [], [value("turned", TensorProto.FLOAT, None)])
    other = helper.make_graph([helper.make_node("Identity", ["kept"], ["same"])], "else", [], [value("same", TensorProto.FLOAT, None)])
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["maps"], kernel_shape=[3, 3]),
        helper.make_node("ReduceMax", ["maps"], ["largest"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Greater", ["maps", "limit"], ["above"]),
        helper.make_node("NonZero", ["above"], ["places"]),
        helper.make_node("Transpose", ["places"], ["rows"], perm=[1, 0]),
        helper.make_node("GatherND", ["maps", "rows"], ["kept"]),
        helper.make_node("Shape", ["kept"], ["count"]),
        helper.make_node("ReduceMean", ["maps"], ["mean"], keepdims=0),
        helper.make_node("Greater", ["mean", "zero"], ["holds"]),
        helper.make_node("If", ["holds"], ["branch"], then_branch=then, else_branch=other),
        helper.make_node("Loop", ["three", "true", "branch"], ["grown"], body=body),
        helper.make_node("NonMaxSuppression", ["boxes", "scores", "most", "overlap"], ["chosen"]),
    ]
    random = np.random.default_rng(0)
    initial = {"w": random.normal(size=(4, 3, 3, 3)).astype("f4"), "limit": np.array(1.5, "f4"), "zero": np.array(0, "f4"),
               "three": np.array(3, "i8"), "true": np.array(True), "most": np.array(5, "i8"), "overlap": np.array(0.4, "f4")}
    graph = helper.make_graph(
        nodes, "dependent", [value("x", TensorProto.FLOAT, [1, 3, 12, 12]), value("boxes", TensorProto.FLOAT, [1, 30, 4]), value("scores", TensorProto.FLOAT, [1, 2, 30])],
        [value("grown", TensorProto.FLOAT, None), value("count", TensorProto.INT64, None), value("chosen", TensorProto.INT64, None)],
        [number(k, v) for k, v in initial.items()])
    path = home / "dependent.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 16)], ir_version=8), str(path))
    for seed in range(3):
        random = np.random.default_rng(seed)
        corner = random.uniform(0, 60, (1, 30, 2))
        arrays = [random.normal(size=(1, 3, 12, 12)).astype("f4"), np.concatenate([corner, corner + random.uniform(5, 40, (1, 30, 2))], 2).astype("f4"),
                  random.uniform(size=(1, 2, 30)).astype("f4")]
        expected = session(path).run(None, dict(zip(("x", "boxes", "scores"), arrays)))
        graft("run", path, *given(("x", "boxes", "scores"), arrays, home), "--output", home / "y.npz")
        found = np.load(home / "y.npz")
        report(np.array_equal(found["count"], expected[1]) and np.array_equal(found["chosen"], expected[2]),
               f"sizes by numbers {seed}", f"{expected[1][0]} numbers kept, {len(expected[2])} boxes")
        report.within(f"a branch and a loop {seed}", error(found["grown"], expected[0]), 1e-4)
    refused = attempt("convert", path, "-o", home / "d.safetensors", "--select", "count")
    report(refused.returncode == 1 and "places" in refused.stderr, "its conversion is refused by the node's name", refused.stderr.strip()[:120])


def refusals(home):
    """Inputs and outputs that a network does not have, and files that ask for too much."""
    path = home / "clip_text.onnx"
    np.save(home / "x.npy", np.zeros((1, 20), "i8"))
    said = attempt("run", path, "--input", f"image={home / 'x.npy'}", "--output", home / "y.npy").stderr
    report("`image`" in said and "hint" in said, "an unknown input is named", said.strip()[:120])
    np.save(home / "long.npy", np.zeros((1, 21), "i8"))
    said = attempt("run", path, "--input", home / "long.npy", "--output", home / "y.npy").stderr
    report("21" in said, "another size is named", said.strip()[:120])
    np.save(home / "f.npy", np.zeros((1, 20), "f4"))
    said = attempt("run", path, "--input", home / "f.npy", "--output", home / "y.npy").stderr
    report("I64" in said and "F32" in said, "another type is named", said.strip()[:120])
    said = attempt("run", path, "--input", home / "x.npy", "--output", home / "y.npy", "--select", "pooled").stderr
    report("`pooled`" in said, "an unknown output is named", said.strip()[:120])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="graft-values-") as folder:
        home = Path(folder)
        for name, (build, isInCI) in NETWORKS.items():
            if name in sys.argv[1:] if sys.argv[1:] else ALL or isInCI:
                try:
                    check(name, build, home)
                except RuntimeError as problem:
                    report(False, name, str(problem)[-400:])
        if not sys.argv[1:]:
            dependent(home)
            refusals(home)
    report.finish()
