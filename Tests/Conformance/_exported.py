"""What scripts that export PyTorch networks share: answers of networks, statistics that matter, and sizes of two of transformers'."""
import numpy as np
import torch.nn as nn
import transformers


class Answer(nn.Module):
    """A network, and which of its answers is taken."""

    def __init__(self, network, take):
        super().__init__()
        self.network, self.take = network, take

    def forward(self, x):
        return self.take(self.network, x)


def answer(model, config, name, **settings):
    """How a network of transformers is built, whose value `name` is the answer."""
    def build():
        network = getattr(transformers, model)(getattr(transformers, config)(**settings))
        return Answer(network, lambda network, x: getattr(network(pixel_values=x), name))

    return build


def segformer(**settings):
    return answer("SegformerForSemanticSegmentation", "SegformerConfig", "logits", num_labels=3,
                  hidden_sizes=[16, 32, 64, 128], depths=[1, 1, 1, 1], decoder_hidden_size=64, **settings)


def clip(**settings):
    return answer("CLIPVisionModelWithProjection", "CLIPVisionConfig", "image_embeds", image_size=64, patch_size=16,
                  hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
                  projection_dim=32, **settings)


def with_statistics(network):
    """The network, its BatchNorms with running statistics that change the answer."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network


def error(found, expected):
    """The largest difference, as a share of the largest magnitude; shapes that differ are no answer."""
    if found.shape != expected.shape:
        return float("nan")
    return np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-12)
