"""What the formats' own libraries list in a file, `graft inspect --json` lists too, numbers included.

Sharded files, TensorFlow checkpoints and SavedModels, TFLite, ONNX, every way in which HDF5 stores numbers and text.
Run by `make conformance` with GRAFT=path of the program.
"""
import collections
import hashlib
import json
import os
import tempfile
import zipfile

import warnings

warnings.simplefilter("ignore")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import h5py
import huggingface_hub
import keras
import ml_dtypes
import numpy as np
import onnx
import safetensors
import safetensors.numpy
import safetensors.torch
import tensorflow as tf
import torch

from _graft import attempt, report, watched

CODES = {"bool": "BOOL", "uint8": "U8", "int8": "I8", "int16": "I16", "uint16": "U16", "float16": "F16",
         "bfloat16": "BF16", "int32": "I32", "uint32": "U32", "float32": "F32", "float64": "F64", "int64": "I64",
         "uint64": "U64", "complex64": "C64", "float8_e5m2": "F8_E5M2", "float8_e4m3fn": "F8_E4M3",
         "float8_e8m0fnu": "F8_E8M0"}


def array(value):
    """A tensor of any library as NumPy has it."""
    if isinstance(value, torch.Tensor):
        name = str(value.dtype).removeprefix("torch.")
        if name in ("bfloat16", "float8_e5m2", "float8_e4m3fn", "float8_e8m0fnu"):
            bits = value.contiguous().view(torch.uint16 if name == "bfloat16" else torch.uint8).numpy()
            return bits.view(getattr(ml_dtypes, name))
        return value.contiguous().numpy()
    return np.asarray(value)


def row(value):
    value = array(value)
    little = value.astype(value.dtype.newbyteorder("<"))
    return CODES[little.dtype.name], list(value.shape), hashlib.sha256(np.ascontiguousarray(little).tobytes()).hexdigest()


def check(label, path, expected, *, ordered=False, kind=None):
    """`expected`: name -> tensor of the library that owns the format."""
    run = attempt("inspect", path, "--json", "--digest")
    if run.returncode:
        return report(False, label, run.stderr.strip()[-300:])
    answer = json.loads(run.stdout)
    found = {t["name"]: (t["dtype"], t["shape"], t["sha256"]) for t in answer["tensors"]}
    wanted = {name: row(value) for name, value in expected.items()}
    bad = [k for k in wanted.keys() | found.keys() if wanted.get(k) != found.get(k)]
    good = not bad and (not ordered or list(found) == list(wanted)) and kind in (None, answer["format"])
    report(good, label, f"{len(found)} tensors" if good else f"{answer['format']} {[(k, wanted.get(k), found.get(k)) for k in bad[:2]]}")


random = np.random.default_rng(0)
SHAPES = {"scalar": (), "empty": (0, 3), "vector": (5,), "matrix": (3, 4), "five": (1, 2, 3, 2, 2)}


def numbers(dtype, shape):
    return random.integers(0, 100, shape).astype(dtype)


def torch_states():
    state = collections.OrderedDict()
    for name in CODES:
        for shape_name, shape in SHAPES.items():
            values = torch.from_numpy(np.asarray(random.integers(1, 100, shape)).astype("f4").reshape(shape))
            state[f"{name}.{shape_name}"] = values.to(getattr(torch, name))
    return state


