"""Writes the small files of weights in Tests/Fixtures/formats with the libraries that own the formats.

Run from the repository's root in the environment that Scripts/peers.sh makes. The values are counted up
from 0 in steps of 1/4, so that every test knows them.
"""
import collections
import os
import pickle
import zipfile

import h5py
import numpy as np
import onnx
import torch
from safetensors.numpy import save_file

OUT = os.path.join(os.path.dirname(__file__), "formats")
os.makedirs(OUT, exist_ok=True)
at = lambda name: os.path.join(OUT, name)


def values(*shape, dtype=np.float32):
    return (np.arange(int(np.prod(shape))) / 4).reshape(shape).astype(dtype)


save_file({"a": values(2, 3), "b": values(4, dtype=np.float16), "empty": values(0, 2)},
          at("small.safetensors"), metadata={"author": "Grüße \"x\""})
np.save(at("small.npy"), values(2, 3))
np.save(at("fortran.npy"), np.asfortranarray(values(2, 3)))
np.save(at("big-endian.npy"), values(2, 3).astype(">f8"))
np.savez(at("small.npz"), a=values(2, 3), n=np.arange(3))
np.savez_compressed(at("deflated.npz"), a=values(20, 3))

state = collections.OrderedDict(
    [("conv.weight", torch.tensor(values(2, 3)).t()), ("conv.bias", torch.nn.Parameter(torch.tensor(values(3)).bfloat16())),
     ("steps", torch.tensor(7))])
torch.save({"state_dict": state, "epoch": 3}, at("zip.pth"))
torch.save(state, at("legacy.pth"), _use_new_zipfile_serialization=False)


class Attack:
    def __reduce__(self):
        return os.system, ("touch /tmp/graft-was-attacked",)


torch.save({"state_dict": state, "x": Attack()}, at("attack.pth"))
torch.save({"x": Attack()}, at("attack-legacy.pth"), _use_new_zipfile_serialization=False)

fixed = np.bytes_


def legacy(path, names):
    """What Keras 2 writes; `names` maps a layer to (weight name, array) pairs."""
    with h5py.File(path, "w") as f:
        f.attrs["layer_names"] = np.array([fixed(n) for n in names])
        f.attrs["keras_version"] = fixed("2.2.4")
        for layer, weights in names.items():
            g = f.create_group(layer)
            g.attrs["weight_names"] = np.array([fixed(n) for n, _ in weights]) if weights else []
            for name, array in weights:
                g.create_dataset(name, data=array)


legacy(at("legacy.h5"), {
    "input_1": [], "conv1_conv": [("conv1_conv/kernel:0", values(1, 1, 3, 2)), ("conv1_conv/bias:0", values(2))]})
legacy(at("keras1.h5"), {"fc1": [("fc1_W_1:0", values(3, 2)), ("fc1_b_1:0", values(2))]})
with h5py.File(at("chunked.h5"), "w") as f:
    f.create_dataset("deflated", data=values(8, 4), chunks=(4, 4), compression="gzip")
    f.create_dataset("big", data=values(3).astype(">f4"))
    f.create_dataset("flag", data=np.array([True, False]))
    f.create_dataset("half", data=values(3, dtype=np.float16))
    f.create_dataset("scalar", data=np.int64(7))
with h5py.File(at("links.h5"), "w") as f:
    f["away"] = h5py.ExternalLink("legacy.h5", "/conv1_conv")
with h5py.File(at("cycle.h5"), "w") as f:
    group = f.create_group("a")
    group["b"] = group["c"] = group
with h5py.File(at("small.weights.h5"), "w") as f:
    for path, name, arrays in [
        ("layers/conv2d/vars", "stem", [values(1, 1, 3, 2), values(2)]),
        ("layers/functional/vars", "base", []),
        ("layers/functional/layers/batch_normalization/vars", "bn", [values(2)] * 3),
        ("layers/functional/layers/depthwise_conv2d/vars", None, [values(1, 1, 2, 1)]),
        ("optimizer/vars", "adam", [values(1)]),
    ]:
        g = f.create_group(path)
        if name:
            g.attrs["name"] = name
        for i, array in enumerate(arrays):
            g.create_dataset(str(i), data=array)
with zipfile.ZipFile(at("small.keras"), "w") as z:
    z.writestr("metadata.json", '{"keras_version": "3.15.1"}')
    z.writestr("config.json", '{"class_name": "Functional"}')
    z.write(at("small.weights.h5"), "model.weights.h5")

