// The Swin transformer: Liu et al. 2021, arXiv:2103.14030, as timm and torchvision have it.

import GraftNetworks
import GraftTensors

/// Swin v1 under either publisher's names.
struct SwinTransformer: Blueprint {
    /// The channels of the first stage; each next has twice as many.
    let width: Int
    /// The blocks of each stage.
    let depths: [Int]
    /// The heads of each stage.
    let heads: [Int]
    let window: Int
    /// The last block's probability to be left out in training.
    var dropRate: Float = 0
    let names: Names
    var naming: Naming { .torch }

    /// A publisher's names.
    enum Names {
        case timm, torchvision
    }

    /// Section 3.3 and table 1: the width, the blocks of the third stage and the heads of the first.
    private static let sizes: [(name: String, width: Int, depth: Int, heads: Int)] = [
        ("tiny", 96, 6, 3), ("small", 96, 18, 3), ("base", 128, 18, 4), ("large", 192, 18, 6),
    ]

    static let timm: [Architecture] = sizes.flatMap { size in
        [(7, 224), (12, 384)].compactMap { window, image in
            window == 12 && !["base", "large"].contains(size.name)
                ? nil
                : Architecture(
                    "timm/swin_\(size.name)_patch4_window\(window)_\(image)", input: Extent(image),
                    SwinTransformer(size, window: window, names: .timm))
        }
    }

    static let torchvision: [Architecture] = zip(sizes, [0.2, 0.3, 0.5]).map { size, rate in
        Architecture(
            "torchvision/swin_\(size.name.prefix(1))",
            SwinTransformer(size, window: 7, dropRate: rate, names: .torchvision))
    }

    private init(
        _ size: (name: String, width: Int, depth: Int, heads: Int), window: Int,
        dropRate: Float = 0, names: Names
    ) {
        width = size.width
        depths = [2, 2, size.depth, 2]
        heads = (0..<4).map { size.heads << $0 }
        self.window = window
        self.dropRate = dropRate
        self.names = names
    }

    private func block(_ index: Int, ofStage stage: Int) -> String {
        names == .timm ? "layers.\(stage).blocks.\(index)" : "features.\(2 * stage + 1).\(index)"
    }

    var backbone: [any Layer] {
        for (stage, depth) in depths.enumerated() {
            Stage("stage\(stage + 1)") {
                if stage == 0 {
                    Conv2d(
                        names == .timm ? "patch_embed.proj" : "features.0.0", width, kernel: 4,
                        stride: 4, bias: true)
                    Operation(.transpose([0, 2, 3, 1]), "channels_last")
                    MapNorm(
                        names == .timm ? "patch_embed.norm" : "features.0.2",
                        epsilon: SwinBlock.epsilon)
                } else {
                    Scope(
                        names == .timm ? "layers.\(stage).downsample" : "features.\(2 * stage)"
                    ) { PatchMerging() }
                }
                for index in 0..<depth {
                    Scope(block(index, ofStage: stage)) {
                        SwinBlock(
                            perceptron: names == .timm
                                ? ("mlp.fc1", "mlp.fc2") : ("mlp.0", "mlp.3"),
                            heads: heads[stage], window: window, isShifted: index % 2 == 1,
                            dropRate: dropRate * Float(depths[..<stage].reduce(index, +))
                                / Float(depths.reduce(-1, +)))
                    }
                }
            }
        }
        Stage("stage4") { MapNorm("norm", epsilon: SwinBlock.epsilon) }
    }
    var neck: [any Layer] {
        Operation(.reduce(.mean, axes: [1, 2], keepsAxes: false), "pooled")
    }
    var bareNeck: [any Layer] { neck }
    func head(classes: Int) -> [any Layer] { Linear(names == .timm ? "head.fc" : "head", classes) }

    /// Both publishers' files may hold what follows from the size of a window; Microsoft's merge patches at the
    /// end of a stage and call the classifier otherwise.
    func renamed(_ name: String) -> String? {
        let last = CheckpointNames.last(name)
        return last == "relative_position_index" || last == WindowPlan.mask ? nil : name
    }

    var firstKernel: [Int]? { [width, 4, 4] }

    /// The masks of shifted windows, for images of this size.
    func constants(at input: Extent) -> [String: LazyTensor] {
        var result: [String: LazyTensor] = [:]
        var (height, width) = (input.height / 4, input.width / 4)
        for (stage, depth) in depths.enumerated() {
            if stage > 0 { (height, width) = ((height + 1) / 2, (width + 1) / 2) }
            guard height > 0, width > 0 else { return [:] }
            let plan = WindowPlan(map: [1, height, width, 1], window: window, isShifted: true)
            guard let mask = plan.maskNumbers else { continue }
            for index in stride(from: 1, to: depth, by: 2) {
                result["\(block(index, ofStage: stage)).\(WindowPlan.mask)"] = mask
            }
        }
        return result
    }
}

/// Four neighbours as one pixel of four times the channels, normalised and halved (section 3.1).
private struct PatchMerging: Layer {
    func apply(to x: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int {
        var value = x
        var shape = graph.shapes[x]
        if shape[1] % 2 + shape[2] % 2 > 0 {
            value = try graph.add(
                .padAxes(
                    before: [0, 0, 0, 0], after: [0, shape[1] % 2, shape[2] % 2, 0],
                    mode: .constant), name: "padded", inputs: [value])
            shape = graph.shapes[value]
        }
        let (height, width, channels) = (shape[1] / 2, shape[2] / 2, shape[3])
        value = try graph.add(
            .view([0, height, 2, width, 2, channels]), name: "cells", inputs: [value])
        // The four are ordered by columns: (0, 0), (1, 0), (0, 1), (1, 1).
        value = try graph.add(.transpose([0, 1, 3, 4, 2, 5]), name: "by_column", inputs: [value])
        value = try graph.add(
            .view([0, height, width, 4 * channels]), name: "joined", inputs: [value])
        value = try MapNorm("norm", epsilon: SwinBlock.epsilon).apply(to: value, in: &graph)
        return try Linear("reduction", 2 * channels, bias: false).apply(to: value, in: &graph)
    }
}
