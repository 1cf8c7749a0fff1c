// Networks of one operation, or of a few that fuse, whose gradients are checked.

import GraftNetworks
import GraftTensors
import Testing

/// A network of one operation between two 1×1 convolutions that learn: the first one's gradient
/// passes through the operation, the second makes the loss depend on every channel.
struct Probe: CustomTestStringConvertible, Sendable {
    let name: String
    var channels = 8
    var side = 6
    /// The nodes between: those that read index 1 read the first convolution.
    let middle: @Sendable (inout GraphBuilder) throws -> Void
    var dropoutSeed: UInt64?

    var testDescription: String { name }

    func graph() throws -> Graph {
        var builder = try GraphBuilder(naming: .torch, input: [2, 3, side, side])
        try builder.add(
            .conv2d(outputs: channels, window: Window(kernel: 1), groups: 1, bias: true),
            name: "before", inputs: [0])
        try middle(&builder)
        let last = builder.last
        let flat =
            builder.shapes[last].rank == 2
            ? last
            : try builder.add(.flatten(channelsLast: false), name: "flat", inputs: [last])
        try builder.add(.linear(outputs: 3, bias: true), name: "after", inputs: [flat])
        return builder.graph(
            name: name, output: builder.last, features: flat, logits: builder.last)
    }
}

func conv(
    _ outputs: Int, _ kernel: Extent, stride: Extent = 1, dilation: Extent = 1,
    padding: WindowPadding = .same, groups: Int = 1, bias: Bool = true
) -> Op {
    .conv2d(
        outputs: outputs,
        window: Window(kernel: kernel, stride: stride, dilation: dilation, padding: padding),
        groups: groups, bias: bias)
}

func spread(
    _ outputs: Int, _ kernel: Extent, stride: Extent = 1, dilation: Extent = 1, cut: Int = 0,
    extra: Extent = 0, groups: Int = 1, bias: Bool = true
) -> Op {
    .convTranspose2d(
        outputs: outputs,
        window: Window(kernel: kernel, stride: stride, dilation: dilation, padding: .all(cut)),
        outputPadding: extra, groups: groups, bias: bias)
}

/// One operation that reads the first convolution.
private func single(_ name: String, _ op: Op, channels: Int = 8, side: Int = 6) -> Probe {
    Probe(name: name, channels: channels, side: side) { builder in
        try builder.add(op, name: "probe", inputs: [1])
    }
}