def check_torch(at):
    state = torch_states()
    plain = {k: v for k, v in state.items() if not k.startswith("complex64")}
    safetensors.torch.save_file(plain, at("all.safetensors"), metadata={"made by": "conformance"})
    check("safetensors, every type and shape", at("all.safetensors"), safetensors.torch.load_file(at("all.safetensors")))
    torch.save(state, at("all.pth"))
    check("torch, every type and shape", at("all.pth"), torch.load(at("all.pth"), weights_only=True), ordered=True)
    base = torch.arange(120, dtype=torch.float32)
    views = {"whole": base, "shared": base[7:31].view(4, 6), "strided": base.view(10, 12)[::3, 1::2],
             "turned": base.view(2, 3, 4, 5).permute(3, 1, 0, 2), "repeated": base[:3].expand(4, 3),
             "bits": base.bfloat16().view(8, 15).t(), "empty": base[:0], "one": base[5]}
    for zipped in [True, False]:
        torch.save(views, at("views.pth"), _use_new_zipfile_serialization=zipped)
        check(f"torch, strided and shared storages, zip={zipped}", at("views.pth"), torch.load(at("views.pth")))
    weights = {"conv.weight": torch.randn(4, 3, 3, 3), "conv.bias": torch.randn(4)}
    for key in ["state_dict", "model", "model_state_dict", "model_ema"]:
        checkpoint = {"epoch": 3, "arch": "x", key: weights, "optimizer": {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]}}
        torch.save(checkpoint, at("nested.pth"))
        check(f"torch, weights under `{key}`", at("nested.pth"), weights)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    torch.save(model.state_dict(), at("module.pth"))
    check("torch, a module's state_dict", at("module.pth"), model.state_dict(), ordered=True)
    torch.save(model, at("whole.pth"))
    run = attempt("inspect", at("whole.pth"))
    report(run.returncode == 0 and "torch.nn.modules.container.Sequential" in run.stderr, "torch, a whole model is read, and its class named")
    check("torch, the tensors of a whole model", at("whole.pth"), model.state_dict())
    # Shards, as huggingface_hub writes them.
    big = {f"layer.{i}.weight": torch.randn(10, 10, dtype=torch.bfloat16) for i in range(9)}
    for safe in [True, False]:
        folder = at(f"sharded-{safe}")
        os.makedirs(folder)
        huggingface_hub.save_torch_state_dict(big, folder, max_shard_size=500, safe_serialization=safe)
        index = next(n for n in os.listdir(folder) if n.endswith(".index.json"))
        check(f"shards of {'safetensors' if safe else '.bin'}, by index", os.path.join(folder, index), big)
        check(f"shards of {'safetensors' if safe else '.bin'}, by folder", folder, big)
    folder = at("lies")
    os.makedirs(folder)
    for label, shard in {"up": "../all.safetensors", "absolute": at("all.safetensors"), "missing": "none.safetensors", "itself": "m.safetensors.index.json"}.items():
        with open(os.path.join(folder, "m.safetensors.index.json"), "w") as f:
            json.dump({"weight_map": {"x": shard}}, f)
        run = attempt("inspect", folder)
        report(run.returncode == 1 and "error:" in run.stderr, f"an index that lies is refused: {label}")


def check_tensorflow(at):
    model = keras.Sequential([keras.layers.Input((8, 8, 3)), keras.layers.Conv2D(2, 3, name="c"), keras.layers.BatchNormalization(name="bn"),
                              keras.layers.Flatten(), keras.layers.Dense(2, name="d")], name="net")
    for v in model.variables:
        v.assign(random.uniform(0.1, 1, v.shape))
    expected = {v.path: v.numpy() for v in model.variables}
    model.export(at("exported"), verbose=False)
    check("a SavedModel that Keras exported, by folder", at("exported"), expected, kind="tensorflow")
    check("the same by saved_model.pb", at("exported/saved_model.pb"), expected)
    tf.saved_model.save(model, at("saved"))
    check("a SavedModel that TensorFlow saved", at("saved"), expected)
    module = tf.Module()
    module.values = [tf.Variable(array(v) if name != "bfloat16" else array(v), name=f"{name}_{shape}")
                     for name in ["bool", "uint8", "int8", "int16", "uint16", "float16", "bfloat16", "int32", "uint32", "float32", "float64", "int64", "uint64", "complex64"]
                     for shape, v in ((s, np.asarray(random.integers(0, 100, d)).astype(getattr(ml_dtypes, name, name))) for s, d in SHAPES.items())]
    module.text = tf.Variable("héllo")
    tf.train.Checkpoint(module=module).write(at("types"))
    expected = {v.name.removesuffix(":0"): v.numpy() for v in module.values}
    check("a TensorFlow checkpoint of every type, by prefix", at("types"), expected)
    check("the same by its index", at("types.index"), expected)
    checkpoint = tf.train.Checkpoint(model=model, optimizer=keras.optimizers.Adam())
    tf.train.CheckpointManager(checkpoint, at("managed"), 3).save()
    run = attempt("inspect", at("managed"), "--json")
    names = {t["name"] for t in json.loads(run.stdout or '{"tensors": []}')["tensors"]}
    report({v.path for v in model.variables} <= names, "a folder with `checkpoint`", run.stderr[-200:])
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        v1 = tf.compat.v1
        parts = v1.get_variable("emb", (10, 170, 3), partitioner=v1.fixed_size_partitioner(3, axis=1))
        plain = v1.get_variable("MobilenetV2/Conv/weights", initializer=random.normal(size=(3, 3, 3, 8)).astype("f4"))
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, at("model.ckpt"), global_step=7, write_meta_graph=False)
        expected = {"emb": np.concatenate([session.run(p) for p in parts], axis=1), "MobilenetV2/Conv/weights": session.run(plain)}
    check("a TensorFlow 1 checkpoint with a variable in parts", at("model.ckpt-7"), expected)
    damaged = bytearray(open(at("types.data-00000-of-00001"), "rb").read())
    damaged[-1] ^= 1
    with open(at("types.data-00000-of-00001"), "wb") as f:
        f.write(damaged)
    run = attempt("inspect", at("types"), "--digest")
    report(run.returncode == 1 and "checksum" in run.stderr, "a damaged number is found by its checksum")
    tf.get_logger().setLevel("ERROR")
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    check_tflite(at, "TFLite", converter.convert())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: [[random.uniform(size=(1, 8, 8, 3)).astype("f4")] for _ in range(4)]
    check_tflite(at, "TFLite, quantised", converter.convert())


