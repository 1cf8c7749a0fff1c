"""Random weights with non-trivial statistics, so that a wrong formula shows."""
import numpy as np


def randomise_torch(model):
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
    return model.eval()


def randomise_keras(model):
    import keras

    rng = np.random.default_rng(5)
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
        elif kind == "variable":  # Layer scale.
            values = rng.uniform(0.2, 1, shape)
        else:
            continue
        variable.assign(values.astype("float32"))
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            layer.finalize_state()
    return model


def keras_legacy(model, path):
    """The container that Keras Applications publishes."""
    import h5py
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
