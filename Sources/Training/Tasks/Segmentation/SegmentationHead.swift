// Heads that make a map of classes of a backbone's maps.

import GraftNetworks
import GraftTensors

extension Graph {
    /// The network with a head that scores each pixel of the input, called `segmenter_…` and of the stage
    /// `head`. Its output is (N, classes, H, W): a softmax over the classes of scores at the size of the
    /// input. Convolutions have biases and no BatchNorm: batches of a few images learn no statistics.
    ///
    /// - Throws: `NetworkError.invalidNode` of a network without a map before its features.
    func withSegmenter(_ head: SegmentationSettings.Head, classes: Int, input: Shape) throws
        -> Graph
    {
        var builder = SegmenterBuilder(self, shapes: try shapes(input: input))
        let maps = builder.maps()
        guard let coarsest = maps.last else {
            throw NetworkError.invalidNode(
                nodes[features].name, reason: "no map before it that a segmenter could read")
        }
        let scores: Int
        switch head {
        case .lraspp: scores = builder.lraspp(coarsest, among: maps, classes: classes)
        case .deeplab:
            scores = builder.deeplab(coarsest, stride: input[2] / coarsest.height, classes: classes)
        case .unet: scores = builder.unet(maps, classes: classes)
        }
        let full = builder.resize(
            scores, named: "segmenter_scores", height: input[2], width: input[3])
        builder.graph.output = builder.append(
            .softmax(axis: 1), named: "segmenter", reading: [full])
        return builder.graph
    }
}

/// Appends layers to a backbone that ends in its features.
private struct SegmenterBuilder {
    /// A map of the backbone.
    struct Map {
        var node: Int
        var channels: Int
        var height: Int
        var width: Int
    }

    var graph: Graph
    private let shapes: [Shape]

    init(_ backbone: Graph, shapes: [Shape]) {
        graph = backbone
        graph.nodes = Array(backbone.nodes[...backbone.features])
        graph.logits = nil
        self.shapes = shapes
    }

    /// The last map of every resolution that nothing after it reads past, the finest first; the input
    /// itself is none.
    func maps() -> [Map] {
        var found: [Map] = []
        for index in graph.nodes.indices.dropFirst().reversed() where shapes[index].rank == 4 {
            let (height, width) = (shapes[index][2], shapes[index][3])
            guard height > 1, width > 1, found.last.map({ $0.height < height }) ?? true,
                height < shapes[0][2],
                graph.nodes[(index + 1)...].allSatisfy({ $0.inputs.allSatisfy { $0 >= index } })
            else { continue }
            found.append(
                Map(node: index, channels: shapes[index][1], height: height, width: width))
        }
        return found.reversed()
    }

    mutating func append(
        _ op: Op, named name: String, reading inputs: [Int], parameters: [Parameter] = []
    ) -> Int {
        graph.nodes.append(
            Node(name: name, op: op, inputs: inputs, parameters: parameters, stage: "head"))
        return graph.nodes.count - 1
    }

    mutating func convolve(
        _ x: Int, named name: String, from inputs: Int, to outputs: Int, kernel: Int = 1,
        rate: Int = 1,
        relu: Bool = true
    ) -> Int {
        let window = Window(
            kernel: Extent(kernel, kernel), dilation: Extent(rate, rate),
            padding: .all(kernel / 2 * rate))
        let naming = graph.naming
        let y = append(
            .conv2d(outputs: outputs, window: window, groups: 1, bias: true), named: name,
            reading: [x],
            parameters: [
                Parameter(
                    name: naming.parameter(.kernel, of: name),
                    shape: [outputs, inputs, kernel, kernel], role: .kernel),
                Parameter(name: naming.parameter(.bias, of: name), shape: [outputs], role: .bias),
            ])
        return relu ? append(.activation(.relu), named: name + "_relu", reading: [y]) : y
    }

    mutating func resize(_ x: Int, named name: String, height: Int, width: Int) -> Int {
        append(
            .resize(to: .sizes(height: height, width: width), mode: .linear), named: name,
            reading: [x])
    }

    /// Scores of the coarsest map and of the finest that is at most four times as large, added up.
    mutating func lraspp(_ high: Map, among maps: [Map], classes: Int) -> Int {
        let low = maps.first { $0.height <= 4 * high.height } ?? high
        let seen = convolve(high.node, named: "segmenter_high", from: high.channels, to: 128)
        let mean = append(
            .globalAveragePool(keepsDimensions: true), named: "segmenter_mean", reading: [high.node]
        )
        let gate = convolve(
            mean, named: "segmenter_gate", from: high.channels, to: 128, relu: false)
        let scale = append(.activation(.sigmoid), named: "segmenter_scale", reading: [gate])
        let scaled = append(.multiply, named: "segmenter_scaled", reading: [seen, scale])
        let wide = resize(scaled, named: "segmenter_up", height: low.height, width: low.width)
        let first = convolve(
            wide, named: "segmenter_high_classes", from: 128, to: classes, relu: false)
        let second = convolve(
            low.node, named: "segmenter_low_classes", from: low.channels, to: classes, relu: false)
        return append(.add, named: "segmenter_sum", reading: [first, second])
    }

    /// The coarsest map seen alone, at three distances and as a mean, together. Distances are the paper's
    /// in pixels of the image.
    mutating func deeplab(_ high: Map, stride: Int, classes: Int) -> Int {
        let width = 128
        var parts = [convolve(high.node, named: "segmenter_plain", from: high.channels, to: width)]
        for rate in [6, 12, 18] {
            parts.append(
                convolve(
                    high.node, named: "segmenter_rate\(rate)", from: high.channels, to: width,
                    kernel: 3,
                    rate: max(1, rate * 16 / max(stride, 1))))
        }
        let mean = append(
            .globalAveragePool(keepsDimensions: true), named: "segmenter_mean", reading: [high.node]
        )
        let pooled = convolve(mean, named: "segmenter_pooled", from: high.channels, to: width)
        parts.append(
            resize(pooled, named: "segmenter_spread", height: high.height, width: high.width))
        let joined = append(.concatenate, named: "segmenter_joined", reading: parts)
        let mixed = convolve(joined, named: "segmenter_mixed", from: 5 * width, to: width)
        let last = convolve(mixed, named: "segmenter_last", from: width, to: width, kernel: 3)
        return convolve(last, named: "segmenter_classes", from: width, to: classes, relu: false)
    }

    /// From the coarsest map to the finest: enlarged, joined with the next, and mixed.
    mutating func unet(_ maps: [Map], classes: Int) -> Int {
        let coarsest = maps[maps.count - 1]
        var channels = 128
        var x = convolve(
            coarsest.node, named: "segmenter_top", from: coarsest.channels, to: channels)
        for (level, map) in maps.dropLast().enumerated().reversed() {
            let width = max(channels / 2, 32)
            let wide = resize(
                x, named: "segmenter_up\(level)", height: map.height, width: map.width)
            let joined = append(
                .concatenate, named: "segmenter_join\(level)", reading: [wide, map.node])
            x = convolve(
                joined, named: "segmenter_mix\(level)", from: channels + map.channels, to: width,
                kernel: 3
            )
            x = convolve(x, named: "segmenter_even\(level)", from: width, to: width, kernel: 3)
            channels = width
        }
        return convolve(x, named: "segmenter_classes", from: channels, to: classes, relu: false)
    }
}
