"""Every layer of Keras that convolutional networks use, with its settings: run, exported, trained by graft, and refused by name.

One model for each layer holds a branch for every setting. Saved as `.keras` and as a whole-model `.h5`, it gives Keras' numbers in
graft; so does what graft writes of it in onnxruntime (ONNX) and in Keras (`.keras`); each gradient of a training step is Keras'.
Run by `make conformance` with GRAFT=path of the program; names of layers as arguments choose.
"""
import os
import sys
import tempfile
import warnings

warnings.simplefilter("ignore")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Off by itself where there is no AVX-512, and TensorFlow's own code has no dilated transposed convolution.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
import keras
import numpy as np
import onnxruntime
import tensorflow as tf
from keras import layers as L
from safetensors.numpy import load_file

from _graft import attempt, report
from _peers import scatter

TOLERANCE = 1e-4
# TensorFlow reads the weights of bicubic resizing from a table of 1,024 places.
TOLERANCES = {"bicubic Resizing": 2e-3}
C = L.Conv2D
inner = lambda name: keras.Sequential([C(3, 3, activation="elu"), L.BatchNormalization(), L.SpatialDropout2D(0.2)], name=name)


def functional(name):
    x = image = L.Input((10, 9, 6))
    x = C(6, 3, padding="same", activation="silu")(x)
    return keras.Model(image, L.Add()([inner(name + "_in")(x), C(3, 3)(image)]), name=name)


def gate(x):
    y = L.Reshape((1, 1, 6))(L.GlobalAveragePooling2D()(x))
    return L.Multiply()([x, C(6, 1, activation="hard_sigmoid")(y)])


def vector(*layers):
    def branch(x):
        x = L.Dense(7)(L.Flatten()(x))
        for layer in layers:
            x = layer(x)
        return x
    return branch


shared = L.SeparableConv2D(6, 3, padding="same", name="shared")
twice = functional("twice")
ACTIVATIONS = ["linear", "relu", "relu6", "sigmoid", "tanh", "silu", "swish", "hard_sigmoid", "hard_silu", "hard_swish", "gelu", "elu",
               "selu", "leaky_relu", "softmax", "exponential", "softplus", "mish", "hard_tanh"]
