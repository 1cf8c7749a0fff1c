// ResNet: He et al. 2015, arXiv:1512.03385, as torchvision has it.

import GraftNetworks

/// torchvision's ResNet, ResNeXt (arXiv:1611.05431) and Wide ResNet (arXiv:1605.07146): the stride
/// sits on the 3 × 3 ("v1.5").
struct TorchResNet: Blueprint {
    /// Blocks per stage: the rows of Table 1.
    let depths: [Int]
    /// Whether blocks are 1×1, 3×3, 1×1 rather than two 3×3.
    var bottleneck = true
    /// Groups of the 3 × 3.
    var groups = 1
    /// Width of a group where a stage has 64 channels.
    var groupWidth = 64
    /// torchvision's names; timm publishes its own weights of the same networks under `timm/…`.
    static let networks = ["torchvision", "timm"].flatMap { publisher in
        sizes.map { Architecture("\(publisher)/\($0.0)", $0.1) }
    }
    private static let sizes = [
        ("resnet18", TorchResNet(depths: [2, 2, 2, 2], bottleneck: false)),
        ("resnet34", TorchResNet(depths: [3, 4, 6, 3], bottleneck: false)),
        ("resnet50", TorchResNet(depths: [3, 4, 6, 3])),
        ("resnet101", TorchResNet(depths: [3, 4, 23, 3])),
        ("resnet152", TorchResNet(depths: [3, 8, 36, 3])),
        ("resnext50_32x4d", TorchResNet(depths: [3, 4, 6, 3], groups: 32, groupWidth: 4)),
        ("resnext101_32x8d", TorchResNet(depths: [3, 4, 23, 3], groups: 32, groupWidth: 8)),
        ("resnext101_64x4d", TorchResNet(depths: [3, 4, 23, 3], groups: 64, groupWidth: 4)),
        ("wide_resnet50_2", TorchResNet(depths: [3, 4, 6, 3], groupWidth: 128)),
        ("wide_resnet101_2", TorchResNet(depths: [3, 4, 23, 3], groupWidth: 128)),
    ]
    var naming: Naming { .torch }

    var backbone: [any Layer] {
        Stage("conv1") {
            Conv2d("conv1", 64, kernel: 7, stride: 2, padding: 3)
            BatchNorm2d("bn1")
            ReLU("relu")
            MaxPool2d("maxpool", kernel: 3, stride: 2, padding: .all(1))
        }
        for (index, depth) in depths.enumerated() {
            Stage("layer\(index + 1)") {
                for block in 0..<depth {
                    Scope("layer\(index + 1).\(block)") {
                        residual(stage: index, stride: index > 0 && block == 0 ? 2 : 1, block)
                    }
                }
            }
        }
    }
    var neck: [any Layer] { GlobalAveragePool("avgpool") }
    func head(classes: Int) -> [any Layer] { Linear("fc", classes) }

    @LayerBuilder
    private func residual(stage: Int, stride: Int, _ block: Int) -> [any Layer] {
        let planes = 64 << stage
        let width = planes * groupWidth / 64 * groups
        let outputs = bottleneck ? planes * 4 : planes
        Add("add") {
            Sequential {
                if bottleneck {
                    Conv2d("conv1", width, kernel: 1)
                    BatchNorm2d("bn1")
                    ReLU("relu1")
                    Conv2d(
                        "conv2", width, kernel: 3, stride: Extent(stride), padding: 1,
                        groups: groups)
                    BatchNorm2d("bn2")
                    ReLU("relu2")
                    Conv2d("conv3", outputs, kernel: 1)
                    BatchNorm2d("bn3")
                } else {
                    Conv2d("conv1", planes, kernel: 3, stride: Extent(stride), padding: 1)
                    BatchNorm2d("bn1")
                    ReLU("relu1")
                    Conv2d("conv2", planes, kernel: 3, padding: 1)
                    BatchNorm2d("bn2")
                }
            }
            Sequential {
                if block == 0, bottleneck || stage > 0 {
                    Conv2d("downsample.0", outputs, kernel: 1, stride: Extent(stride))
                    BatchNorm2d("downsample.1")
                }
            }
        }
        ReLU("relu")
    }
}