def check_tflite(at, label, content):
    with open(at("m.tflite"), "wb") as f:
        f.write(content)
    interpreter = tf.lite.Interpreter(model_content=content)
    expected = {}
    for detail in interpreter.get_tensor_details():
        try:
            expected[detail["name"]] = interpreter.get_tensor(detail["index"])
        except ValueError:  # Computed, not stored.
            continue
        scales = detail["quantization_parameters"]
        if len(scales["scales"]):
            expected[detail["name"] + "/scale"] = scales["scales"]
            expected[detail["name"] + "/zero_point"] = scales["zero_points"].astype("i8")
    check(label, at("m.tflite"), expected, kind="tflite")


def check_onnx(at):
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    tensors = []
    for name in set(CODES) - {"float8_e8m0fnu"}:
        dtype = np.dtype(getattr(ml_dtypes, name, name))
        for shape_name, shape in SHAPES.items():
            tensors.append(numpy_helper.from_array(np.asarray(random.integers(0, 100, shape)).astype(dtype), f"{name}/{shape_name}"))
    # Numbers one by one, as old exporters write them.
    tensors.append(helper.make_tensor("listed", onnx.TensorProto.FLOAT, (2, 2), [1, 2.5, 3, 4]))
    tensors.append(helper.make_tensor("listed/int64", onnx.TensorProto.INT64, (3,), [1, -2, 3]))
    tensors.append(helper.make_tensor("listed/half", onnx.TensorProto.FLOAT16, (2,), np.array([1, 2], "f2").view("u2").tolist()))
    value = lambda n: helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, (1, 2))
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value("x")], [value("y")], tensors)
    model = helper.make_model(graph, producer_name="conformance")
    onnx.save(model, at("all.onnx"))
    expected = {t.name: numpy_helper.to_array(t) for t in onnx.load(at("all.onnx")).graph.initializer}
    check("ONNX, every type and shape", at("all.onnx"), expected, ordered=True, kind="onnx")
    os.rename(at("all.onnx"), at("renamed"))
    check("ONNX under another name", at("renamed"), expected)
    onnx.save(model, at("split.onnx"), save_as_external_data=True, location="split.data", size_threshold=0)
    check("ONNX with its weights in another file", at("split.onnx"), expected)


