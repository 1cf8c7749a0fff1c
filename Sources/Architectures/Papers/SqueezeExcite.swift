// Squeeze-and-excite: Hu et al. 2017, arXiv:1709.01507; what several families share.

import GraftNetworks

/// Channels times a gate: their means through two 1 × 1 convolutions with biases.
func SqueezeExcite(
    _ name: String, reduce: String, expand: String, squeezed: Int, channels: Int,
    activation: Activation = .swish, gate: Activation = .sigmoid
) -> any Layer {
    Multiply("\(name)_excite") {
        Sequential {}
        Sequential {
            GlobalAveragePool("\(name)_squeeze", keepsDimensions: true)
            Conv2d(reduce, squeezed, kernel: 1, bias: true)
            Activate(activation, "\(reduce)_act")
            Conv2d(expand, channels, kernel: 1, bias: true)
            Activate(gate, "\(expand)_act")
        }
    }
}
