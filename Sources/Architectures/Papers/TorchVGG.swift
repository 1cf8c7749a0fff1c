// VGG: Simonyan & Zisserman 2014, arXiv:1409.1556, as torchvision has it.

import GraftNetworks

/// torchvision's VGG: an adaptive pool to 7 × 7 before the classifier, and dropout in it.
struct TorchVGG: Blueprint {
    /// Convolutions per block: Table 1.
    let depths: [Int]
    /// Whether a batch normalisation follows every convolution.
    var normalised = false
    /// timm has convolutions where torchvision has linear layers, and pools after them.
    var isTimm = false
    static let networks = [
        (11, [1, 1, 2, 2, 2]), (13, [2, 2, 2, 2, 2]), (16, [2, 2, 3, 3, 3]), (19, [2, 2, 4, 4, 4]),
    ].flatMap { (layers: Int, depths: [Int]) in
        ["torchvision", "timm"].flatMap { publisher in
            [("", false), ("_bn", true)].map { suffix, normalised in
                Architecture(
                    "\(publisher)/vgg\(layers)\(suffix)",
                    TorchVGG(depths: depths, normalised: normalised, isTimm: publisher == "timm"))
            }
        }
    }
    var naming: Naming { .torch }

    var backbone: [any Layer] {
        for (block, start) in starts.enumerated() {
            Stage("block\(block + 1)") {
                for index in 0..<depths[block] {
                    let at = start + index * (normalised ? 3 : 2)
                    Conv2d(
                        "features.\(at)", min(64 << block, 512), kernel: 3, padding: 1, bias: true)
                    if normalised { BatchNorm2d("features.\(at + 1)") }
                    ReLU("features.\(at + (normalised ? 2 : 1))")
                }
                MaxPool2d(
                    "features.\(start + depths[block] * (normalised ? 3 : 2))", kernel: 2, stride: 2
                )
            }
        }
    }
    /// The place of each block in the flat `features` list.
    private var starts: [Int] {
        depths.indices.map { block in
            depths[..<block].reduce(0) { $0 + $1 * (normalised ? 3 : 2) + 1 }
        }
    }
    var neck: [any Layer] {
        Stage(isTimm ? "pre_logits" : "classifier") { isTimm ? timmNeck : torchNeck }
    }
    @LayerBuilder private var timmNeck: [any Layer] {
        Conv2d("pre_logits.fc1", 4096, kernel: 7, bias: true)
        ReLU("pre_logits.act1")
        Conv2d("pre_logits.fc2", 4096, kernel: 1, bias: true)
        ReLU("pre_logits.act2")
        GlobalAveragePool("head.global_pool")
    }
    @LayerBuilder private var torchNeck: [any Layer] {
        AdaptiveAveragePool2d("avgpool", 7)
        Flatten("flatten")
        Linear("classifier.0", 4096)
        ReLU("classifier.1")
        Dropout("classifier.2", rate: 0.5)
        Linear("classifier.3", 4096)
        ReLU("classifier.4")
    }
    func head(classes: Int) -> [any Layer] {
        Dropout("classifier.5", rate: 0.5)
        Linear(isTimm ? "head.fc" : "classifier.6", classes)
    }
}
