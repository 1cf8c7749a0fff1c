// DenseNet: Huang et al. 2016, arXiv:1608.06993, as Keras Applications and torchvision have it.

import GraftNetworks

/// Keras' DenseNet: ε = 1.001e-5.
struct KerasDenseNet: KerasClassifier {
    /// Layers per dense block: the columns of Table 1.
    let depths: [Int]
    static let networks = [
        Architecture("densenet121", KerasDenseNet(depths: [6, 12, 24, 16])),
        Architecture("densenet169", KerasDenseNet(depths: [6, 12, 32, 32])),
        Architecture("densenet201", KerasDenseNet(depths: [6, 12, 48, 32])),
    ]

    var backbone: [any Layer] {
        Stage("conv1") {
            Conv2d("conv1_conv", 64, kernel: 7, stride: 2, padding: 3)
            normalise("conv1_bn")
            ReLU("conv1_relu")
            MaxPool2d("pool1", kernel: 3, stride: 2, padding: .all(1))
        }
        for (index, depth) in depths.enumerated() {
            let stage = "conv\(index + 2)"
            Stage(stage) {
                for layer in 1...depth { Scope("\(stage)_block\(layer)") { dense } }
                if index < depths.count - 1 {
                    Scope("pool\(index + 2)") {
                        normalise("bn")
                        ReLU("relu")
                        Halving("conv")
                        AveragePool2d("pool", kernel: 2, stride: 2)
                    }
                } else {
                    normalise("bn")
                    ReLU("relu")
                }
            }
        }
    }

    private var dense: any Layer {
        Concatenate("concat") {
            Sequential {}
            Sequential {
                normalise("0_bn")
                ReLU("0_relu")
                Conv2d("1_conv", 128, kernel: 1)
                normalise("1_bn")
                ReLU("1_relu")
                Conv2d("2_conv", 32, kernel: 3, padding: 1)
            }
        }
    }

    private func normalise(_ name: String) -> Operation {
        BatchNorm2d(name, epsilon: 1.001e-5, momentum: 0.01)
    }
}

/// torchvision's DenseNet.
struct TorchDenseNet: Blueprint {
    /// Layers per dense block: the columns of Table 1.
    let depths: [Int]
    /// Channels that each layer adds.
    var growth = 32
    /// Channels of the stem.
    var stem = 64
    /// torchvision's names; timm publishes its own weights of the same networks under `timm/…`.
    static let networks = ["torchvision", "timm"].flatMap { publisher in
        [
            ("densenet121", TorchDenseNet(depths: [6, 12, 24, 16])),
            ("densenet161", TorchDenseNet(depths: [6, 12, 36, 24], growth: 48, stem: 96)),
            ("densenet169", TorchDenseNet(depths: [6, 12, 32, 32])),
            ("densenet201", TorchDenseNet(depths: [6, 12, 48, 32])),
        ].map { Architecture("\(publisher)/\($0.0)", $0.1) }
    }
    var naming: Naming { .torch }

    var backbone: [any Layer] {
        Scope("features") {
            Stage("stem") {
                Conv2d("conv0", stem, kernel: 7, stride: 2, padding: 3)
                BatchNorm2d("norm0")
                ReLU("relu0")
                MaxPool2d("pool0", kernel: 3, stride: 2, padding: .all(1))
            }
            for (index, depth) in depths.enumerated() {
                Stage("denseblock\(index + 1)") {
                    for layer in 1...depth {
                        Scope("denseblock\(index + 1).denselayer\(layer)") { dense }
                    }
                    if index < depths.count - 1 {
                        Scope("transition\(index + 1)") {
                            BatchNorm2d("norm")
                            ReLU("relu")
                            Halving("conv")
                            AveragePool2d("pool", kernel: 2, stride: 2)
                        }
                    } else {
                        BatchNorm2d("norm5")
                        ReLU("relu5")
                    }
                }
            }
        }
    }
    var neck: [any Layer] { GlobalAveragePool("avgpool") }
    func head(classes: Int) -> [any Layer] { Linear("classifier", classes) }

    private var dense: any Layer {
        Concatenate("concat") {
            Sequential {}
            Sequential {
                BatchNorm2d("norm1")
                ReLU("relu1")
                Conv2d("conv1", growth * 4, kernel: 1)
                BatchNorm2d("norm2")
                ReLU("relu2")
                Conv2d("conv2", growth, kernel: 3, padding: 1)
            }
        }
    }
}

/// A transition's 1 × 1 convolution to half of the channels.
private struct Halving: Layer {
    let name: String
    init(_ name: String) { self.name = name }
    func apply(to x: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int {
        try Conv2d(name, graph.channels(of: x) / 2, kernel: 1).apply(to: x, in: &graph)
    }
}