def check_hdf5(at):
    types = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "bool"]
    with h5py.File(at("all.h5"), "w") as f:
        for dtype in types:
            for name, shape in SHAPES.items():
                value = numbers(dtype, shape)
                f.create_dataset(f"{dtype}/{name}", data=value)
                if dtype not in ("bool", "i1", "u1"):
                    f.create_dataset(f"big/{dtype}/{name}", data=value.astype(np.dtype(dtype).newbyteorder(">")))
                if name in ("matrix", "five"):
                    chunks = tuple(max(1, n - 1) for n in shape)
                    for label, settings in {"chunked": {}, "gzip": {"compression": "gzip", "compression_opts": 9}, "shuffled": {"compression": "gzip", "shuffle": True},
                                            "checked": {"fletcher32": True}, "all": {"compression": "gzip", "shuffle": True, "fletcher32": True}}.items():
                        f.create_dataset(f"{label}/{dtype}/{name}", data=value, chunks=chunks, **settings)
        f.create_dataset("all of it, big", data=numbers("f4", (64, 64)).astype(">f4"), chunks=(16, 16), compression="gzip", shuffle=True, fletcher32=True)
        f.create_dataset("never written", shape=(3, 2), dtype="f4", fillvalue=1.5)
        f.create_dataset("partly written", shape=(8, 2), dtype="f4", chunks=(2, 2), fillvalue=2.5)[0:2] = 1
    with h5py.File(at("all.h5")) as f:
        expected = {}
        f.visititems(lambda name, item: expected.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    check("HDF5: every type, order, filter and shape", at("all.h5"), expected)
    # Attributes of every kind of text; names that do not fit one attribute.
    names = [f"convolution_block_number_{i:04}_größe" for i in range(2500)]
    kinds = {
        "variable, UTF-8": lambda v: np.array(v, dtype=h5py.string_dtype("utf-8")),
        "variable, ASCII": lambda v: np.array([n.encode("ascii", "replace").decode() for n in v], dtype=h5py.string_dtype("ascii")),
        "fixed, UTF-8": lambda v: np.array([n.encode() for n in v], dtype=h5py.string_dtype("utf-8", max(len(n.encode()) for n in v))),
        "fixed, ASCII": lambda v: np.array([n.encode("ascii", "replace") for n in v]),
    }
    for kind, make in kinds.items():
        for split in [False, True]:
            layers = names if split else names[:3]
            layers = [n.encode("ascii", "replace").decode() for n in layers] if "ASCII" in kind else layers
            expected = {}
            with h5py.File(at("text.h5"), "w") as f:
                if split:
                    for part in range(0, len(layers), 1000):
                        f.attrs[f"layer_names{part // 1000}"] = make(layers[part:part + 1000])
                else:
                    f.attrs["layer_names"] = make(layers)
                f.attrs["keras_version"] = "2.4.0" if "variable" in kind else np.bytes_("2.4.0")
                for number, layer in enumerate(layers):
                    group = f.create_group(layer)
                    group.attrs["weight_names"] = make([f"{layer}/kernel:0"])
                    expected[f"{layer}/kernel"] = np.full((2,), number, "f4")
                    group[f"{layer}/kernel:0"] = expected[f"{layer}/kernel"]
            check(f"Keras names as text: {kind}{', split' if split else ''}", at("text.h5"), expected, ordered=True)
    # Keras itself: the three containers, and shards.
    model = keras.Sequential([keras.layers.Input((8, 8, 3)), keras.layers.Conv2D(2, 3, name="c"), keras.layers.SeparableConv2D(4, 3, name="s"), keras.layers.BatchNormalization(scale=False, name="bn"),
                              keras.layers.Conv2DTranspose(3, 2, name="t"), keras.layers.Flatten(), keras.layers.Dense(2, name="d")], name="net")
    expected = {v.path.removeprefix("net/"): v.numpy() for v in model.variables}
    for ending in ["weights.h5", "keras", "h5"]:
        (model.save_weights if ending == "weights.h5" else model.save)(at(f"m.{ending}"))
        check(f"Keras' .{ending}", at(f"m.{ending}"), expected)
    model.save_weights(at("shards.weights.json"), max_shard_size=2e-6)
    check("Keras' weights in shards", at("shards.weights.json"), expected)


def check_numpy(at):
    types = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "bool", "c8", ">f4", ">i8", ">c8"]
    values = {f"{t}/{s}": numbers(t, shape) for t in types for s, shape in SHAPES.items()}
    values |= {"fortran": np.asfortranarray(numbers("f4", (2, 3, 4))), "stepped": numbers("f4", (6, 6))[::2, ::3]}
    np.savez(at("a.npz"), **values)
    check("NumPy, every type and shape", at("a.npz"), dict(np.load(at("a.npz"))), ordered=True)
    np.savez_compressed(at("c.npz"), **values)
    check("NumPy, compressed", at("c.npz"), dict(np.load(at("c.npz"))))


def coarse(shape, dtype="f4"):
    """Numbers that do not all differ: they compress, and no two rows of them are the same."""
    rows = np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    row = random.integers(0, 4096, shape[1:])
    return ((row * 7 + rows * 13) % 4099).astype(dtype)


