// What Keras' Inception v3 and Inception-ResNet v2 share: the stem, and numbered convolutions.

import GraftNetworks

/// A network of Inception blocks. Nobody named its convolutions, so they are numbered as they are
/// made.
protocol KerasInceptionBlocks: KerasClassifier {}

extension KerasInceptionBlocks {
    /// From 299 × 299 to 35 × 35: arXiv:1512.00567, the first rows of table 1.
    var stem: any Layer {
        Stage("stem") {
            convolution(32, 3, stride: 2, padding: .valid)
            convolution(32, 3, padding: .valid)
            convolution(64, 3)
            halving
            convolution(80, 1, padding: .valid)
            convolution(192, 3, padding: .valid)
            halving
        }
    }

    /// A maximum that halves the map.
    var halving: any Layer { MaxPool2d("max_pooling2d#", kernel: 3, stride: 2) }

    /// A mean of neighbours and its projection.
    func projection(_ outputs: Int) -> Sequential {
        Sequential {
            AveragePool2d("average_pooling2d#", kernel: 3, stride: 1, padding: .same)
            convolution(outputs, 1)
        }
    }

    /// Convolutions, the last of which halves the map.
    func reduction(_ convolutions: [(outputs: Int, kernel: Extent)], _ outputs: Int) -> Sequential {
        Sequential {
            chain(convolutions)
            convolution(outputs, 3, stride: 2, padding: .valid)
        }
    }

    /// Convolutions one after another.
    func chain(_ convolutions: [(outputs: Int, kernel: Extent)]) -> Sequential {
        Sequential { for each in convolutions { convolution(each.outputs, each.kernel) } }
    }

    /// A convolution without bias, BatchNorm without γ, ReLU.
    func convolution(
        _ outputs: Int, _ kernel: Extent, stride: Int = 1, padding: WindowPadding = .same
    ) -> Sequential {
        Sequential {
            Conv2d(
                "conv2d#", outputs, kernel: kernel, stride: Extent(stride), padding: padding)
            BatchNorm2d("batch_normalization#", epsilon: 1e-3, momentum: 0.01, scale: false)
            ReLU("activation#")
        }
    }
}
