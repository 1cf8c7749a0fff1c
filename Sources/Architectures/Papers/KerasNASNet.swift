// NASNet-A: Zoph et al. 2017, arXiv:1707.07012, as Keras Applications has it.

import GraftNetworks
import GraftTensors

/// Keras' NASNet: two searched cells, each reading the two values before it (figure 4).
struct KerasNASNet: KerasClassifier {
    /// Normal cells per resolution: N.
    let repeats: Int
    /// Channels of the last cells' output.
    let penultimate: Int
    let stem: Int
    /// Whether the cell after a reduction reads what came before the reduction's input.
    let skipsReduction: Bool

    static let networks = [
        Architecture(
            "nasnetmobile",
            KerasNASNet(repeats: 4, penultimate: 1056, stem: 32, skipsReduction: false)),
        Architecture(
            "nasnetlarge", input: 331,
            KerasNASNet(repeats: 6, penultimate: 4032, stem: 96, skipsReduction: true)),
    ]

    var backbone: [any Layer] {
        Stage("stem") {
            Conv2d("stem_conv1", stem, kernel: 3, stride: 2)
            BatchNorm2d("stem_bn1", epsilon: 1e-3, momentum: 0.0003)
        }
        Cells(repeats: repeats, filters: penultimate / 24, skipsReduction: skipsReduction)
        ReLU("activation#")
    }
    var neck: [any Layer] { GlobalAveragePool("global_average_pooling2d") }
}

/// All cells: two reductions as a stem, then N normal ones, a reduction, N, a reduction, N.
private struct Cells: Layer {
    let repeats: Int
    let filters: Int
    let skipsReduction: Bool