# name: the branches over a map of 10 x 9 x 6, each a layer or a function of the map.
LAYERS = {
    "Conv2D": [C(4, 3), C(4, 3, padding="same"), C(4, 3, strides=2, padding="same"), C(4, 3, strides=(2, 1)), C(4, 3, dilation_rate=2, padding="same"),
               C(4, 3, dilation_rate=(2, 3)), C(4, 3, groups=2), C(12, 3, groups=6, padding="same"), C(4, (1, 5), padding="same", use_bias=False),
               C(4, 4, strides=3, padding="same"), C(4, 1, strides=2), C(4, 5, activation="relu"), C(4, 2, padding="same", activation="softmax")],
    "DepthwiseConv2D": [L.DepthwiseConv2D(3), L.DepthwiseConv2D(3, strides=2, padding="same"), L.DepthwiseConv2D(3, depth_multiplier=2),
                        L.DepthwiseConv2D(5, dilation_rate=2, padding="same", use_bias=False), L.DepthwiseConv2D((1, 4), padding="same", activation="tanh")],
    "SeparableConv2D": [L.SeparableConv2D(5, 3), L.SeparableConv2D(5, 3, strides=2, padding="same", depth_multiplier=3),
                        L.SeparableConv2D(5, (3, 2), dilation_rate=2, padding="same", use_bias=False, activation="relu")],
    "Conv2DTranspose": [L.Conv2DTranspose(4, 3), L.Conv2DTranspose(4, 3, padding="same"), L.Conv2DTranspose(4, 3, strides=2, padding="same"),
                        L.Conv2DTranspose(4, 4, strides=(2, 3)), L.Conv2DTranspose(4, 2, strides=3, use_bias=False),
                        L.Conv2DTranspose(4, 3, strides=2, padding="same", output_padding=0), L.Conv2DTranspose(4, 3, strides=2, output_padding=1, activation="relu"),
                        L.Conv2DTranspose(4, 3, dilation_rate=2), L.Conv2DTranspose(4, 3, dilation_rate=2, padding="same")],
    "Dense": [L.Dense(4), L.Dense(4, use_bias=False, activation="relu"), vector(L.Dense(5, activation="gelu"), L.Dense(3, use_bias=False))],
    "BatchNormalization": [L.BatchNormalization(), L.BatchNormalization(scale=False), L.BatchNormalization(center=False, epsilon=0.1),
                           L.BatchNormalization(scale=False, center=False, axis=3), vector(L.BatchNormalization(momentum=0.9))],
    "LayerNormalization": [L.LayerNormalization(), L.LayerNormalization(epsilon=0.1, axis=[-1]), vector(L.LayerNormalization())],
    "activations": [L.Activation(a) for a in ACTIVATIONS] + [vector(L.Activation(a)) for a in ("relu", "softmax", "mish")],
    "activation layers": [L.ReLU(), L.ReLU(max_value=6), L.ReLU(max_value=1.5), L.ReLU(negative_slope=0.1), L.ReLU(max_value=2, negative_slope=0.3),
                          L.LeakyReLU(), L.LeakyReLU(negative_slope=0.01), L.ELU(), L.ELU(alpha=0.7), L.PReLU(shared_axes=[1, 2]), L.Softmax()],
    "pooling": [L.MaxPooling2D(), L.MaxPooling2D(3, strides=2), L.MaxPooling2D(3, strides=1, padding="same"), L.MaxPooling2D((2, 3), strides=(3, 2), padding="same"),
                L.AveragePooling2D(2), L.AveragePooling2D(3, strides=2, padding="same"), L.AveragePooling2D((2, 3), strides=1), L.GlobalAveragePooling2D(),
                L.GlobalMaxPooling2D(), L.GlobalAveragePooling2D(keepdims=True), L.GlobalMaxPooling2D(keepdims=True)],
    "padding": [L.ZeroPadding2D(), L.ZeroPadding2D((1, 2)), L.ZeroPadding2D(((1, 0), (2, 3)))],
    "cropping": [L.Cropping2D(1), L.Cropping2D((1, 2)), L.Cropping2D(((1, 0), (2, 3)))],
    "Resizing": [L.Resizing(7, 13), L.Resizing(4, 4, interpolation="nearest"), L.Resizing(10, 9),
                 L.Resizing(20, 18), L.Resizing(6, 7, crop_to_aspect_ratio=True), L.Resizing(5, 4, antialias=True)],
    "bicubic Resizing": [L.Resizing(15, 5, interpolation="bicubic")],
    "GroupNormalization": [L.GroupNormalization(2), L.GroupNormalization(-1, epsilon=0.1), L.GroupNormalization(1)],
    "up-sampling": [L.UpSampling2D(), L.UpSampling2D((2, 3)), L.UpSampling2D(2, interpolation="bilinear"), L.UpSampling2D((3, 2), interpolation="bilinear")],
    "merging": [lambda x: L.Add()([x, C(6, 1)(x), C(6, 3, padding="same")(x)]), lambda x: L.Multiply()([x, C(6, 1)(x), C(6, 1)(x)]),
                lambda x: L.Average()([x, C(6, 1)(x), C(6, 1)(x)]), lambda x: L.Subtract()([x, C(6, 1)(x)]),
                lambda x: L.Concatenate()([x, C(2, 1)(x), L.ReLU()(x)]), lambda x: L.Concatenate(axis=3)([x, C(2, 1)(x)]), gate],
    "Reshape": [lambda x: C(3, 1)(L.Reshape((9, 10, 6))(x)), lambda x: C(3, 2)(L.Reshape((5, 6, -1))(x)), L.Reshape((540,)), lambda x: C(2, 1)(L.Reshape((7, 1, 1))(L.Dense(7)(L.Flatten()(x))))],
    "Flatten": [L.Flatten()],
    "Rescaling": [L.Rescaling(0.1), L.Rescaling(2.0, offset=-1.0), L.Rescaling([1.0, 2, 3, 4, 5, 6], offset=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6])],
    "Normalization": [L.Normalization(mean=[0.1, 0.2, 0.3, 0, 0, 0], variance=[1.0, 4, 9, 1, 1, 0.25]), L.Normalization(), L.Normalization(mean=0.5, variance=2.0)],
    "dropout": [L.Dropout(0.5), L.SpatialDropout2D(0.3), L.GaussianDropout(0.3), L.GaussianNoise(0.1), L.AlphaDropout(0.1)],
    "shared layers": [lambda x: shared(shared(x)), lambda x: L.Add()([twice(x), twice(L.ReLU()(x))])],
    "nested models": [inner("sequential"), functional("functional"), keras.Sequential([inner("deep"), C(2, 1)], name="deeper")],
}
REFUSED = {
    "shared slopes by place": L.PReLU(), "channels first": L.ZeroPadding2D(data_format="channels_first"), "a joined height": lambda x: L.Concatenate(axis=1)([x, x]),
    "a norm without scale": L.LayerNormalization(scale=False), "an unknown layer": L.SpectralNormalization(C(2, 1)),
    "padding to an aspect ratio": L.Resizing(6, 7, pad_to_aspect_ratio=True),
    "an unknown activation": L.Activation("softsign"), "bicubic": L.UpSampling2D(2, interpolation="bicubic"),
}


def build(branches):
    image = L.Input((10, 9, 6))
    stem = C(6, 3, padding="same", name="stem")(image)
    outputs = [branch(stem) for branch in branches]
    outputs = [y if len(y.shape) == 2 else L.Flatten()(y) for y in outputs]
    return keras.Model(image, L.Dense(4, name="head")(outputs[0] if len(outputs) == 1 else L.Concatenate()(outputs)), name="layers")


