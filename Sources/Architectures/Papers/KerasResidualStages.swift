// What Keras' ResNet and ResNet V2 share: a stem with a bias, and stages of named blocks.

import GraftNetworks

/// Stages of bottleneck blocks.
protocol KerasResidualStages: KerasClassifier {
    /// Blocks per stage: the rows of Table 1.
    var depths: [Int] { get }
    /// What block `block` (from 1) of `stage` (from 0) computes.
    @LayerBuilder func bottleneck(stage: Int, block: Int) -> [any Layer]
}

extension KerasResidualStages {
    /// The first convolution, 7 × 7.
    var firstConvolution: any Layer {
        Conv2d("conv1_conv", 64, kernel: 7, stride: 2, padding: 3, bias: true)
    }

    /// `conv2_block1` to the last.
    @LayerBuilder
    var stages: [any Layer] {
        for (index, depth) in depths.enumerated() {
            let stage = "conv\(index + 2)"
            Stage(stage) {
                for block in 1...depth {
                    Scope("\(stage)_block\(block)") { bottleneck(stage: index, block: block) }
                }
            }
        }
    }

    /// Keras' ε and momentum.
    func normalise(_ name: String) -> Operation {
        BatchNorm2d(name, epsilon: 1.001e-5, momentum: 0.01)
    }
}
