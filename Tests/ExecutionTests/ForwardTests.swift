// Every operation, alone and fused, against its definition.

import GraftExecution
import GraftNetworks
import GraftTensors
import Testing

/// A graph written as a list: each node reads the one before it unless it is told otherwise.
struct Chain {
    var nodes: [Node]

    init(channels: Int) { nodes = [Node(name: "x", op: .input(channels: channels), inputs: [])] }

    @discardableResult
    mutating func add(_ op: Op, _ inputs: [Int]? = nil, _ shapes: [Shape] = []) -> Int {
        let name = "n\(nodes.count)"
        var roles: [Parameter.Role] = []
        switch op {
        case .conv2d(let op): roles = op.bias ? [.kernel, .bias] : [.kernel]
        case .convTranspose2d(let op): roles = op.bias ? [.kernel, .bias] : [.kernel]
        case .linear(let op): roles = op.bias ? [.matrix, .bias] : [.matrix]
        case .batchNorm(let op):
            roles = (op.scale ? [.scale] : []) + (op.shift ? [.shift] : [])
            roles += [.runningMean, .runningVariance]
        case .layerNorm: roles = [.scale, .shift]
        case .channelScale: roles = [.scale]
        default: break
        }
        let parameters = zip(roles, shapes).map { role, shape in
            Parameter(name: "\(name).\(role.rawValue)", shape: shape, role: role)
        }
        nodes.append(
            Node(name: name, op: op, inputs: inputs ?? [nodes.count - 1], parameters: parameters))
        return nodes.count - 1
    }

    /// A convolution with its weights.
    @discardableResult
    mutating func convolve(
        _ from: Int, _ channels: Int, _ window: Window, groups: Int = 1, bias: Bool = true,
        input: Int? = nil
    ) -> Int {
        let kernel: Shape = [
            channels, from / groups, window.kernel.height, window.kernel.width,
        ]
        return add(
            .conv2d(outputs: channels, window: window, groups: groups, bias: bias),
            input.map { [$0] }, bias ? [kernel, [channels]] : [kernel])
    }

    /// A BatchNorm with its weights.
    @discardableResult
    mutating func normalise(_ channels: Int) -> Int {
        add(
            .batchNorm(epsilon: 1e-3, momentum: 0.1), nil,
            [Shape](repeating: [channels], count: 4))
    }

    var graph: Graph {
        let end = nodes.count - 1
        return Graph(
            name: "chain", nodes: nodes, output: end, features: end, logits: nil, naming: .torch)
    }

    var weights: StateDict {
        var weights = StateDict()
        for (seed, parameter) in graph.parameters.enumerated() {
            let around: Float =
                parameter.role == .runningVariance || parameter.role == .scale ? 1 : 0
            weights[parameter.name] = LazyTensor(
                Tensor(
                    numbers(parameter.shape.count, seed: seed + 3, around: around),
                    shape: parameter.shape))
        }
        return weights
    }

    /// Runs the plan twice and compares its output with the definition.
    @discardableResult
    func check(
        _ shape: Shape, scale: Float = 4, tolerance: Double = 2e-5,
        options: ExecutionOptions = .init(),
        location: SourceLocation = #_sourceLocation
    ) throws -> InferencePlan {
        let x = Tensor(numbers(shape.count, seed: 5).map { $0 * scale }, shape: shape)
        let graph = graph
        let expected = try definition(graph, weights, x)[graph.output]
        let plan = try InferencePlan(
            graph: graph, weights: weights, input: shape, options: options)
        for _ in 0..<2 {
            let found = try plan.run(x)[0]
            #expect(found.count == expected.count, sourceLocation: location)
            let largest = max(expected.map { abs($0) }.max() ?? 0, 1e-30)
            let error = zip(found.floats, expected).map { abs(Double($0) - $1) }.max() ?? .infinity
            #expect(error <= tolerance * largest, sourceLocation: location)
        }
        #expect(
            plan.steps.allSatisfy { !$0.algorithm.hasPrefix("ref") }, "\(plan.steps)",
            sourceLocation: location)
        return plan
    }
}