private let pool = Window(kernel: 3, stride: 2, padding: .all(1))
let probes: [Probe] =
    [
        single("convolution", conv(5, 3)),
        single("convolution, stride 2, same, even", conv(8, 3, stride: 2)),
        single("convolution, stride 2, same, odd", conv(8, 3, stride: 2), side: 7),
        single("convolution, stride 2, cut off", conv(8, 1, stride: 2, padding: .valid)),
        single(
            "convolution, uneven padding",
            conv(
                8, 3, stride: 2,
                padding: .explicit(Padding(top: 0, left: 1, bottom: 1, right: 0)))),
        single("transposed convolution", spread(5, 3)),
        single("transposed convolution, stride 2", spread(6, 4, stride: 2, cut: 1)),
        single(
            "transposed convolution, stride 2 × 3, wider",
            spread(6, Extent(3, 2), stride: Extent(2, 3), cut: 1, extra: 1), side: 4),
        single("transposed convolution, grouped", spread(8, 3, stride: 2, groups: 4, bias: false)),
        single("transposed convolution, dilated", spread(8, 3, dilation: 2, cut: 2)),
        single("convolution, dilated", conv(8, 3, dilation: 2)),
        single("convolution, 1 × 3", conv(8, Extent(1, 3), padding: .same, bias: false)),
        single("convolution, grouped", conv(8, 3, groups: 4)),
        single("convolution, grouped, 3 channels each", conv(12, 3, groups: 4), channels: 12),
        single("convolution, depthwise", conv(8, 3, groups: 8)),
        single("convolution, depthwise, 5 × 5, stride 2", conv(8, 5, stride: 2, groups: 8)),
        single(
            "convolution, depthwise, 5 × 5, 19 channels, no bias",
            conv(19, 5, groups: 19, bias: false), channels: 19, side: 7),
        single(
            "convolution, depthwise, 7 × 7, wider than the map", conv(16, 7, groups: 16),
            channels: 16, side: 5),
        single(
            "convolution, depthwise, 3 × 5, uneven padding",
            conv(
                16, Extent(3, 5), stride: Extent(2, 1),
                padding: .explicit(Padding(top: 0, left: 3, bottom: 2, right: 1)), groups: 16),
            channels: 16, side: 8),
        single(
            "convolution, depthwise, 5 × 5, dilated",
            conv(16, 5, dilation: 2, groups: 16), channels: 16, side: 9),
        single("convolution, depthwise, times 2", conv(16, 3, groups: 8)),
        single("convolution, depthwise, 10 channels", conv(10, 3, groups: 10), channels: 10),
        single("convolution, depthwise, dilated", conv(8, 3, dilation: 2, groups: 8)),
        single("BatchNorm", .batchNorm(epsilon: 1e-3, momentum: 0.1)),
        single("BatchNorm without γ", .batchNorm(epsilon: 1e-3, momentum: 0.1, scale: false)),
        single("BatchNorm without β", .batchNorm(epsilon: 1e-3, momentum: 0.1, shift: false)),
        single("max pool", .maxPool(Window(kernel: 2, stride: 2))),
        single("max pool, same", .maxPool(Window(kernel: 3, stride: 2, padding: .same))),
        single(
            "max pool, rounding up", .maxPool(Window(kernel: 2, stride: 2, roundsUp: true)), side: 7
        ),
        single("average pool, padding counts", .averagePool(pool, countsPadding: true)),
        single("average pool, padding does not count", .averagePool(pool, countsPadding: false)),
        single("global average pool", .globalAveragePool(keepsDimensions: false)),
        single("global average pool, kept", .globalAveragePool(keepsDimensions: true)),
        single("global max pool", .globalMaxPool(keepsDimensions: false)),
        single("adaptive average pool", .adaptiveAveragePool(height: 2, width: 3)),
        single("flatten, channels last", .flatten(channelsLast: true)),
        single("pad", .pad(Padding(top: 1, left: 0, bottom: 2, right: 3), value: 0)),
        single("crop", .pad(Padding(top: -1, left: 0, bottom: 0, right: -2), value: 0)),
        single("slice", .slice(start: 2, count: 3)),
        single("reshape", .reshape(channels: 8, height: 6, width: 6, channelsLast: false)),
        single("upsample", .upsample(height: 2, width: 3, bilinear: false)),
        single("upsample, bilinear", .upsample(height: 2, width: 3, bilinear: true)),
        single("channel shuffle", .channelShuffle(groups: 4)),
        single("affine", .affine(scale: [0.5], shift: [0.25])),
        single("channel scale", .channelScale),
        single("layer norm", .layerNorm(epsilon: 1e-3)),
        single("drop path", .dropPath(rate: 0.2)),
        Probe(
            name: "dropout",
            middle: { builder in try builder.add(.dropout(rate: 0.4), name: "probe", inputs: [1]) },
            dropoutSeed: 77),
        Probe(name: "sum of three, one twice") { builder in
            let other = try builder.add(conv(8, 1), name: "other", inputs: [1])
            try builder.add(.add, name: "probe", inputs: [1, other, 1])
        },
        Probe(name: "sum with a gate") { builder in
            let mean = try builder.add(
                .globalAveragePool(keepsDimensions: true), name: "mean", inputs: [1])
            try builder.add(.add, name: "probe", inputs: [1, mean])
        },
        Probe(name: "convolution, BatchNorm, ReLU6") { builder in
            let c = try builder.add(conv(8, 3), name: "probe", inputs: [1])
            let n = try builder.add(
                .batchNorm(epsilon: 1e-3, momentum: 0.1), name: "norm", inputs: [c])
            try builder.add(.activation(.relu6), name: "relu", inputs: [n])
        },
        Probe(name: "depthwise convolution, BatchNorm, swish") { builder in
            let c = try builder.add(conv(8, 3, groups: 8, bias: false), name: "probe", inputs: [1])
            let n = try builder.add(
                .batchNorm(epsilon: 1e-3, momentum: 0.1), name: "norm", inputs: [c])
            try builder.add(.activation(.swish), name: "swish", inputs: [n])
        },
        Probe(name: "two branches, BatchNorm, sum, ReLU") { builder in
            let short = try builder.add(conv(8, 1, bias: false), name: "short", inputs: [1])
            let s = try builder.add(
                .batchNorm(epsilon: 1e-3, momentum: 0.1), name: "norm1", inputs: [short])
            let c = try builder.add(conv(8, 3), name: "probe", inputs: [1])
            let n = try builder.add(
                .batchNorm(epsilon: 1e-3, momentum: 0.1), name: "norm2", inputs: [c])
            let sum = try builder.add(.add, name: "sum", inputs: [n, s])
            let y = try builder.add(.activation(.relu), name: "relu", inputs: [sum])
            // An identity beside a convolution: its value is read again backward.
            let d = try builder.add(conv(8, 3), name: "second", inputs: [y])
            let again = try builder.add(.add, name: "sum2", inputs: [d, y])
            try builder.add(.activation(.relu), name: "relu2", inputs: [again])
        },
        Probe(name: "two convolutions with the same weights") { builder in
            let first = try builder.add(conv(8, 3), name: "probe", inputs: [1])
            let tanh = try builder.add(.activation(.tanh), name: "tanh", inputs: [first])
            try builder.add(
                conv(8, 3), name: "again", inputs: [tanh],
                parameters: builder.nodes[first].parameters)
        },
        Probe(name: "split, one part twice") { builder in
            let parts = try builder.add(.split(axis: 1, sizes: [3, 5]), name: "probe", inputs: [1])
            let first = ValueID(parts)
            try builder.add(
                .concatenate, name: "joined", reads: [first, ValueID(parts, output: 1), first])
        },
        Probe(name: "split, one part unused") { builder in
            let parts = try builder.add(.split(axis: 1, sizes: [3, 5]), name: "probe", inputs: [1])
            try builder.add(
                .activation(.tanh), name: "tanh", reads: [ValueID(parts, output: 1)])
        },
        Probe(name: "largest three") { builder in
            let top = try builder.add(
                .topK(axis: 1, count: 3, largest: true), name: "probe", inputs: [1])
            try builder.add(.activation(.tanh), name: "tanh", inputs: [top])
        },
        Probe(name: "choice by a comparison") { builder in
            let other = try builder.add(conv(8, 1), name: "other", inputs: [1])
            let less = try builder.add(.compare(.less), name: "less", inputs: [1, other])
            try builder.add(.where, name: "probe", inputs: [less, 1, other])
        },
        Probe(name: "gather by computed indices") { builder in
            let best = try builder.add(
                .argExtreme(axis: 1, largest: true, keepsAxis: false), name: "best", inputs: [1])
            let most = try builder.add(
                .reduce(.maximum, axes: [0, 1, 2], keepsAxes: true), name: "most",
                inputs: [best])
            let index = try builder.add(.view([1]), name: "index", inputs: [most])
            try builder.add(.gather(axis: 1), name: "probe", inputs: [1, index])
        },
        Probe(name: "elements at computed indices") { builder in
            let best = try builder.add(
                .argExtreme(axis: 1, largest: true, keepsAxis: true), name: "best", inputs: [1])
            try builder.add(.gatherElements(axis: 1), name: "probe", inputs: [1, best])
        },
        Probe(name: "elements added at computed indices") { builder in
            let best = try builder.add(
                .argExtreme(axis: 1, largest: true, keepsAxis: true), name: "best", inputs: [1])
            let update = try builder.add(conv(1, 1), name: "update", inputs: [1])
            try builder.add(
                .scatterElements(axis: 1, reduction: .add), name: "probe",
                inputs: [1, best, update])
        },
        single("running sum", .cumulate(.sum, axis: 3, isExclusive: true, isReversed: true)),
        Probe(name: "means of windows over both axes") { builder in
            let map = builder.shapes[1]
            try builder.add(
                .poolAxes(
                    Op.PoolAxes(
                        function: .average, kernel: [2, 3], strides: [1, 1], dilations: [1, 1],
                        before: [0, 1], after: [1, 1], sizes: [map[2], map[3]])),
                name: "probe", inputs: [1])
        },
        // The sum must not be written over what the convolution before it has read.
        Probe(name: "linear bottleneck, read by a convolution and a sum") { builder in
            let c = try builder.add(conv(8, 1), name: "narrow", inputs: [1])
            let n = try builder.add(
                .batchNorm(epsilon: 1e-3, momentum: 0.1), name: "norm1", inputs: [c])
            let wide = try builder.add(conv(16, 1), name: "probe", inputs: [n])
            let relu = try builder.add(.activation(.relu6), name: "relu", inputs: [wide])
            let d = try builder.add(conv(8, 1), name: "narrow2", inputs: [relu])
            let again = try builder.add(
                .batchNorm(epsilon: 1e-3, momentum: 0.1), name: "norm2", inputs: [d])
            try builder.add(.add, name: "sum", inputs: [again, n])
        },
        Probe(name: "product") { builder in
            let other = try builder.add(conv(8, 1), name: "other", inputs: [1])
            try builder.add(.multiply, name: "probe", inputs: [1, other])
        },
        Probe(name: "product of three, one twice") { builder in
            let other = try builder.add(conv(8, 1), name: "other", inputs: [1])
            try builder.add(.multiply, name: "probe", inputs: [1, other, 1])
        },
        Probe(name: "squeeze and excite") { builder in
            let mean = try builder.add(
                .globalAveragePool(keepsDimensions: true), name: "mean", inputs: [1])
            let gate = try builder.add(conv(8, 1), name: "gate", inputs: [mean])
            let sigmoid = try builder.add(.activation(.sigmoid), name: "sigmoid", inputs: [gate])
            try builder.add(.multiply, name: "probe", inputs: [sigmoid, 1])
        },
        Probe(name: "concatenation, uneven") { builder in
            let other = try builder.add(conv(3, 1), name: "other", inputs: [1])
            try builder.add(.concatenate, name: "probe", inputs: [1, other, 1])
        },
        Probe(name: "softmax of a vector") { builder in
            let mean = try builder.add(
                .globalAveragePool(keepsDimensions: false), name: "mean", inputs: [1])
            try builder.add(.softmax, name: "probe", inputs: [mean])
        },
        Probe(name: "unit norm of a vector") { builder in
            let mean = try builder.add(
                .globalAveragePool(keepsDimensions: false), name: "mean", inputs: [1])
            try builder.add(.unitNorm, name: "probe", inputs: [mean])
        },
        single("unit norm of a map", .unitNorm),
        Probe(name: "layer norm of a vector") { builder in
            let mean = try builder.add(
                .globalAveragePool(keepsDimensions: false), name: "mean", inputs: [1])
            try builder.add(.layerNorm(epsilon: 1e-3), name: "probe", inputs: [mean])
        },
    ] + Activation.allCases.map { single("\($0)", .activation($0)) }
