// Inception v3: Szegedy et al. 2015, arXiv:1512.00567, as torchvision has it.

import GraftNetworks

/// torchvision's Inception v3 without the auxiliary classifier that only training uses.
struct TorchInceptionV3: Blueprint {
    static let networks = [
        Architecture("torchvision/inception_v3", input: 299, TorchInceptionV3()),
        Architecture("timm/inception_v3", input: 299, TorchInceptionV3()),
    ]
    var naming: Naming { .torch }

    var backbone: [any Layer] {
        Stage("stem") {
            TorchBasicConvolution("Conv2d_1a_3x3", 32, kernel: 3, stride: 2, same: false)
            TorchBasicConvolution("Conv2d_2a_3x3", 32, kernel: 3, same: false)
            TorchBasicConvolution("Conv2d_2b_3x3", 64, kernel: 3)
            MaxPool2d("maxpool1", kernel: 3, stride: 2)
            TorchBasicConvolution("Conv2d_3b_1x1", 80, kernel: 1)
            TorchBasicConvolution("Conv2d_4a_3x3", 192, kernel: 3, same: false)
            MaxPool2d("maxpool2", kernel: 3, stride: 2)
        }
        // Figure 5: 35 × 35.
        for (letter, pooled) in [("b", 32), ("c", 64), ("d", 64)] {
            mixed("5\(letter)") {
                chain("branch1x1", [(64, 1)])
                chain("branch5x5", [(48, 1), (64, 5)])
                chain("branch3x3dbl", [(64, 1), (96, 3), (96, 3)])
                projection(pooled)
            }
        }
        mixed("6a") {
            TorchBasicConvolution("branch3x3", 384, kernel: 3, stride: 2, same: false)
            chain("branch3x3dbl", [(64, 1), (96, 3), (96, 3)], reduces: true)
            MaxPool2d("pool", kernel: 3, stride: 2)
        }
        // Figure 6: 17 × 17, with n = 7 factorised.
        for (letter, width) in [("b", 128), ("c", 160), ("d", 160), ("e", 192)] {
            mixed("6\(letter)") {
                chain("branch1x1", [(192, 1)])
                chain("branch7x7", [(width, 1), (width, Extent(1, 7)), (192, Extent(7, 1))])
                chain(
                    "branch7x7dbl",
                    [
                        (width, 1), (width, Extent(7, 1)), (width, Extent(1, 7)),
                        (width, Extent(7, 1)), (192, Extent(1, 7)),
                    ])
                projection(192)
            }
        }
        mixed("7a") {
            chain("branch3x3", [(192, 1), (320, 3)], reduces: true)
            chain(
                "branch7x7x3", [(192, 1), (192, Extent(1, 7)), (192, Extent(7, 1)), (192, 3)],
                reduces: true)
            MaxPool2d("pool", kernel: 3, stride: 2)
        }
        // Figure 7: 8 × 8, with branches that fan out.
        for letter in ["b", "c"] {
            mixed("7\(letter)") {
                TorchBasicConvolution("branch1x1", 320, kernel: 1)
                Sequential {
                    TorchBasicConvolution("branch3x3_1", 384, kernel: 1)
                    fan("branch3x3_2")
                }
                Sequential {
                    TorchBasicConvolution("branch3x3dbl_1", 448, kernel: 1)
                    TorchBasicConvolution("branch3x3dbl_2", 384, kernel: 3)
                    fan("branch3x3dbl_3")
                }
                projection(192)
            }
        }
    }
    var neck: [any Layer] { GlobalAveragePool("avgpool") }
    func head(classes: Int) -> [any Layer] {
        Dropout("dropout", rate: 0.5)
        Linear("fc", classes)
    }

    private func mixed(_ name: String, @LayerBuilder _ branches: () -> [any Layer]) -> any Layer {
        let branches = branches()
        return Stage("Mixed_\(name)") {
            Scope("Mixed_\(name)") { Concatenate("cat") { branches } }
        }
    }

    /// Convolutions called `name_1`, `name_2`…, a single one `name`; the last may halve the map.
    private func chain(
        _ name: String, _ convolutions: [(outputs: Int, kernel: Extent)], reduces: Bool = false
    ) -> Sequential {
        Sequential {
            for (index, each) in convolutions.enumerated() {
                let halves = reduces && index == convolutions.count - 1
                TorchBasicConvolution(
                    convolutions.count == 1 ? name : "\(name)_\(index + 1)", each.outputs,
                    kernel: each.kernel, stride: halves ? 2 : 1, same: !halves)
            }
        }
    }

    private func fan(_ name: String) -> any Layer {
        Concatenate(name) {
            TorchBasicConvolution("\(name)a", 384, kernel: Extent(1, 3))
            TorchBasicConvolution("\(name)b", 384, kernel: Extent(3, 1))
        }
    }

    private func projection(_ outputs: Int) -> Sequential {
        Sequential {
            AveragePool2d("pool", kernel: 3, stride: 1, padding: .all(1), countsPadding: true)
            TorchBasicConvolution("branch_pool", outputs, kernel: 1)
        }
    }

    func renamed(_ name: String) -> String? { name.hasPrefix("AuxLogits.") ? nil : name }
}
