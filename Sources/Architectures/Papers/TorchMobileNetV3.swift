// MobileNetV3: Howard et al. 2019, arXiv:1905.02244, as torchvision has it.

import GraftNetworks

/// torchvision's MobileNetV3: symmetric padding, ε = 1e-3.
struct TorchMobileNetV3: Blueprint {
    /// Tables 1 and 2.
    let rows: [MobileNetV3Table.Row]
    /// Channels of the embedding.
    let embedding: Int
    var naming: Naming { .torch }

    static let networks = [
        Architecture(
            "torchvision/mobilenet_v3_large",
            TorchMobileNetV3(rows: MobileNetV3Table.large, embedding: 1280)),
        Architecture(
            "torchvision/mobilenet_v3_small",
            TorchMobileNetV3(rows: MobileNetV3Table.small, embedding: 1024)),
    ]

    private var last: Int { (rows.last?.outputs ?? 0) * 6 }

    var backbone: [any Layer] {
        Stage("features.0") { convolution("features.0", 16, kernel: 3, stride: 2, .hardSwish) }
        for (index, row) in rows.enumerated() {
            let name = "features.\(index + 1)"
            let inputs = index == 0 ? 16 : rows[index - 1].outputs
            Stage(name) {
                Scope(name) {
                    if row.stride == 1, inputs == row.outputs {
                        Add("add") {
                            Sequential { block(row, inputs) }
                            Sequential {}
                        }
                    } else {
                        block(row, inputs)
                    }
                }
            }
        }
        let name = "features.\(rows.count + 1)"
        Stage(name) { convolution(name, last, kernel: 1, .hardSwish) }
    }
    var neck: [any Layer] {
        Stage("classifier") {
            GlobalAveragePool("avgpool")
            Linear("classifier.0", embedding)
            HardSwish("classifier.1")
        }
    }
    func head(classes: Int) -> [any Layer] {
        Dropout("classifier.2", rate: 0.2)
        Linear("classifier.3", classes)
    }

    private func block(_ row: MobileNetV3Table.Row, _ inputs: Int) -> Scope {
        let activation: Activation = row.hs ? .hardSwish : .relu
        let expands = row.width != inputs
        let depthwise = expands ? 1 : 0
        let project = depthwise + (row.se ? 2 : 1)
        return Scope("block") {
            if expands { convolution("0", row.width, kernel: 1, activation) }
            convolution(
                "\(depthwise)", row.width, kernel: row.kernel, stride: row.stride,
                groups: row.width, activation)
            if row.se {
                Scope("\(depthwise + 1)") {
                    SqueezeExcite(
                        "se", reduce: "fc1", expand: "fc2",
                        squeezed: divisible(Float(row.width / 4)), channels: row.width,
                        activation: .relu, gate: .hardSigmoid)
                }
            }
            convolution("\(project)", row.outputs, kernel: 1, nil)
        }
    }

    private func convolution(
        _ name: String, _ outputs: Int, kernel: Int, stride: Int = 1, groups: Int = 1,
        _ activation: Activation?
    ) -> Scope {
        TorchConvolution(
            name, outputs, kernel: kernel, stride: stride, groups: groups, epsilon: 1e-3,
            momentum: 0.01, activation: activation)
    }
}