@Suite struct ForwardTests {
    static let windows: [Window] = [
        Window(kernel: 3, padding: .all(1)),
        Window(kernel: 3, stride: 2, padding: .same),
        Window(
            kernel: 3, stride: 2, padding: .explicit(Padding(top: 0, left: 1, bottom: 1, right: 0))),
        Window(kernel: 3, dilation: 2, padding: .same),
        Window(kernel: Extent(1, 5), padding: .same),
        Window(kernel: 1, stride: 2),
        Window(kernel: 5, stride: 2, padding: .same),
    ]

    @Test(arguments: windows)
    func `Dense convolutions equal their definition`(_ window: Window) throws {
        for (channels, outputs) in [(3, 16), (16, 24), (5, 7)] {
            var chain = Chain(channels: channels)
            chain.convolve(channels, outputs, window)
            try chain.check([2, channels, 9, 12])
        }
    }

    @Test(arguments: [
        (Window(kernel: 3), Extent(0), 1), (Window(kernel: 2, stride: 2), 0, 1),
        (Window(kernel: 4, stride: 2, padding: .all(1)), 0, 1),
        (Window(kernel: 3, stride: 2, padding: .all(1)), 1, 1),
        (Window(kernel: 3, stride: 2, padding: .all(1)), 1, 4),
        (Window(kernel: Extent(5, 3), stride: Extent(2, 1)), 0, 1),
    ])
    func `Transposed convolutions equal their definition`(
        _ window: Window, _ extra: Extent, _ groups: Int
    ) throws {
        for (channels, outputs) in [(16, 24), (8, 4)] {
            var chain = Chain(channels: channels)
            let kernel: Shape = [
                channels, outputs / groups, window.kernel.height, window.kernel.width,
            ]
            chain.add(
                .convTranspose2d(
                    outputs: outputs, window: window, outputPadding: extra, groups: groups,
                    bias: true), nil, [kernel, [outputs]])
            chain.normalise(outputs)
            chain.add(.activation(.relu))
            try chain.check([2, channels, 5, 6])
        }
    }

    @Test(arguments: windows)
    func `Depthwise convolutions equal their definition`(_ window: Window) throws {
        for channels in [8, 12, 32] {
            var chain = Chain(channels: channels)
            chain.convolve(channels, channels, window, groups: channels, bias: false)
            try chain.check([2, channels, 10, 7])
        }
    }

    @Test func `Grouped convolutions equal their definition`() throws {
        for (channels, outputs, groups) in [(16, 32, 4), (32, 32, 2), (64, 64, 32)] {
            var chain = Chain(channels: channels)
            chain.convolve(
                channels, outputs, Window(kernel: 3, padding: .all(1)), groups: groups)
            try chain.check([2, channels, 6, 6])
        }
    }

    @Test func `BatchNorm, sum and activation fuse without changing a value`() throws {
        for activation in [Activation.relu, .relu6, .swish, .hardSwish, .hardSigmoid] {
            var chain = Chain(channels: 16)
            chain.convolve(16, 16, Window(kernel: 1))
            let left = chain.add(.activation(activation))
            chain.convolve(16, 16, Window(kernel: 3, padding: .all(1)), bias: false)
            let right = chain.normalise(16)
            chain.add(.add, [right, left])
            chain.add(.activation(activation))
            try chain.check([2, 16, 7, 8])
        }
    }

    @Test func `A sum of which both parts are read later keeps both`() throws {
        var chain = Chain(channels: 8)
        let a = chain.convolve(8, 8, Window(kernel: 1))
        let b = chain.convolve(8, 8, Window(kernel: 3, padding: .all(1)), input: a)
        let sum = chain.add(.add, [b, a])
        let product = chain.add(.multiply, [a, sum])
        chain.add(.add, [product, b, a])
        try chain.check([1, 8, 5, 5])
    }

