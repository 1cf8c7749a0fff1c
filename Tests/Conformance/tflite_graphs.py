"""Graphs of TensorFlow Lite as other programs write them, against the TFLite interpreter.

Keras' networks by TensorFlow's converter in single and half precision, with weights of bytes and with all of bytes;
MediaPipe's graphs from its wheel; both selfie segmentations, whose custom operator is a transposed convolution, against a
transcription in PyTorch. Floats agree within 1e-4 of the largest magnitude. The interpreter rounds values of bytes, and
those that meet weights of bytes; graft does not: 5e-3 with weights of bytes, 5e-2 with all of bytes. The segmentations are
held to 2e-4 in double precision. One of each kind, or
with CONFORMANCE=all every one; names as arguments choose.
"""
import os
import sys
import tempfile
import warnings
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
warnings.filterwarnings("ignore")
import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from tensorflow.lite.python import schema_py_generated as schema  # noqa: E402

from _graft import attempt, complaint, graft, report  # noqa: E402

ALL = os.environ.get("CONFORMANCE") == "all"
TOLERANCES = {"f32": 1e-4, "f16": 1e-4, "weights": 5e-3, "bytes": 5e-2}
# Name: how it is built, the side of its input, the largest value of it, whether CI runs it.
KERAS = {
    "small": (None, 32, 1, True),
    "MobileNetV2": ({}, 96, 1, False),
    "MobileNetV3Small": ({}, 96, 255, False),
    "EfficientNetB0": ({}, 96, 255, False),
    "ResNet50": ({}, 64, 1, False),
    "DenseNet121": ({}, 64, 1, False),
}
WHEEL = "pypi:mediapipe==0.10.14/mediapipe/modules"
MEDIAPIPE = {
    "palm_detection/palm_detection_lite": True, "palm_detection/palm_detection_full": False,
    "hand_landmark/hand_landmark_lite": False, "hand_landmark/hand_landmark_full": False,
    "face_detection/face_detection_short_range": False, "face_detection/face_detection_full_range_sparse": True,
    "face_landmark/face_landmark": False, "iris_landmark/iris_landmark": False,
    "pose_detection/pose_detection": False, "pose_landmark/pose_landmark_full": False,
    "holistic_landmark/hand_recrop": False,
}
SELFIE = {"selfie_segmentation/selfie_segmentation": True, "selfie_segmentation/selfie_segmentation_landscape": False}
wanted = sys.argv[1:]


def chosen(name, is_in_ci):
    return name in wanted if wanted else ALL or is_in_ci


def error(found, expected):
    """The largest difference, as a share of the largest magnitude."""
    return np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-12) if found.shape == expected.shape else np.nan


def first(array):
    """Maps with their channels first."""
    return np.ascontiguousarray(array.transpose(0, 3, 1, 2)) if array.ndim == 4 else array


class Peer:
    """The interpreter over a file: numbers in, numbers out, whatever the file has them as."""

    def __init__(self, path):
        self.interpreter = tf.lite.Interpreter(str(path), num_threads=1)
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]
        runner = self.interpreter.get_signature_runner() if self.interpreter.get_signature_list() else None
        names = {v["index"]: k for k, v in runner.get_output_details().items()} if runner else {}
        self.outputs = {names.get(o["index"], o["name"]): o for o in self.interpreter.get_output_details()}

    def image(self, seed, largest):
        """An image that the file's input can hold exactly."""
        x = np.random.default_rng(seed).uniform(0, largest, self.input["shape"]).astype("f4")
        return self.real(self.stored(x), self.input)

    def stored(self, x):
        if self.input["dtype"] == np.float32:
            return x
        scale, zero = self.input["quantization"]
        limits = np.iinfo(self.input["dtype"])
        return np.clip(np.round(x / scale + zero), limits.min, limits.max).astype(self.input["dtype"])

    @staticmethod
    def real(values, detail):
        if detail["dtype"] == np.float32:
            return values
        scale, zero = detail["quantization"]
        return ((values.astype("f4") - zero) * scale).astype("f4")

    def __call__(self, x):
        self.interpreter.set_tensor(self.input["index"], self.stored(x))
        self.interpreter.invoke()
        return {k: first(self.real(self.interpreter.get_tensor(o["index"]), o)) for k, o in self.outputs.items()}


