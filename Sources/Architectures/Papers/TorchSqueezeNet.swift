// SqueezeNet: Iandola et al. 2016, arXiv:1602.07360, as torchvision has it.

import GraftNetworks

/// torchvision's SqueezeNet 1.0 and 1.1. Its classifier is a convolution over the last map, whose
/// scores are then averaged; the embedding beside it is the mean of that map.
struct TorchSqueezeNet: Blueprint {
    /// 1.0's stem, and after which fire modules it pools, or 1.1's.
    let newer: Bool
    var naming: Naming { .torch }
    var headReadsMap: Bool { true }

    static let networks = [
        Architecture("torchvision/squeezenet1_0", TorchSqueezeNet(newer: false)),
        Architecture("torchvision/squeezenet1_1", TorchSqueezeNet(newer: true)),
    ]

    /// Table 1: squeezed channels of fire 2 … 9; each expands to 8 times as many.
    private static let squeezed = [16, 16, 32, 32, 48, 48, 64, 64]

    var backbone: [any Layer] {
        Stage("stem") {
            Conv2d(
                "features.0", newer ? 64 : 96, kernel: newer ? 3 : 7, stride: 2, bias: true)
            ReLU("features.1")
            pool(2)
        }
        for (index, squeezed) in Self.squeezed.enumerated() {
            let place = index + 3 + pools.count { $0 <= index }
            Stage("fire\(index + 2)") {
                if pools.contains(index) { pool(place - 1) }
                Scope("features.\(place)") { fire(squeezed) }
            }
        }
    }
    /// The fire modules that come after a pool.
    private var pools: [Int] { newer ? [2, 4] : [3, 7] }

    var neck: [any Layer] { GlobalAveragePool("embedding") }
    func head(classes: Int) -> [any Layer] {
        Dropout("classifier.0", rate: 0.5)
        Conv2d("classifier.1", classes, kernel: 1, bias: true)
        ReLU("classifier.2")
        GlobalAveragePool("classifier.3")
    }

    private func pool(_ place: Int) -> Operation {
        MaxPool2d("features.\(place)", kernel: 3, stride: 2, roundsUp: true)
    }

    @LayerBuilder
    private func fire(_ squeezed: Int) -> [any Layer] {
        Conv2d("squeeze", squeezed, kernel: 1, bias: true)
        ReLU("squeeze_activation")
        Concatenate("cat") {
            Sequential {
                Conv2d("expand1x1", squeezed * 4, kernel: 1, bias: true)
                ReLU("expand1x1_activation")
            }
            Sequential {
                Conv2d("expand3x3", squeezed * 4, kernel: 3, padding: 1, bias: true)
                ReLU("expand3x3_activation")
            }
        }
    }
}