def variables(model):
    """Each variable that learns by the name graft gives it, and how its axes lie there."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            for name, variable, order in variables(layer):
                yield f"{layer.name}/{name}", variable, order
            continue
        for variable in layer.trainable_variables:
            kind = variable.path.split("/")[-1]
            depthwise = kind == "depthwise_kernel" or type(layer).__name__ == "DepthwiseConv2D" and kind == "kernel"
            yield f"{layer.name}/{kind}", variable, {4: (2, 3, 0, 1) if depthwise else (3, 2, 0, 1), 2: (1, 0)}.get(len(variable.shape))


def difference(ours, theirs):
    return float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-9)) if ours.shape == theirs.shape else 9


def gradients(model, x, at):
    """The worst difference of any gradient, and whose it is; names on one side only."""
    labels = np.array([1, 3])
    np.save(at("labels.npy"), labels)
    run = attempt("gradients", at("m.keras"), "--input", at("x.npy"), "--labels", at("labels.npy"), "-o", at("g.safetensors"), "--layout", "nhwc")
    if run.returncode:
        return 9, run.stderr.strip()[-300:]
    ours = load_file(at("g.safetensors"))
    known = list(variables(model))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, model(x, training=False)))
    values = tape.gradient(loss, [v.value for _, v, _ in known])
    theirs = {name: np.transpose(g, order) if order else np.asarray(g) for (name, _, order), g in zip(known, values)}
    # graft calls the kernel of a convolution in as many groups as channels a depthwise one.
    spelled = lambda name: name if name in theirs else name.replace("depthwise_kernel", "kernel")
    ours = {spelled(name): value for name, value in ours.items() if name != "losses"}
    if odd := sorted(set(ours) ^ set(theirs)):
        return 9, f"only on one side: {odd[:4]}"
    largest = max(np.abs(g).max() for g in theirs.values())
    errors = {n: np.abs(ours[n].reshape(-1) - g.reshape(-1)).max() / max(np.abs(g).max(), 1e-3 * largest) for n, g in theirs.items()}
    worst = max(errors, key=errors.get)
    return float(errors[worst]), worst


def check(name, branches, at):
    model = build(branches)
    scatter(model)
    if name == "Normalization":
        branches[1].adapt(np.random.default_rng(2).normal(1, 2, (50, 10, 9, 6)).astype("f4"))
    x = np.random.default_rng(1).uniform(-1, 1, (2, 10, 9, 6)).astype("f4")
    np.save(at("x.npy"), x)
    theirs = np.asarray(model(x, training=False))
    errors, problems = {}, []

    def told(label, run):
        if run.returncode:
            errors[label] = 9
            problems.append(f"{label}: {run.stderr.strip()[-300:]}")
        return run.returncode == 0

    for ending in ("keras", "h5"):
        model.save(at(f"m.{ending}"))
        if told(f".{ending}", attempt("run", at(f"m.{ending}"), "--input", at("x.npy"), "--output", at("y.npy"), "--layout", "nhwc")):
            errors[f".{ending}"] = difference(np.load(at("y.npy")), theirs)
    if told("to ONNX", attempt("convert", at("m.keras"), "--to", "onnx", "-o", at("m.onnx"))):
        session = onnxruntime.InferenceSession(at("m.onnx"), providers=["CPUExecutionProvider"])
        errors["to ONNX"] = difference(session.run(None, {"input": x.transpose(0, 3, 1, 2)})[0], theirs)
        if told("ONNX again", attempt("run", at("m.onnx"), "--input", at("x.npy"), "--output", at("y.npy"), "--layout", "nhwc")):
            errors["ONNX again"] = difference(np.load(at("y.npy")), theirs)
    if told("to .keras", attempt("convert", at("m.keras"), "--to", "keras", "-o", at("again.keras"))):
        errors["to .keras"] = difference(np.asarray(keras.models.load_model(at("again.keras"))(x, training=False)), theirs)
    errors["gradients"], where = gradients(model, x, at)
    tolerance = TOLERANCES.get(name, TOLERANCE)
    if errors["gradients"] > tolerance:
        problems.append(f"gradients: {where}")
    bad = [label for label, error in errors.items() if not error < tolerance]
    worst = max(errors, key=errors.get)
    report(not bad, f"{name}, {len(branches)} settings", f"worst {errors[worst]:.1e} ({worst})" if not bad
           else f"{ {k: f'{v:.1e}' for k, v in errors.items()} } {problems}")


with tempfile.TemporaryDirectory() as folder:
    at = lambda name: os.path.join(folder, name)
    for name, branches in LAYERS.items():
        if len(sys.argv) > 1 and name not in sys.argv[1:]:
            continue
        try:
            check(name, branches, at)
        except Exception as error:
            report(False, name, f"{type(error).__name__}: {str(error)[-500:]}")
    for name, branch in REFUSED.items():
        if len(sys.argv) > 1:
            continue
        build([branch]).save(at("odd.keras"))
        run = attempt("summary", at("odd.keras"))
        report(run.returncode == 1 and run.stderr.startswith("error:"), f"refused: {name}", run.stderr.strip().split("\n")[0][:160])
report.finish()