helper = onnx.helper
value = lambda name: helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (1, 3, 4, 4))
onnx.save(helper.make_model(helper.make_graph(
    [helper.make_node("Conv", ["x", "w", "b"], ["y"])], "small", [value("x")], [value("y")],
    [onnx.numpy_helper.from_array(values(2, 3, 1, 1), "w"), helper.make_tensor("b", 1, (2,), values(2))])), at("small.onnx"))

# TensorFlow is slow to start: only where its fixtures are wanted.
import tensorflow as tf

module = tf.Module()
module.w, module.n = tf.Variable(values(2, 3), name="w"), tf.Variable(np.int64(7), name="n")
module.h = tf.Variable(tf.cast(values(4), tf.bfloat16), name="h")
tf.train.Checkpoint(module=module).write(at("small"))
with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    parts = tf.compat.v1.get_variable("emb", (4, 3), partitioner=tf.compat.v1.fixed_size_partitioner(2))
    session.run([part.assign(rows) for part, rows in zip(parts, np.split(values(4, 3), 2))])
    tf.compat.v1.train.Saver().save(session, at("parts"), write_meta_graph=False, latest_filename="unused")
os.remove(at("unused"))


class Product(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec((1, 3), tf.float32)])
    def __call__(self, x):
        return tf.matmul(x, tf.constant(values(3, 2)))


product = Product()
with open(at("small.tflite"), "wb") as f:
    f.write(tf.lite.TFLiteConverter.from_concrete_functions([product.__call__.get_concrete_function()], product).convert())


class Graph(torch.nn.Module):
    """A convolution, its normalisation and a head: what a graph needs to be run."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.BatchNorm2d(4)
        self.head = torch.nn.Linear(4, 2)

    def forward(self, x):
        return self.head(torch.relu(self.norm(self.conv(x))).mean((2, 3)))


def slim(name, old=False):
    """The archive without what nobody reads; `old` lays it out as PyTorch did before 2.8."""
    import io
    import json
    with zipfile.ZipFile(at("whole.pt2")) as archive:
        parts = {member: archive.read(member) for member in archive.namelist()}
    with zipfile.ZipFile(at(name), "w") as archive:
        for member, content in parts.items():
            if member.endswith("models/model.json"):
                program = json.loads(content)
                for node in program["graph_module"]["graph"]["nodes"]:
                    node["metadata"] = {"nn_module_stack": node["metadata"].get("nn_module_stack", "")}
                program["guards_code"], program["graph_module"]["module_call_graph"] = [], []
                content = json.dumps(program, separators=(",", ":")).encode()
                if old:
                    archive.writestr("serialized_exported_program.json", content)
                    buffer = io.BytesIO()
                    torch.save(collections.OrderedDict(graph.state_dict()), buffer)
                    archive.writestr("serialized_state_dict.pt", buffer.getvalue())
                    archive.writestr("version", "2.1")
            if not old and not member.endswith("sample_inputs/model.pt"):
                archive.writestr(member, content)


torch.manual_seed(0)
graph = Graph().eval()
with torch.no_grad():
    for parameter in [*graph.parameters(), graph.norm.running_mean]:
        parameter.copy_(torch.arange(parameter.numel()).reshape(parameter.shape) % 7 / 4 - .5)
torch.export.save(torch.export.export(graph, (torch.zeros(1, 3, 8, 8),)), at("whole.pt2"))
slim("graph.pt2")
slim("old.pt2", old=True)
os.remove(at("whole.pt2"))

# A graph of TensorFlow Lite: SAME padding, an activation that is fused, a reduction, a product.
kernel = tf.constant((np.arange(108).reshape(3, 3, 3, 4) % 7 / 4 - .5).astype("f4"))
matrix = tf.constant((np.arange(8).reshape(4, 2) % 7 / 4 - .5).astype("f4"))


@tf.function(input_signature=[tf.TensorSpec((1, 8, 8, 3), tf.float32, name="image")])
def network(image):
    return {"scores": tf.reduce_mean(tf.nn.relu6(tf.nn.conv2d(image, kernel, 2, "SAME")), (1, 2)) @ matrix}


converter = tf.lite.TFLiteConverter.from_concrete_functions([network.get_concrete_function()])
with open(at("graph.tflite"), "wb") as f:
    f.write(converter.convert())