    func apply(to start: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int {
        graph.stage = "stem"
        var (x, p) = try reduction(start, nil, filters / 4, "stem_1", in: &graph)
        (x, p) = try reduction(x, p, filters / 2, "stem_2", in: &graph)
        for level in 0..<3 {
            graph.stage = "level\(level)"
            if level > 0 {
                let (next, before) = try reduction(
                    x, p, filters << level, "reduce_\(level * repeats)", in: &graph)
                x = next
                if !skipsReduction { p = before }
            }
            for cell in 0..<repeats {
                let id = level * repeats + cell + (level > 0 ? 1 : 0)
                (x, p) = try normal(x, p, filters << level, "\(id)", in: &graph)
            }
        }
        return x
    }

    /// Figure 4, left: the normal cell.
    private func normal(
        _ x: Int, _ before: Int, _ filters: Int, _ id: String, in graph: inout GraphBuilder
    ) throws(NetworkError) -> (Int, Int) {
        let p = try adjusted(before, to: x, filters, id, in: &graph)
        let h = try squeezed("normal", x, filters, id, in: &graph)
        func separable(_ from: Int, _ kernel: Int, _ name: String, _ graph: inout GraphBuilder)
            throws(NetworkError) -> Int
        {
            try Separable(kernel: kernel, filters: filters, id: "normal_\(name)_\(id)")
                .apply(to: from, in: &graph)
        }
        func mean(_ from: Int, _ name: String, _ graph: inout GraphBuilder)
            throws(NetworkError) -> Int
        {
            try AveragePool2d("normal_\(name)_\(id)", kernel: 3, stride: 1, padding: .same)
                .apply(to: from, in: &graph)
        }
        var sums: [Int] = []
        func add(_ a: Int, _ b: Int, _ graph: inout GraphBuilder) throws(NetworkError) {
            let name = "normal_add_\(sums.count + 1)_\(id)"
            sums.append(try graph.add(.add, name: name, inputs: [a, b]))
        }
        try add(separable(h, 5, "left1", &graph), separable(p, 3, "right1", &graph), &graph)
        try add(separable(p, 5, "left2", &graph), separable(p, 3, "right2", &graph), &graph)
        try add(mean(h, "left3", &graph), p, &graph)
        try add(mean(p, "left4", &graph), mean(p, "right4", &graph), &graph)
        try add(separable(h, 3, "left5", &graph), h, &graph)
        let joined = try graph.add(
            .concatenate, name: "normal_concat_\(id)", inputs: [p] + sums)
        return (joined, x)
    }

    /// Figure 4, right: the reduction cell.
    private func reduction(
        _ x: Int, _ before: Int?, _ filters: Int, _ id: String, in graph: inout GraphBuilder
    ) throws(NetworkError) -> (Int, Int) {
        var p = x
        if let before { p = try adjusted(before, to: x, filters, id, in: &graph) }
        let h = try squeezed("reduction", x, filters, id, in: &graph)
        func separable(
            _ from: Int, _ kernel: Int, _ stride: Int, _ name: String, _ graph: inout GraphBuilder
        ) throws(NetworkError) -> Int {
            try Separable(
                kernel: kernel, stride: stride, filters: filters, id: "reduction_\(name)_\(id)"
            ).apply(to: from, in: &graph)
        }
        // Keras pads `h` with zeros first: the pools see them.
        func largest(_ name: String, _ graph: inout GraphBuilder) throws(NetworkError) -> Int {
            try MaxPool2d("reduction_\(name)_\(id)", kernel: 3, stride: 2, padding: .zeroSame)
                .apply(to: h, in: &graph)
        }
        let one = try graph.add(
            .add, name: "reduction_add_1_\(id)",
            inputs: [
                separable(h, 5, 2, "left1", &graph), separable(p, 7, 2, "right1", &graph),
            ])
        let two = try graph.add(
            .add, name: "reduction_add_2_\(id)",
            inputs: [largest("left2", &graph), separable(p, 7, 2, "right2", &graph)])
        let mean = try AveragePool2d(
            "reduction_left3_\(id)", kernel: 3, stride: 2, padding: .zeroSame, countsPadding: true
        ).apply(to: h, in: &graph)
        let three = try graph.add(
            .add, name: "reduction_add3_\(id)",
            inputs: [mean, separable(p, 5, 2, "right3", &graph)])
        let around = try AveragePool2d(
            "reduction_left4_\(id)", kernel: 3, stride: 1, padding: .same
        ).apply(to: one, in: &graph)
        let four = try graph.add(.add, name: "add#", inputs: [two, around])
        let five = try graph.add(
            .add, name: "reduction_add4_\(id)",
            inputs: [separable(one, 3, 1, "left4", &graph), largest("right5", &graph)])
        let joined = try graph.add(
            .concatenate, name: "reduction_concat_\(id)", inputs: [two, three, four, five])
        return (joined, x)
    }

    /// 1 × 1 to the cell's width.
    private func squeezed(
        _ kind: String, _ x: Int, _ filters: Int, _ id: String, in graph: inout GraphBuilder
    ) throws(NetworkError) -> Int {
        try Sequential {
            ReLU("activation#")
            Conv2d("\(kind)_conv_1_\(id)", filters, kernel: 1)
            normalise("\(kind)_bn_1_\(id)")
        }.apply(to: x, in: &graph)
    }

    /// The value before the last, brought to the size and the width of this cell.
    private func adjusted(
        _ p: Int, to x: Int, _ filters: Int, _ id: String, in graph: inout GraphBuilder
    ) throws(NetworkError) -> Int {
        if graph.shapes[p][3] != graph.shapes[x][3] {
            return try Sequential {
                ReLU("adjust_relu_1_\(id)")
                Concatenate("concatenate#") {
                    Sequential {
                        AveragePool2d("adjust_avg_pool_1_\(id)", kernel: 1, stride: 2)
                        Conv2d("adjust_conv_1_\(id)", filters / 2, kernel: 1)
                    }
                    Sequential {
                        // One pixel up and left.
                        ZeroPad2d(
                            "cropping2d#", Padding(top: -1, left: -1, bottom: 1, right: 1))
                        AveragePool2d("adjust_avg_pool_2_\(id)", kernel: 1, stride: 2)
                        Conv2d("adjust_conv_2_\(id)", filters / 2, kernel: 1)
                    }
                }
                normalise("adjust_bn_\(id)")
            }.apply(to: p, in: &graph)
        }
        guard graph.channels(of: p) != filters else { return p }
        return try Sequential {
            ReLU("activation#")
            Conv2d("adjust_conv_projection_\(id)", filters, kernel: 1)
            normalise("adjust_bn_\(id)")
        }.apply(to: p, in: &graph)
    }
}

/// Twice: rectify, separable convolution, normalise. Only the first has the stride.
private struct Separable: Layer {
    let kernel: Int
    var stride = 1
    let filters: Int
    let id: String

    func apply(to x: Int, in graph: inout GraphBuilder) throws(NetworkError) -> Int {
        try Sequential {
            for index in 1...2 {
                ReLU("activation#")
                SeparableConv2d(
                    "separable_conv_\(index)_\(id)", filters, kernel: Extent(kernel),
                    stride: Extent(index == 1 ? stride : 1),
                    padding: index == 1 && stride > 1 ? .zeroSame : .same)
                normalise("separable_conv_\(index)_bn_\(id)")
            }
        }.apply(to: x, in: &graph)
    }
}

private func normalise(_ name: String) -> Operation {
    BatchNorm2d(name, epsilon: 1e-3, momentum: 0.0003)
}