def run(path, x, home, select):
    np.save(home / "x.npy", first(x))
    graft("run", path, "--input", home / "x.npy", "--output", home / "y.npy", *select)
    return np.load(home / "y.npy")


def check(label, path, home, largest, tolerance):
    peer = Peer(path)
    x = peer.image(0, largest)
    for name, expected in peer(x).items():
        select = ["--select", name] if len(peer.outputs) > 1 else []
        report.within(f"{label}: {name}", error(run(path, x, home, select), expected), tolerance)
    return peer, x


def small(side):
    """Each kind of layer once: what CI converts in seconds."""
    layers = keras.layers
    image = x = layers.Input((side, side, 3))
    x = layers.ReLU(6)(layers.BatchNormalization()(layers.Conv2D(8, 3, 2, "same")(x)))
    y = layers.Activation("hard_silu")(layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(x)))
    gate = layers.Conv2D(8, 1, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(y))
    x = layers.Add()([x, layers.Multiply()([y, gate])])
    x = layers.UpSampling2D(2, interpolation="bilinear")(layers.MaxPooling2D(2)(layers.ZeroPadding2D(((0, 1), (1, 0)))(x)))
    x = layers.Concatenate()([layers.AveragePooling2D(3, 1, "same")(x), layers.Conv2DTranspose(4, 3, 1, "same")(x)])
    return keras.Model(image, layers.Dense(10, activation="softmax")(layers.Flatten()(x)))


def keras_exports(name, home):
    settings, side, largest, _ = KERAS[name]
    keras.utils.set_random_seed(1)
    if settings is None:
        network = small(side)
    else:
        network = getattr(keras.applications, name)(weights=None, classes=10, input_shape=(side, side, 3), **settings)
    random = np.random.default_rng(0)
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            values = layer.get_weights()
            values[-2], values[-1] = random.normal(0, 0.1, values[-2].shape), random.uniform(0.5, 1.5, values[-1].shape)
            layer.set_weights(values)

    def photos():
        for _ in range(8):
            yield [random.uniform(0, largest, (1, side, side, 3)).astype("f4")]

    for kind in ("f32", "f16", "weights", "bytes"):
        converter = tf.lite.TFLiteConverter.from_keras_model(network)
        if kind != "f32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if kind == "f16":
            converter.target_spec.supported_types = [tf.float16]
        if kind == "bytes":
            converter.representative_dataset = photos
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = tf.int8
        path = home / f"{name}.{kind}.tflite"
        path.write_bytes(converter.convert())
        peer, x = check(f"{name}, {kind}", path, home, largest, TOLERANCES[kind])
        if kind != "f32":
            continue
        expected = list(peer(x).values())[0]
        two = np.concatenate([x, peer.image(1, largest)])
        both = np.concatenate([expected, list(peer(two[1:]).values())[0]])
        report.within(f"{name}: two images", error(run(path, two, home, []), both), 1e-4)
        for again in (home / "again.safetensors", home / "again.onnx", home / "again.tflite"):
            graft("convert", path, "-o", again)
            report.within(f"{name} as {again.suffix}", error(run(again, x, home, []), expected), 1e-4)
        report.within(f"{name}: written again, by the interpreter", error(list(Peer(again)(x).values())[0], expected), 1e-5)
        summary = graft("summary", path)
        report("3" in summary and "softmax" in summary.lower(), f"{name}: summary")


def fetched(name):
    """The file in MediaPipe's wheel; nothing where the index cannot be had."""
    found = attempt("fetch", f"{WHEEL}/{name}.tflite")
    if found.returncode:
        report.skip(name, found.stderr.strip()[-200:])
        return None
    return Path(found.stdout.strip().splitlines()[-1])


