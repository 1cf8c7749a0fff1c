// RegNet: Radosavovic et al. 2020, arXiv:2003.13678, as torchvision has it.

import Glibc
import GraftNetworks

/// torchvision's RegNetX and RegNetY (with squeeze-and-excite): widths from a quantised line.
struct TorchRegNet: Blueprint {
    /// Blocks.
    let depth: Int
    /// The line's start, slope and base: w₀, wₐ, w_m.
    let start: Int
    let slope: Float
    let base: Double
    let groupWidth: Int
    /// RegNetY.
    let squeezes: Bool
    var naming: Naming { .torch }

    /// Tables of section 5 and appendix D: d, w₀, wₐ, w_m, g.
    static let networks =
        [
            ("y_400mf", 16, 48, 27.89, 2.09, 8), ("y_800mf", 14, 56, 38.84, 2.4, 16),
            ("y_1_6gf", 27, 48, 20.71, 2.65, 24), ("y_3_2gf", 21, 80, 42.63, 2.66, 24),
            ("y_8gf", 17, 192, 76.82, 2.19, 56), ("y_16gf", 18, 200, 106.23, 2.48, 112),
            ("y_32gf", 20, 232, 115.89, 2.53, 232), ("y_128gf", 27, 456, 160.83, 2.52, 264),
            ("x_400mf", 22, 24, 24.48, 2.54, 16), ("x_800mf", 16, 56, 35.73, 2.28, 16),
            ("x_1_6gf", 18, 80, 34.01, 2.25, 24), ("x_3_2gf", 25, 88, 26.31, 2.25, 48),
            ("x_8gf", 23, 80, 49.56, 2.88, 120), ("x_16gf", 22, 216, 55.59, 2.1, 128),
            ("x_32gf", 23, 320, 69.86, 2.0, 168),
        ].map {
            (name: String, depth: Int, start: Int, slope: Float, base: Double, group: Int) in
            Architecture(
                "torchvision/regnet_\(name)",
                TorchRegNet(
                    depth: depth, start: start, slope: slope, base: base, groupWidth: group,
                    squeezes: name.hasPrefix("y")))
        }

    private struct StageRow {
        var width: Int
        var depth: Int
        var groupWidth: Int
    }

    /// Equations 2 to 4: each block's width is w₀ · w_m^round(log(uⱼ / w₀) / log w_m) as a multiple
    /// of 8; blocks of equal width are a stage, whose width is then made a multiple of the groups'.
    private var stages: [StageRow] {
        var rows: [StageRow] = []
        for block in 0..<depth {
            let line = Float(block) * slope + Float(start)
            let capacity =
                (Double(logf(line / Float(start))) / log(base)).rounded(.toNearestOrEven)
            let width =
                Int((Double(start) * pow(base, capacity) / 8).rounded(.toNearestOrEven)) * 8
            if let last = rows.last, last.width == width {
                rows[rows.count - 1].depth += 1
            } else {
                rows.append(StageRow(width: width, depth: 1, groupWidth: 0))
            }
        }
        return rows.map {
            let group = min(groupWidth, $0.width)
            return StageRow(
                width: divisible(Float($0.width), by: group), depth: $0.depth, groupWidth: group)
        }
    }

    var backbone: [any Layer] {
        Stage("stem") { TorchConvolution("stem", 32, kernel: 3, stride: 2) }
        let stages = self.stages
        for (index, stage) in stages.enumerated() {
            let name = "block\(index + 1)"
            let before = index == 0 ? 32 : stages[index - 1].width
            Stage(name) {
                for block in 0..<stage.depth {
                    Scope("trunk_output.\(name).\(name)-\(block)") {
                        residual(
                            stage, inputs: block == 0 ? before : stage.width, first: block == 0)
                    }
                }
            }
        }
    }
    var neck: [any Layer] { GlobalAveragePool("avgpool") }
    func head(classes: Int) -> [any Layer] { Linear("fc", classes) }

    @LayerBuilder
    private func residual(_ stage: StageRow, inputs: Int, first: Bool) -> [any Layer] {
        let stride = first ? 2 : 1
        Add("add") {
            Sequential {
                if first {
                    TorchConvolution(
                        "proj", stage.width, kernel: 1, stride: stride, activation: nil)
                }
            }
            Scope("f") {
                TorchConvolution("a", stage.width, kernel: 1)
                TorchConvolution(
                    "b", stage.width, kernel: 3, stride: stride,
                    groups: stage.width / stage.groupWidth)
                if squeezes {
                    Scope("se") {
                        SqueezeExcite(
                            "se", reduce: "fc1", expand: "fc2",
                            squeezed: Int((0.25 * Double(inputs)).rounded(.toNearestOrEven)),
                            channels: stage.width, activation: .relu)
                    }
                }
                TorchConvolution("c", stage.width, kernel: 1, activation: nil)
            }
        }
        ReLU("activation")
    }
}
