"""Random weights with non-trivial statistics, so that a wrong formula shows.

Where a size is given, the running statistics are measured as noise flows through, and then changed: each
variance becomes two to five times the second moment of what it divides, each mean a third of its root, of
either sign. With statistics that fit nothing, deep networks answer every image with the same numbers,
or their gates become steps; with the exact ones, every block subtracts what its images have in common and
enlarges the rest, rounding included. So fitted, images change the answer, and rounding stays rounding.
A channel that was nearly silent for that noise is loud for another image, and dozens of blocks that divide by such a
channel's moment magnify rounding a millionfold. For the deepest networks, `floor` adds to every channel's moment so
many times the layer's mean.
"""
import numpy as np


def randomise_torch(model, size=None, floor=0):
    """size: the side of the noise that the statistics fit; None leaves them random. floor: see above."""
    import torch

    generator = torch.Generator().manual_seed(7)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
        if isinstance(module, (torch.nn.BatchNorm2d, torch.nn.LayerNorm)):
            module.weight.data.uniform_(0.7, 1.3, generator=generator)
            module.bias.data.normal_(0, 0.1, generator=generator)
        elif getattr(module, "bias", None) is not None:
            module.bias.data.normal_(0, 0.05, generator=generator)
        if isinstance(module, torch.nn.Linear):  # Some start near nothing.
            module.weight.data.normal_(0, module.in_features**-0.5, generator=generator)
        elif isinstance(module, torch.nn.Conv2d) and float(module.weight.detach().std()) < 0.021:
            fan = module.weight[0].numel()
            module.weight.data.normal_(0, fan**-0.5, generator=generator)
    for name, parameter in model.named_parameters():
        if name.endswith(("layer_scale", ".gamma")):
            parameter.data.uniform_(0.2, 1, generator=generator)
    if size is None:
        return model.eval()

    def settle(norm, inputs):
        moment = inputs[0].square().mean((0, 2, 3)) + 1e-6
        moment = moment + floor * moment.mean()
        norm.running_mean.copy_(moment.sqrt() * torch.empty_like(moment).uniform_(-0.3, 0.3, generator=generator))
        norm.running_var.copy_(moment * torch.empty_like(moment).uniform_(2, 5, generator=generator))

    hooks = [m.register_forward_pre_hook(settle) for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    with torch.no_grad():
        model.eval()(torch.randn(4, 3, size, size, generator=generator))
    for hook in hooks:
        hook.remove()
    return model


def randomise_keras(model, scale=None, floor=0):
    """scale: half the range of the pixels that the statistics fit; None leaves them random. floor: see above."""
    import keras

    rng = np.random.default_rng(5)
    bare = not any("Normalization" in type(layer).__name__ for layer in model.layers)
    for variable in model.variables:
        kind, shape = variable.path.split("/")[-1].rstrip("0123456789_"), tuple(variable.shape)
        if kind in ("mean", "variance") and shape == (3,):
            values = rng.uniform(0.3, 0.6, shape) if kind == "mean" else rng.uniform(0.2, 0.3, shape)
        elif kind == "gamma":
            values = rng.uniform(0.7, 1.3, shape)
        elif kind in ("beta", "moving_mean"):
            values = rng.normal(0, 0.1, shape)
        elif kind == "moving_variance":
            values = rng.uniform(0.5, 1.5, shape)
        elif kind == "bias":
            values = rng.normal(0, 0.05, shape)
        elif kind == "kernel" and ("_se_" in variable.path or "squeeze_excite" in variable.path):
            # Keras' own are so large that gates are steps.
            values = rng.normal(0, np.prod(shape[:-1]) ** -0.5, shape)
        elif kind == "kernel" and bare:  # Nothing else keeps what flows at its size.
            values = rng.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape)
        elif kind == "variable":  # Layer scale.
            values = rng.uniform(0.2, 1, shape)
        else:
            continue
        variable.assign(values.astype("float32"))
    settle_normalization(model)
    if scale is None:
        return model
    norm = keras.layers.BatchNormalization
    call = norm.call

    def settle(self, inputs, training=None, mask=None):
        moment = np.square(np.asarray(inputs)).mean((0, 1, 2)) + 1e-6
        moment = moment + floor * moment.mean()
        self.moving_mean.assign(np.sqrt(moment) * rng.uniform(-0.3, 0.3, moment.shape))
        self.moving_variance.assign(moment * rng.uniform(2, 5, moment.shape))
        return call(self, inputs, training=False)

    norm.call = settle
    try:
        sides = [side or 224 for side in model.input_shape[1:3]]
        count = 4 if sides[0] < 300 else 1
        model(scale * (rng.uniform(-1, 1, (count, *sides, 3)) + (scale > 1)).astype("float32"), training=False)
    finally:
        norm.call = call
    return model


def settle_normalization(model):
    """Keras' Normalization computes with what it made of its weights, not with these."""
    import keras

    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            layer.finalize_state()


def keras_copy(model, network):
    """network, with the weights of model."""
    network.set_weights(model.get_weights())
    settle_normalization(network)
    return network


def keras_double(build, model):
    """The network that build() makes, in double precision, with the weights of model."""
    import keras

    keras.backend.clear_session()  # Numbered layers get the same names again.
    keras.config.set_dtype_policy("float64")
    try:
        network = build()
    finally:
        keras.config.set_dtype_policy("float32")
    assert all(weight.dtype == "float64" for weight in network.trainable_weights), "not in double precision"
    return keras_copy(model, network)


def keras_legacy(model, path):
    """The container that Keras Applications publishes."""
    import h5py
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