def transcription(path, image):
    """The answer of a graph as PyTorch computes its bytes in double precision."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes()))
    graph = model.subgraphs[0]
    kinds = {v: k for k, v in vars(schema.BuiltinOperator).items() if not k.startswith("_")}
    types = {0: "f4", 1: "f2", 2: "i4"}
    values = {}
    for index, tensor in enumerate(graph.tensors):
        data = model.buffers[tensor.buffer].data
        if data is not None and len(data):
            values[index] = np.frombuffer(bytes(data), types[tensor.type]).reshape(tensor.shape).astype("f8")
    values[graph.inputs[0]] = image.astype("f8")

    def same(size, kernel, stride):
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        return total // 2, total - total // 2

    def map_of(index):
        return torch.from_numpy(np.ascontiguousarray(values[index])).permute(0, 3, 1, 2)

    activations = [lambda x: x, torch.relu, None, lambda x: x.clamp(0, 6)]
    for step in graph.operators:
        code = model.operatorCodes[step.opcodeIndex]
        kind = kinds[max(code.builtinCode, code.deprecatedBuiltinCode)]
        kind = code.customCode.decode() if kind == "CUSTOM" else kind
        o, inputs, shape = step.builtinOptions, list(step.inputs), graph.tensors[step.outputs[0]].shape
        act = activations[getattr(o, "fusedActivationFunction", 0) or 0]
        if kind == "DEQUANTIZE":
            values[step.outputs[0]] = values[inputs[0]]
            continue
        x = map_of(inputs[0]) if values[inputs[0]].ndim == 4 else None
        if kind in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            weight = torch.from_numpy(np.ascontiguousarray(values[inputs[1]]))
            deep = kind == "DEPTHWISE_CONV_2D"
            weight = weight.permute(3, 0, 1, 2) if deep else weight.permute(0, 3, 1, 2)
            if o.padding == 0:
                top, bottom = same(x.shape[2], weight.shape[2], o.strideH)
                left, right = same(x.shape[3], weight.shape[3], o.strideW)
                x = F.pad(x, (left, right, top, bottom))
            bias = torch.from_numpy(values[inputs[2]].copy())
            y = act(F.conv2d(x, weight, bias, (o.strideH, o.strideW), groups=x.shape[1] if deep else 1))
        elif kind == "Convolution2DTransposeBias":
            weight = torch.from_numpy(np.ascontiguousarray(values[inputs[1]])).permute(3, 0, 1, 2)
            y = F.conv_transpose2d(x, weight, torch.from_numpy(values[inputs[2]].copy()), stride=2)
        elif kind in ("AVERAGE_POOL_2D", "MEAN"):
            y = x.mean((2, 3), keepdim=True)
        elif kind == "RESIZE_BILINEAR":
            y = F.interpolate(x, size=tuple(shape[1:3]), mode="bilinear", align_corners=False)
        elif kind in ("ADD", "MUL"):
            other = map_of(inputs[1]) if values[inputs[1]].ndim == 4 else torch.from_numpy(values[inputs[1]].copy())
            y = act(x + other if kind == "ADD" else x * other)
        else:
            y = {"RELU": torch.relu, "LOGISTIC": torch.sigmoid, "HARD_SWISH": F.hardswish}[kind](x)
        values[step.outputs[0]] = y.permute(0, 2, 3, 1).numpy()
    return first(values[graph.outputs[0]])


with tempfile.TemporaryDirectory(prefix="graft-tflite-") as folder:
    home = Path(folder)
    for name in KERAS:
        if chosen(name, KERAS[name][3]):
            keras_exports(name, home)
    for name, is_in_ci in MEDIAPIPE.items():
        if chosen(name, is_in_ci) and (path := fetched(name)):
            check(name.split("/")[1], path, home, 1, 1e-4)
    for name, is_in_ci in SELFIE.items():
        if chosen(name, is_in_ci) and (path := fetched(name)):
            x = Peer(path).image(0, 1)
            report.within(f"{name.split('/')[1]}: PyTorch", error(run(path, x, home, []), transcription(path, x)), 2e-4)
    if chosen("attention", True) and (path := fetched("face_landmark/face_landmark_with_attention")):
        said = complaint("summary", path)
        report("custom operator" in said and "Landmarks2TransformMatrix" in said or "TransformLandmarks" in said,
               "what else is custom is refused by name", said.strip()[-160:])

report.finish()
