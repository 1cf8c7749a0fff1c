"""Models that Keras wrote run in graft without naming an architecture, and give Keras' numbers.

Run by `make conformance` with GRAFT=path of the program.
"""
import os
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Off by itself where there is no AVX-512, and TensorFlow's own code has no dilated transposed convolution.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
import keras
import numpy as np
from keras import layers as L

from _graft import attempt, report
from _peers import scatter


def many():
    """One of each layer that convolutional networks use."""
    x = image = L.Input((20, 24, 3))
    x = L.Rescaling(1 / 127.5, offset=-1)(x)
    normalise = L.Normalization(mean=[0.1, 0.2, 0.3], variance=[1, 4, 9])
    x = normalise(x)
    x = L.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = y = L.SeparableConv2D(12, 3, padding="same", activation="swish", depth_multiplier=2)(x)
    x = L.DepthwiseConv2D(5, padding="same", depth_multiplier=2)(x)
    x = L.LayerNormalization()(x)
    x = L.Activation("gelu")(x)
    x = L.Conv2D(12, (1, 3), padding="same", groups=4)(x)
    x = L.Add()([x, y])
    x = L.LeakyReLU(negative_slope=0.2)(x)
    x = L.ZeroPadding2D(((1, 0), (2, 1)))(x)
    x = L.Conv2D(16, 3, strides=2, dilation_rate=1, use_bias=False)(x)
    x = L.BatchNormalization(scale=False)(x)
    x = L.ReLU(max_value=6)(x)
    x = L.Concatenate()([L.MaxPooling2D(2, padding="same")(x), L.AveragePooling2D(2, padding="same")(x)])
    gate = L.Dense(32, activation="hard_sigmoid")(L.Reshape((1, 1, 32))(L.GlobalAveragePooling2D()(x)))
    x = L.Multiply()([x, gate])
    x = L.UpSampling2D(2, interpolation="bilinear")(x)
    x = L.Cropping2D(((1, 1), (0, 2)))(x)
    x = L.Conv2DTranspose(16, 3, strides=2, padding="same", activation="relu")(x)
    x = L.Conv2DTranspose(12, (2, 4), strides=(3, 2), use_bias=False)(x)
    x = L.Conv2DTranspose(8, 3, strides=2, padding="same", output_padding=0)(x)
    x = L.Conv2DTranspose(8, 3, dilation_rate=2, padding="same")(x)
    inner = keras.Sequential([L.Conv2D(6, 3, activation="elu"), L.SpatialDropout2D(0.2)], name="inner")
    x = L.Average()([inner(x), L.Conv2D(6, 3, activation="tanh")(x)])
    x = L.Flatten()(x)
    x = L.Dropout(0.3)(x)
    return keras.Model(image, L.Dense(5, activation="softmax")(L.Dense(9, activation="sigmoid")(x)), name="many")


def transfer():
    base = keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=(64, 64, 3), alpha=0.35)
    base.trainable = False
    return keras.Sequential([L.Input((64, 64, 3)), L.RandomFlip(), L.Rescaling(1 / 127.5, -1), base,
                             L.GlobalAveragePooling2D(), L.Dropout(0.2), L.Dense(4)])


models = {
    "one of each layer": many(), "sequential over MobileNetV2, frozen": transfer(),
    "EfficientNetB0": keras.applications.EfficientNetB0(weights=None, input_shape=(64, 64, 3), classes=7),
    "Xception": keras.applications.Xception(weights=None, input_shape=(96, 96, 3), classes=7),
    "InceptionV3": keras.applications.InceptionV3(weights=None, input_shape=(96, 96, 3), classes=7),
    "MobileNetV3Small": keras.applications.MobileNetV3Small(weights=None, input_shape=(64, 64, 3), classes=7),
}
with tempfile.TemporaryDirectory() as folder:
    at = lambda name: os.path.join(folder, name)
    for name, model in models.items():
        scatter(model)
        x = np.random.default_rng(1).uniform(0, 255 if "sequential" in name or "Eff" in name else 1,
                                             (2, *model.input_shape[1:])).astype("f4")
        np.save(at("x.npy"), x)
        theirs = np.asarray(model(x, training=False))
        for ending in ["keras", "h5"]:
            path = at(f"m.{ending}")
            model.save(path)
            run = attempt("run", path, "--input", at("x.npy"), "--output", at("y.npy"), "--layout", "nhwc")
            if run.returncode:
                report(False, f"{name}, .{ending}", run.stderr.strip()[-400:])
                continue
            ours = np.load(at("y.npy"))
            error = np.abs(ours - theirs).max() / np.abs(theirs).max() if ours.shape == theirs.shape else 9
            report(error < 1e-4, f"{name}, .{ending}", f"relative error {error:.1e}")
        summary = attempt("summary", at("m.keras"))
        total = f"{model.count_params():,}"
        report(summary.returncode == 0, f"{name}: summary", summary.stderr[-200:])
        # And back: graft's own .keras of it.
        run = attempt("convert", at("m.keras"), "--to", "keras", "-o", at("again.keras"))
        if run.returncode:
            report(False, f"{name}: exported again", run.stderr[-300:])
        else:
            again = keras.models.load_model(at("again.keras"))
            error = np.abs(np.asarray(again(x, training=False)) - theirs).max() / np.abs(theirs).max()
            report(error < 1e-4, f"{name}: exported again", f"relative error {error:.1e}")
    keras.Sequential([L.Input((8, 8, 3)), L.Lambda(lambda v: v, name="mine")]).save(at("lambda.keras"))
    run = attempt("summary", at("lambda.keras"))
    report(run.returncode == 1 and "mine" in run.stderr and "Lambda" in run.stderr, "a Lambda layer is named and refused")
report.finish()
