// GoogLeNet: Szegedy et al. 2014, arXiv:1409.4842, as torchvision has it.

import GraftNetworks

/// torchvision's GoogLeNet: with BatchNorm, 3 × 3 where the paper has 5 × 5, and without the
/// auxiliary classifiers that only training uses.
struct TorchGoogLeNet: Blueprint {
    static let networks = [Architecture("torchvision/googlenet", TorchGoogLeNet())]
    var naming: Naming { .torch }

    /// Table 1: #1×1, #3×3 reduce, #3×3, #5×5 reduce, #5×5, pool proj, by stage.
    private static let rows: [[(String, Int, Int, Int, Int, Int, Int)]] = [
        [("3a", 64, 96, 128, 16, 32, 32), ("3b", 128, 128, 192, 32, 96, 64)],
        [
            ("4a", 192, 96, 208, 16, 48, 64), ("4b", 160, 112, 224, 24, 64, 64),
            ("4c", 128, 128, 256, 24, 64, 64), ("4d", 112, 144, 288, 32, 64, 64),
            ("4e", 256, 160, 320, 32, 128, 128),
        ],
        [("5a", 256, 160, 320, 32, 128, 128), ("5b", 384, 192, 384, 48, 128, 128)],
    ]

    var backbone: [any Layer] {
        Stage("stem") {
            TorchBasicConvolution("conv1", 64, kernel: 7, stride: 2)
            MaxPool2d("maxpool1", kernel: 3, stride: 2, roundsUp: true)
            TorchBasicConvolution("conv2", 64, kernel: 1)
            TorchBasicConvolution("conv3", 192, kernel: 3)
            MaxPool2d("maxpool2", kernel: 3, stride: 2, roundsUp: true)
        }
        for (index, stage) in Self.rows.enumerated() {
            Stage("inception\(index + 3)") {
                for row in stage { Scope("inception\(row.0)") { inception(row) } }
                if index == 0 { MaxPool2d("maxpool3", kernel: 3, stride: 2, roundsUp: true) }
                if index == 1 { MaxPool2d("maxpool4", kernel: 2, stride: 2, roundsUp: true) }
            }
        }
    }
    var neck: [any Layer] { GlobalAveragePool("avgpool") }
    func head(classes: Int) -> [any Layer] {
        Dropout("dropout", rate: 0.2)
        Linear("fc", classes)
    }

    private func inception(_ row: (String, Int, Int, Int, Int, Int, Int)) -> any Layer {
        Concatenate("cat") {
            TorchBasicConvolution("branch1", row.1, kernel: 1)
            Sequential {
                TorchBasicConvolution("branch2.0", row.2, kernel: 1)
                TorchBasicConvolution("branch2.1", row.3, kernel: 3)
            }
            Sequential {
                TorchBasicConvolution("branch3.0", row.4, kernel: 1)
                TorchBasicConvolution("branch3.1", row.5, kernel: 3)
            }
            Sequential {
                MaxPool2d("branch4.0", kernel: 3, stride: 1, padding: .all(1), roundsUp: true)
                TorchBasicConvolution("branch4.1", row.6, kernel: 1)
            }
        }
    }

    func renamed(_ name: String) -> String? {
        name.hasPrefix("aux1.") || name.hasPrefix("aux2.") ? nil : name
    }
}
