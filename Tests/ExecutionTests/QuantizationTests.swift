// Products in eight bits: the numbers are those of the scheme, worked out in doubles, and ranges fit what was seen.

import GraftExecution
import GraftNetworks
import GraftTensors
import OrderedCollections
import Testing

@Suite struct QuantizationTests {
    private static let isHere = Precision.int8.reasonOff == nil

    /// conv, ReLU (f32) → conv, ReLU → 1×1 conv plus its input, ReLU → largest → conv → mean → linear.
    private func network() -> (graph: Graph, weights: StateDict) {
        var chain = Chain(channels: 3)
        chain.convolve(3, 16, Window(kernel: 3, padding: .all(1)))
        chain.add(.activation(.relu))
        chain.convolve(16, 32, Window(kernel: 3, stride: 2, padding: .all(1)))
        let branch = chain.add(.activation(.relu))
        let product = chain.convolve(32, 32, Window(kernel: 1))
        chain.add(.add, [product, branch])
        chain.add(.activation(.relu))
        chain.add(.maxPool(Window(kernel: 2, stride: 1)))
        chain.convolve(32, 24, Window(kernel: 3, padding: .all(1)))
        chain.add(.globalAveragePool(keepsDimensions: false))
        chain.add(.linear(outputs: 5, bias: true), nil, [[5, 24], [5]])
        return (chain.graph, chain.weights)
    }

    private let shape: Shape = [2, 3, 12, 12]
    private var input: Tensor { Tensor(numbers(shape.count), shape: shape) }

    private func observed(_ graph: Graph, _ weights: StateDict) throws -> [String: ValueRange] {
        let observation = try RangeObservation(graph: graph, weights: weights, input: shape)
        try observation.add(input)
        return observation.ranges
    }

    /// The nearest multiple of the scale that the range gives.
    private func told(_ value: Double, _ range: ValueRange) -> Double {
        let levels: Double = range.lower < 0 ? 127 : 255
        let scale = Double(max(-range.lower, range.upper)) / levels
        let least: Double = range.lower < 0 ? -127 : 0
        return min(max((value / scale).rounded(.toNearestOrEven), least), levels) * scale
    }

    @Test func `Ranges hold what was seen, but for a few large numbers`() throws {
        let (graph, weights) = network()
        let ranges = try observed(graph, weights)
        let values = try definition(graph, weights, input)
        for (index, node) in graph.nodes.enumerated() {
            guard let range = ranges[node.name] else { continue }
            let (low, high) = (values[index].min() ?? 0, values[index].max() ?? 0)
            #expect(Double(range.lower) >= low - 1e-4 && Double(range.upper) <= high + 1e-4)
            let beyond = values[index].count {
                $0 < Double(range.lower) - 1e-4 || $0 > Double(range.upper) + 1e-4
            }
            #expect(beyond * 50 < values[index].count, "\(node.name)")
        }
        #expect(ranges.count > 5)
    }

    @Test(.enabled(if: isHere)) func `Products are those of rounded values and rounded weights`()
        throws
    {
        let (graph, weights) = network()
        let ranges = try observed(graph, weights)
        var options = ExecutionOptions(precision: .int8)
        options.ranges = ranges
        let plan = try InferencePlan(
            graph: graph, weights: weights, input: shape, options: options)
        #expect(plan.steps.contains { $0.algorithm.contains("vnni") })
        let found = try plan.run(input)[0].floats

        // The same in doubles: weights and what each product after the first reads are rounded first.
        var rounded = weights
        let products = graph.nodes.indices.filter { graph.nodes[$0].parameters.count > 0 }
        for index in products.dropFirst() {
            guard let kernel = graph.nodes[index].parameters.first,
                let numbers = try weights[kernel.name]?.load().floats
            else { continue }
            let size = numbers.count / kernel.shape[0]
            let result = numbers.indices.map { at -> Float in
                let row = numbers[(at / size * size)..<(at / size * size + size)]
                let scale = (row.map(abs).max() ?? 1) / 127
                return (numbers[at] / scale).rounded(.toNearestOrEven) * scale
            }
            rounded[kernel.name] = LazyTensor(Tensor(result, shape: kernel.shape))
        }
        var values = [input]
        for node in graph.nodes.dropFirst() {
            // What products read, and what is added to one, is a multiple; the largest of some is one of them.
            let isProduct = !node.parameters.isEmpty && node.inputs != [0]
            let sources = try node.inputs.enumerated().map { place, source in
                let value = values[source]
                guard isProduct || node.op == .add && place == 1 else { return value }
                var teller = graph.nodes[source]
                if case .maxPool = teller.op { teller = graph.nodes[teller.inputs[0]] }
                let range = try #require(ranges[teller.name])
                return Tensor(
                    value.floats.map { Float(told(Double($0), range)) }, shape: value.shape)
            }
            if node.op == .add {
                values.append(
                    Tensor(
                        zip(sources[0].floats, sources[1].floats).map { $0 + $1 },
                        shape: sources[0].shape))
                continue
            }
            // A row of features is a map of one place to the definitions.
            var single = node
            single.reads = [ValueID(0)]
            var source = sources[0]
            if case .linear(let linear) = node.op {
                single.op = .conv2d(
                    outputs: linear.outputs, window: Window(kernel: 1), groups: 1,
                    bias: linear.bias)
                single.parameters[0] = Parameter(
                    name: node.parameters[0].name, shape: [linear.outputs, source.shape[1], 1, 1],
                    role: .kernel)
                source = Tensor(source.floats, shape: [source.shape[0], source.shape[1], 1, 1])
            }
            let shape = source.shape
            let layer = Graph(
                name: "one",
                nodes: [Node(name: "x", op: .input(channels: shape[1]), inputs: []), single],
                output: 1, features: 1, logits: nil, naming: .torch)
            values.append(
                Tensor(
                    try definition(layer, rounded, source)[1].map { Float($0) },
                    shape: try layer.shapes(input: shape)[1]))
        }
        let expected = values.last?.floats ?? []
        let largest = expected.map(abs).max() ?? 0
        // A value half-way between two multiples may fall to either side.
        #expect(near(found, expected, 2e-3 * largest))
        let exact = try definition(graph, weights, input).last ?? []
        #expect(zip(found, exact).contains { abs(Double($0) - $1) > 1e-5 * Double(largest) })
    }

    @Test(.enabled(if: isHere)) func `Without ranges there is no int8, and it says so`() throws {
        let (graph, weights) = network()
        #expect(throws: ExecutionError.unquantized(graph.name)) {
            try InferencePlan(
                graph: graph, weights: weights, input: shape,
                options: ExecutionOptions(precision: .int8))
        }
    }

    @Test(.enabled(if: isHere)) func `Ranges that say nothing leave a layer in f32`() throws {
        let (graph, weights) = network()
        var options = ExecutionOptions(precision: .int8)
        options.ranges = [
            "input": ValueRange(lower: -.infinity, upper: .infinity),
            "nobody": ValueRange(lower: 0, upper: 1),
        ]
        let plan = try InferencePlan(
            graph: graph, weights: weights, input: shape, options: options)
        let found = try plan.run(input)[0].floats
        let plain = try InferencePlan(graph: graph, weights: weights, input: shape).run(input)[0]
        #expect(near(found, plain.floats, 1e-5))
    }
}