def check_large(at):
    """What cannot be mapped and is larger than what is decoded in memory: in several blocks, each number in its place."""
    big = coarse((2504, 2048))  # 20.5 MB, its edges on no chunk's.
    with h5py.File(at("big.h5"), "w") as f:
        settings = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
        f.create_dataset("rows", data=big, chunks=(100, 2048), **settings)
        f.create_dataset("columns", data=big, chunks=(2504, 300), fletcher32=True)
        f.create_dataset("one chunk", data=big, chunks=big.shape, **settings)
        f.create_dataset("cubes", data=big[:2500].reshape(5, 20, 25, 2048), chunks=(2, 7, 8, 1000))
        f.create_dataset("big-endian", data=big.astype(">f4"))
        f.create_dataset("partly written", shape=(3000, 2048), chunks=(500, 512), dtype="f4", fillvalue=2.5)[700:1400] = big[:700]
    with h5py.File(at("big.h5")) as f:
        check("HDF5 in blocks", at("big.h5"), {name: item[()] for name, item in f.items()})
    values = {"plain": big, "fortran": np.asfortranarray(big), "big-endian": big.astype(">f4"), "both": np.asfortranarray(big.astype(">f4")), "small": big[:3]}
    with zipfile.ZipFile(at("big.npz"), "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, value in values.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, value)
    check("NumPy, compressed, in blocks", at("big.npz"), dict(np.load(at("big.npz"))), ordered=True)
    tensor = torch.from_numpy(big)
    views = {"whole": tensor, "part": tensor[5:9], "turned": tensor.t(), "stepped": tensor[::2, 1::3], "four axes": tensor[:2500].view(25, 100, 32, 64).permute(3, 0, 2, 1)}
    torch.save(views, at("stored.pth"))
    check("torch, large views", at("stored.pth"), torch.load(at("stored.pth")))
    deflate(at("stored.pth"), at("deflated.pth"))
    check("torch, large views, deflated", at("deflated.pth"), torch.load(at("stored.pth")))
    model = keras.Sequential([keras.layers.Input((2504,)), keras.layers.Dense(2048, use_bias=False, name="d")], name="net")
    model.layers[0].set_weights([big])
    model.save(at("stored.keras"))
    deflate(at("stored.keras"), at("deflated.keras"))
    check("Keras' archive, deflated", at("deflated.keras"), {"d/kernel": big})
    damaged = bytearray(open(at("big.npz"), "rb").read())
    damaged[len(damaged) // 3] ^= 1
    with open(at("damaged.npz"), "wb") as f:
        f.write(damaged)
    run = attempt("inspect", at("damaged.npz"), "--digest")
    report(run.returncode == 1 and "inflate" in run.stderr, "a damaged member is found by its checksum", run.stderr[:160].split("\n")[0])


def deflate(source, target):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))


def check_memory(at):
    """A VGG16 whose weights are compressed is converted in little memory, and to the same bits."""
    if os.environ.get("CONFORMANCE") != "all":
        return
    shapes = {f"block{i}/kernel": (3, 3, c, d) for i, (c, d) in enumerate([(3, 64), (64, 128), (128, 256), (256, 512), (512, 512), (512, 512)])}
    shapes |= {"fc1/kernel": (25088, 4096), "fc2/kernel": (4096, 4096), "predictions/kernel": (4096, 1000)}
    values = {name: coarse(shape) for name, shape in shapes.items()}
    with h5py.File(at("vgg.h5"), "w") as f:
        for name, value in values.items():
            f.create_dataset(name, data=value, compression="gzip", compression_opts=1, shuffle=True)
    with zipfile.ZipFile(at("vgg.npz"), "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, value in values.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, value)
    for name in ["vgg.h5", "vgg.npz"]:
        run, peaks = watched("convert", at(name), "--to", "safetensors", "-o", at("out.safetensors"))
        found = safetensors.numpy.load_file(at("out.safetensors")) if run.returncode == 0 else {}
        good = all(k in found and found[k].tobytes() == v.tobytes() for k, v in values.items()) and len(found) == len(values)
        megabytes = sum(v.nbytes for v in values.values()) / 1e6
        report(good and max(peaks.values()) < 256, f"{name}, {megabytes:.0f} MB, compressed: memory under 256 MB",
               f"at most {peaks['anonymous']:.0f} MB of its processes' own, {peaks['whole']:.0f} MB with files {run.stderr[-200:] if run.returncode else ''}")


with tempfile.TemporaryDirectory() as root:
    for part in [check_numpy, check_torch, check_hdf5, check_large, check_memory, check_onnx, check_tensorflow]:
        folder = os.path.join(root, part.__name__)
        os.makedirs(folder)
        try:
            part(lambda name, folder=folder: os.path.join(folder, name))
        except Exception as error:
            report(False, part.__name__, f"{type(error).__name__}: {str(error)[-400:]}")
report.finish()
