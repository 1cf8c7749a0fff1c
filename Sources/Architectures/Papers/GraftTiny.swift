// A network small enough to learn from nothing in seconds: for demos and tests without a network.

import GraftNetworks

/// Four convolutions that halve the map, as in the stems of VGG (arXiv:1409.1556) with strides for
/// pools; 77,000 weights, no BatchNorm. Nobody has published weights for it.
struct GraftTiny: Blueprint {
    private let widths = [16, 32, 64, 96]
    static let networks = [Architecture("graft/tiny", input: 64, GraftTiny())]
    var naming: Naming { .torch }

    var backbone: [any Layer] {
        for (index, width) in widths.enumerated() {
            Stage("block\(index + 1)") {
                Conv2d(
                    "conv\(index + 1)", width, kernel: 3, stride: 2, padding: 1, bias: true)
                ReLU("relu\(index + 1)")
            }
        }
    }
    var neck: [any Layer] { GlobalAveragePool("pool") }
    func head(classes: Int) -> [any Layer] { Linear("fc", classes) }
}
