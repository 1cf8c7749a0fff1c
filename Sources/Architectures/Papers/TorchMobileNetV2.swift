// MobileNetV2: Sandler et al. 2018, arXiv:1801.04381, as torchvision has it.

import GraftNetworks

/// torchvision's MobileNetV2: symmetric padding, ε = 1e-5.
struct TorchMobileNetV2: Blueprint {
    static let networks = [Architecture("torchvision/mobilenet_v2", TorchMobileNetV2())]
    var naming: Naming { .torch }

    var backbone: [any Layer] {
        Stage("features.0") {
            TorchConvolution("features.0", 32, kernel: 3, stride: 2, activation: .relu6)
        }
        for block in MobileNetV2Table.blocks(stem: 32) {
            let name = "features.\(block.id + 1)"
            Stage(name) { Scope(name) { invertedResidual(block) } }
        }
        Stage("features.18") {
            TorchConvolution("features.18", 1280, kernel: 1, activation: .relu6)
        }
    }
    var neck: [any Layer] { GlobalAveragePool("avgpool") }
    func head(classes: Int) -> [any Layer] {
        Dropout("classifier.0", rate: 0.2)
        Linear("classifier.1", classes)
    }

    @LayerBuilder
    private func invertedResidual(_ block: MobileNetV2Table.Block) -> [any Layer] {
        if block.adds {
            Add("add") {
                Sequential {}
                Scope("conv") { convolutions(block) }
            }
        } else {
            Scope("conv") { convolutions(block) }
        }
    }

    @LayerBuilder
    private func convolutions(_ block: MobileNetV2Table.Block) -> [any Layer] {
        let first = block.expansion > 1 ? 1 : 0
        if first == 1 { TorchConvolution("0", block.width, kernel: 1, activation: .relu6) }
        TorchConvolution(
            "\(first)", block.width, kernel: 3, stride: block.stride, groups: block.width,
            activation: .relu6)
        Conv2d("\(first + 1)", block.outputs, kernel: 1)
        BatchNorm2d("\(first + 2)")
    }
}
