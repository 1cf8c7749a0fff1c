// What torchvision's files share: convolution, BatchNorm and activation as one numbered sequence.

import GraftNetworks

/// torchvision's `Conv2dNormActivation`: `0` is the convolution, `1` the BatchNorm, `2` what
/// follows. Padding keeps the size at stride 1.
func TorchConvolution(
    _ name: String, _ outputs: Int, kernel: Int, stride: Int = 1, groups: Int = 1,
    epsilon: Float = 1e-5, momentum: Float = 0.1, activation: Activation? = .relu
) -> Scope {
    Scope(name) {
        Conv2d(
            "0", outputs, kernel: Extent(kernel), stride: Extent(stride), padding: kernel / 2,
            groups: groups)
        BatchNorm2d("1", epsilon: epsilon, momentum: momentum)
        if let activation { Activate(activation, "2") }
    }
}

/// The paper's Inception convolution: no bias, BatchNorm with ε = 1e-3, ReLU.
func TorchBasicConvolution(
    _ name: String, _ outputs: Int, kernel: Extent, stride: Int = 1, same: Bool = true
) -> Scope {
    let padding = Padding(
        top: kernel.height / 2, left: kernel.width / 2, bottom: kernel.height / 2,
        right: kernel.width / 2)
    return Scope(name) {
        Conv2d(
            "conv", outputs, kernel: kernel, stride: Extent(stride),
            padding: same ? .explicit(padding) : .valid)
        BatchNorm2d("bn", epsilon: 1e-3)
        ReLU("relu")
    }
}