    @Test(arguments: [
        Window(kernel: 3, stride: 2, padding: .all(1)),
        Window(kernel: 3, stride: 2, padding: .all(1), roundsUp: true),
        Window(kernel: 2, stride: 2, roundsUp: true),
        Window(kernel: 3, stride: 2, padding: .same),
        Window(kernel: 3, stride: 1, padding: .same),
        Window(
            kernel: 3, stride: 2, padding: .explicit(Padding(top: 1, left: 0, bottom: 0, right: 1))),
    ])
    func `Pools equal their definition`(_ window: Window) throws {
        for size in [(8, 8), (9, 6)] {
            for op in [
                Op.maxPool(window), .averagePool(window, countsPadding: false),
                .averagePool(window, countsPadding: true),
            ] {
                if case .averagePool(let pool) = op, pool.countsPadding, window.roundsUp {
                    continue
                }
                var chain = Chain(channels: 16)
                chain.add(op)
                try chain.check([2, 16, size.0, size.1])
                // After a convolution the map lies in blocks.
                var blocked = Chain(channels: 16)
                blocked.convolve(16, 32, Window(kernel: 1))
                blocked.add(op)
                try blocked.check([1, 16, size.0, size.1])
            }
        }
    }

    @Test func `Global and adaptive pools equal their definition`() throws {
        for op in [
            Op.globalAveragePool(keepsDimensions: true), .globalAveragePool(keepsDimensions: false),
            .globalMaxPool(keepsDimensions: true), .globalMaxPool(keepsDimensions: false),
            .adaptiveAveragePool(height: 2, width: 3), .adaptiveAveragePool(height: 4, width: 7),
        ] {
            var chain = Chain(channels: 12)
            chain.add(op)
            try chain.check([2, 12, 6, 9])
            var blocked = Chain(channels: 3)
            blocked.convolve(3, 32, Window(kernel: 3, padding: .all(1)))
            blocked.add(op)
            try blocked.check([2, 3, 6, 9])
        }
    }

    @Test(arguments: [false, true], [0, 1])
    func `Padding merges into what pads, and only there`(_ relu: Bool, _ kind: Int) throws {
        let padding = Padding(top: 0, left: 0, bottom: 1, right: 1)
        var chain = Chain(channels: 8)
        chain.convolve(8, 8, Window(kernel: 1))
        if relu { chain.add(.activation(.relu)) }
        chain.add(.pad(padding, value: 0))
        if kind == 0 {
            chain.convolve(8, 16, Window(kernel: 3, stride: 2))
        } else {
            chain.add(.maxPool(Window(kernel: 3, stride: 2)))
        }
        let plan = try chain.check([1, 8, 8, 8])
        let padsApart = plan.steps.contains { $0.algorithm == "loop" }
        #expect(padsApart == (kind == 1 && !relu))
    }

    @Test func `Gates and sums of three`() throws {
        var chain = Chain(channels: 16)
        let map = chain.convolve(16, 16, Window(kernel: 3, padding: .all(1)))
        chain.add(.globalAveragePool(keepsDimensions: true))
        chain.convolve(16, 4, Window(kernel: 1))
        chain.add(.activation(.swish))
        chain.convolve(4, 16, Window(kernel: 1))
        let gate = chain.add(.activation(.sigmoid))
        let gated = chain.add(.multiply, [map, gate])
        chain.add(.multiply, [gate, map])
        chain.add(.add, [gated, map, gated + 1])
        try chain.check([2, 16, 5, 4])
    }

    @Test(arguments: Activation.allCases)
    func `Activations equal their definition`(_ activation: Activation) throws {
        var chain = Chain(channels: 5)
        chain.add(.activation(activation))
        try chain.check([2, 5, 3, 7], scale: 12)
        var fused = Chain(channels: 5)
        fused.convolve(5, 16, Window(kernel: 1))
        fused.add(.activation(activation))
        try fused.check([2, 5, 3, 7], scale: 12)
    }

    @Test func `Softmax over classes`() throws {
        var chain = Chain(channels: 6)
        chain.add(.flatten(channelsLast: false))
        chain.add(.linear(outputs: 10, bias: true), nil, [[10, 54], [10]])
        chain.add(.unitNorm)
        chain.add(.softmax)
        try chain.check([3, 6, 3, 3], scale: 20)
    }

