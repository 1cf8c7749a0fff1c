// MnasNet-B1: Tan et al. 2018, arXiv:1807.11626, as torchvision has it.

import GraftNetworks

/// torchvision's MNASNet: symmetric padding, plain ReLU.
struct TorchMNASNet: Blueprint {
    /// Multiplies channels.
    let alpha: Float
    var naming: Naming { .torch }
    /// Version 1 had a stem that did not grow with α.
    var torchVersion: Int? { 2 }

    static let networks = [("0_5", 0.5), ("0_75", 0.75), ("1_0", 1), ("1_3", 1.3)].map {
        (size: String, alpha: Float) in
        Architecture("torchvision/mnasnet\(size)", TorchMNASNet(alpha: alpha))
    }

    /// Figure 7 of the first version: outputs, kernel, stride, expansion, repeats.
    private static let rows: [(outputs: Int, kernel: Int, stride: Int, expansion: Int, Int)] = [
        (24, 3, 2, 3, 3), (40, 5, 2, 3, 3), (80, 5, 2, 6, 3), (96, 3, 1, 6, 2), (192, 5, 2, 6, 4),
        (320, 3, 1, 6, 1),
    ]

    private func width(_ channels: Int) -> Int { divisible(Float(channels) * alpha) }

    var backbone: [any Layer] {
        Scope("layers") {
            Stage("stem") {
                Conv2d("0", width(32), kernel: 3, stride: 2, padding: 1)
                normalise("1")
                ReLU("2")
                DepthwiseConv2d("3", kernel: 3, padding: .all(1))
                normalise("4")
                ReLU("5")
                Conv2d("6", width(16), kernel: 1)
                normalise("7")
            }
            for (index, row) in Self.rows.enumerated() {
                let before = index == 0 ? 16 : Self.rows[index - 1].outputs
                Stage("stack\(index + 1)") {
                    for block in 0..<row.4 {
                        Scope("\(index + 8).\(block)") {
                            invertedResidual(
                                inputs: width(block == 0 ? before : row.outputs),
                                outputs: width(row.outputs), kernel: row.kernel,
                                stride: block == 0 ? row.stride : 1, expansion: row.expansion)
                        }
                    }
                }
            }
            Stage("top") {
                Conv2d("14", 1280, kernel: 1)
                normalise("15")
                ReLU("16")
            }
        }
    }
    var neck: [any Layer] { GlobalAveragePool("mean") }
    func head(classes: Int) -> [any Layer] {
        Dropout("classifier.0", rate: 0.2)
        Linear("classifier.1", classes)
    }

    @LayerBuilder
    private func invertedResidual(
        inputs: Int, outputs: Int, kernel: Int, stride: Int, expansion: Int
    ) -> [any Layer] {
        let layers = Scope("layers") {
            Conv2d("0", inputs * expansion, kernel: 1)
            normalise("1")
            ReLU("2")
            DepthwiseConv2d(
                "3", kernel: Extent(kernel), stride: Extent(stride), padding: .all(kernel / 2))
            normalise("4")
            ReLU("5")
            Conv2d("6", outputs, kernel: 1)
            normalise("7")
        }
        if stride == 1, inputs == outputs {
            Add("add") {
                layers
                Sequential {}
            }
        } else {
            layers
        }
    }

    private func normalise(_ name: String) -> Operation {
        BatchNorm2d(name, momentum: 1 - 0.9997)
    }
}
