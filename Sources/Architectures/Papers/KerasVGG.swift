// VGG: Simonyan & Zisserman 2014, arXiv:1409.1556, as Keras Applications has it.

import GraftNetworks

/// Keras' VGG: same padding, maps flattened channels-last.
struct KerasVGG: Blueprint {
    /// Convolutions per block: columns D and E of Table 1.
    let depths: [Int]
    static let networks = [
        Architecture("vgg16", KerasVGG(depths: [2, 2, 3, 3, 3])),
        Architecture("vgg19", KerasVGG(depths: [2, 2, 4, 4, 4])),
    ]
    var naming: Naming { .keras }

    var backbone: [any Layer] {
        for (index, depth) in depths.enumerated() {
            let block = "block\(index + 1)"
            Stage(block) {
                for convolution in 1...depth {
                    let name = "\(block)_conv\(convolution)"
                    Conv2d(name, min(64 << index, 512), kernel: 3, padding: 1, bias: true)
                    ReLU("\(name)_relu")
                }
                MaxPool2d("\(block)_pool", kernel: 2, stride: 2)
            }
        }
    }
    var neck: [any Layer] {
        Stage("fc") {
            Flatten("flatten", channelsLast: true)
            Linear("fc1", 4096)
            ReLU("fc1_relu")
            Linear("fc2", 4096)
            ReLU("fc2_relu")
        }
    }
    func head(classes: Int) -> [any Layer] { KerasPredictions(classes) }
}