    @Test(arguments: [false, true])
    func `Flattened maps feed a matrix in the publisher's order`(_ last: Bool) throws {
        var chain = Chain(channels: 3)
        chain.convolve(3, 16, Window(kernel: 3, padding: .all(1)))
        chain.add(.flatten(channelsLast: last))
        chain.add(.linear(outputs: 5, bias: false), nil, [[5, 16 * 12]])
        chain.add(.activation(.relu))
        try chain.check([2, 3, 4, 3])
    }

    @Test func `What only moves or scales numbers`() throws {
        let pads: [(Padding, Float)] = [
            (Padding(top: 1, left: 2, bottom: 0, right: 3), 0.5),
            (Padding(top: -1, left: 0, bottom: -1, right: -2), 0),
        ]
        var ops: [Op] = pads.map { .pad($0, value: $1) }
        ops += [
            .slice(start: 3, count: 6), .channelShuffle(groups: 4),
            .upsample(height: 2, width: 3, bilinear: false),
            .affine(scale: [2], shift: [-1]),
            .affine(scale: numbers(12), shift: numbers(12, seed: 2)), .dropout(rate: 0.5),
            .dropPath(rate: 0.5),
        ]
        for op in ops {
            for blocked in [false, true] {
                var chain = Chain(channels: 12)
                if blocked { chain.convolve(12, 12, Window(kernel: 1)) }
                chain.add(op)
                try chain.check([2, 12, 4, 5])
            }
        }
    }

    @Test(arguments: [false, true])
    func `Vectors shaped as maps`(_ last: Bool) throws {
        var chain = Chain(channels: 24)
        chain.add(.flatten(channelsLast: false))
        chain.add(.reshape(channels: 4, height: 2, width: 3, channelsLast: last))
        chain.convolve(4, 8, Window(kernel: 3, padding: .all(1)))
        try chain.check([2, 24, 1, 1])
    }

    @Test func `Normalisations that nothing can take in`() throws {
        var chain = Chain(channels: 16)
        chain.normalise(16)
        chain.add(.activation(.relu))
        try chain.check([2, 16, 3, 4])
        var bare = Chain(channels: 16)
        bare.add(
            .batchNorm(epsilon: 1e-5, momentum: 0.1, scale: false, shift: false), nil,
            [[16], [16]])
        try bare.check([2, 16, 3, 4])
        var layer = Chain(channels: 16)
        layer.add(.layerNorm(epsilon: 1e-6), nil, [[16], [16]])
        layer.add(.channelScale, nil, [[16]])
        try layer.check([2, 16, 3, 4])
    }

    @Test(arguments: [[16, 32, 8], [3, 5, 4], [8, 8]])
    func `Concatenations of any width`(_ widths: [Int]) throws {
        var chain = Chain(channels: 8)
        let parts = widths.map { chain.convolve(8, $0, Window(kernel: 1), input: 0) }
        chain.add(.concatenate, parts)
        chain.normalise(widths.reduce(0, +))
        chain.add(.activation(.relu))
        chain.convolve(widths.reduce(0, +), 16, Window(kernel: 3, padding: .all(1)))
        try chain.check([2, 8, 6, 5])
    }

    @Test func `Concatenations that grow, as DenseNet's do`() throws {
        var chain = Chain(channels: 3)
        var value = chain.convolve(3, 16, Window(kernel: 3, padding: .all(1)))
        var width = 16
        for _ in 0..<3 {
            chain.add(
                .batchNorm(epsilon: 1e-3, momentum: 0.1), [value],
                [Shape](repeating: [width], count: 4))
            chain.add(.activation(.relu))
            let new = chain.convolve(width, 8, Window(kernel: 3, padding: .all(1)))
            value = chain.add(.concatenate, [value, new])
            width += 8
        }
        chain.add(.globalAveragePool(keepsDimensions: false))
        try chain.check([2, 3, 6, 6])
    }
}
