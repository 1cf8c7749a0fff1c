// Inception v3: Szegedy et al. 2015, arXiv:1512.00567, as Keras Applications has it.

import GraftNetworks

/// Keras' Inception v3: nobody named its convolutions, so they are numbered as they are made.
struct KerasInceptionV3: Blueprint {
    static let networks = [Architecture("inceptionv3", input: 299, KerasInceptionV3())]
    var naming: Naming { .keras }

    var backbone: [any Layer] {
        Stage("stem") {
            convolution(32, 3, stride: 2, padding: .valid)
            convolution(32, 3, padding: .valid)
            convolution(64, 3)
            MaxPool2d("max_pooling2d#", kernel: 3, stride: 2)
            convolution(80, 1, padding: .valid)
            convolution(192, 3, padding: .valid)
            MaxPool2d("max_pooling2d#", kernel: 3, stride: 2)
        }
        // Figure 5: 35 × 35.
        for (index, pooled) in [32, 64, 64].enumerated() {
            mixed(index) {
                convolution(64, 1)
                chain([(48, 1), (64, 5)])
                chain([(64, 1), (96, 3), (96, 3)])
                projection(pooled)
            }
        }
        mixed(3) {
            convolution(384, 3, stride: 2, padding: .valid)
            Sequential {
                chain([(64, 1), (96, 3)])
                convolution(96, 3, stride: 2, padding: .valid)
            }
            MaxPool2d("max_pooling2d#", kernel: 3, stride: 2)
        }
        // Figure 6: 17 × 17, with n = 7 factorised.
        for (index, width) in [128, 160, 160, 192].enumerated() {
            mixed(4 + index) {
                convolution(192, 1)
                chain([(width, 1), (width, Extent(1, 7)), (192, Extent(7, 1))])
                chain([
                    (width, 1), (width, Extent(7, 1)), (width, Extent(1, 7)),
                    (width, Extent(7, 1)), (192, Extent(1, 7)),
                ])
                projection(192)
            }
        }
        mixed(8) {
            Sequential {
                convolution(192, 1)
                convolution(320, 3, stride: 2, padding: .valid)
            }
            Sequential {
                chain([(192, 1), (192, Extent(1, 7)), (192, Extent(7, 1))])
                convolution(192, 3, stride: 2, padding: .valid)
            }
            MaxPool2d("max_pooling2d#", kernel: 3, stride: 2)
        }
        // Figure 7: 8 × 8, with branches that fan out.
        for index in 0..<2 {
            mixed(9 + index) {
                convolution(320, 1)
                Sequential {
                    convolution(384, 1)
                    fan("mixed9_\(index)")
                }
                Sequential {
                    chain([(448, 1), (384, 3)])
                    fan("concatenate#")
                }
                projection(192)
            }
        }
    }
    var neck: [any Layer] { GlobalAveragePool("avg_pool") }
    func head(classes: Int) -> [any Layer] {
        Linear("predictions", classes)
        Softmax("predictions_softmax")
    }

    private func mixed(_ number: Int, @LayerBuilder _ branches: () -> [any Layer]) -> any Layer {
        let branches = branches()
        return Stage("mixed\(number)") { Concatenate("mixed\(number)") { branches } }
    }

    private func fan(_ name: String) -> any Layer {
        Concatenate(name) {
            convolution(384, Extent(1, 3))
            convolution(384, Extent(3, 1))
        }
    }

    private func projection(_ outputs: Int) -> Sequential {
        Sequential {
            AveragePool2d("average_pooling2d#", kernel: 3, stride: 1, padding: .same)
            convolution(outputs, 1)
        }
    }

    private func chain(_ convolutions: [(outputs: Int, kernel: Extent)]) -> Sequential {
        Sequential { for each in convolutions { convolution(each.outputs, each.kernel) } }
    }

    private func convolution(
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
