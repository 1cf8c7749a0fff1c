// Inception v3: Szegedy et al. 2015, arXiv:1512.00567, as Keras Applications has it.

import GraftNetworks

/// Keras' Inception v3: nobody named its convolutions, so they are numbered as they are made.
struct KerasInceptionV3: KerasInceptionBlocks {
    static let networks = [Architecture("inceptionv3", input: 299, KerasInceptionV3())]

    var backbone: [any Layer] {
        stem
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
            reduction([(64, 1), (96, 3)], 96)
            halving
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
            reduction([(192, 1)], 320)
            reduction([(192, 1), (192, Extent(1, 7)), (192, Extent(7, 1))], 192)
            halving
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
}
