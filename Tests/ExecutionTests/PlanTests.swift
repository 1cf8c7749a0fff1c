// Plans against sums written out here: what is fused, what is folded, and gradients by differences.

import GraftExecution
import GraftNetworks
import GraftTensors
import Testing

/// Small numbers that look random and are the same in every run.
func numbers(_ count: Int, seed: Int = 1, around centre: Float = 0) -> [Float] {
    var state = UInt32(truncatingIfNeeded: seed &* 7919 &+ 17)
    return (0..<count).map { _ in
        state = state &* 1_664_525 &+ 1_013_904_223
        return centre + Float(state >> 8) / Float(1 << 24) - 0.5
    }
}

/// input → conv → BatchNorm → sum with the input → ReLU → global mean → linear.
func residual(side: Int = 5, channels c: Int = 8) -> (Graph, StateDict) {
    func p(_ name: String, _ shape: Shape, _ role: Parameter.Role) -> Parameter {
        Parameter(name: name, shape: shape, role: role)
    }
    let window = Window(kernel: 3, padding: .all(1))
    let nodes = [
        Node(name: "in", op: .input(channels: c), inputs: []),
        Node(name: "first", op: .activation(.relu), inputs: [0]),
        Node(
            name: "conv", op: .conv2d(outputs: c, window: window, groups: 1, bias: true),
            inputs: [1],
            parameters: [p("w", [c, c, 3, 3], .kernel), p("b", [c], .bias)]),
        Node(
            name: "bn", op: .batchNorm(epsilon: 1e-3, momentum: 0.1), inputs: [2],
            parameters: [
                p("gamma", [c], .scale), p("beta", [c], .shift), p("mean", [c], .runningMean),
                p("variance", [c], .runningVariance),
            ]),
        Node(name: "sum", op: .add, inputs: [3, 1]),
        Node(name: "relu", op: .activation(.relu), inputs: [4]),
        Node(name: "mean", op: .globalAveragePool(keepsDimensions: false), inputs: [5]),
        Node(
            name: "head", op: .linear(outputs: 3, bias: true), inputs: [6],
            parameters: [p("hw", [3, c], .matrix), p("hb", [3], .bias)]),
    ]
    let graph = Graph(
        name: "residual", nodes: nodes, output: 7, features: 6, logits: 7, naming: .torch)
    var weights = StateDict()
    for (seed, parameter) in graph.parameters.enumerated() {
        let centre: Float = parameter.role == .runningVariance || parameter.role == .scale ? 1 : 0
        weights[parameter.name] = LazyTensor(
            Tensor(
                numbers(parameter.shape.count, seed: seed + 2, around: centre),
                shape: parameter.shape))
    }
    return (graph, weights)
}

func near(_ a: [Float], _ b: [Float], _ tolerance: Float) -> Bool {
    a.count == b.count
        && zip(a, b).allSatisfy { abs($0 - $1) <= tolerance * max(1, abs($0), abs($1)) }
}

@Suite struct PlanTests {
    @Test(arguments: [-1, 8, Int.max, Int.min])
    func `A node that the graph lacks is an error`(node: Int) throws {
        let (graph, weights) = residual()
        let cause = ExecutionError.node(node, count: graph.nodes.count)
        #expect(throws: cause) {
            try InferencePlan(
                graph: graph, weights: weights, input: [1, 8, 5, 5], outputs: [node])
        }
        #expect(throws: cause) {
            try TrainingPlan(
                graph: graph, weights: weights, input: [1, 8, 5, 5], trainable: ["w"],
                output: node)
        }
    }

    @Test func `A single-convolution residual block equals the sums written out`() throws {
        let (side, c) = (5, 8)
        let (graph, weights) = residual(side: side, channels: c)
        let raw = numbers(c * side * side)
        func w(_ name: String) throws -> [Float] { try #require(weights[name]).load().floats }
        let x = raw.map { max($0, 0) }
        let (kernel, bias, gamma, beta) = (try w("w"), try w("b"), try w("gamma"), try w("beta"))
        let (mean, variance) = (try w("mean"), try w("variance"))
        var expected = [Float](repeating: 0, count: x.count)
        for o in 0..<c {
            for row in 0..<side {
                for column in 0..<side {
                    var total = bias[o]
                    for i in 0..<c {
                        for dy in 0..<3 {
                            for dx in 0..<3 {
                                let (y, z) = (row + dy - 1, column + dx - 1)
                                guard y >= 0, z >= 0, y < side, z < side else { continue }
                                total +=
                                    x[(i * side + y) * side + z]
                                    * kernel[((o * c + i) * 3 + dy) * 3 + dx]
                            }
                        }
                    }
                    let at = (o * side + row) * side + column
                    let normal = (total - mean[o]) / (variance[o] + 1e-3).squareRoot()
                    expected[at] = max(gamma[o] * normal + beta[o] + x[at], 0)
                }
            }
        }
        let input = Tensor(raw, shape: [1, c, side, side])
        let plan = try InferencePlan(
            graph: graph, weights: weights, input: input.shape, outputs: [5])
        for _ in 0..<2 {
            #expect(near(try plan.run(input)[0].floats, expected, 1e-4))
        }
        #expect(!plan.steps.isEmpty)
        #expect(plan.steps.allSatisfy { !$0.algorithm.hasPrefix("ref") })
    }

    @Test func `Fusing changes no value`() throws {
        let (graph, weights) = residual()
        let input = Tensor(numbers(2 * 8 * 25), shape: [2, 8, 5, 5])
        let fused = try InferencePlan(graph: graph, weights: weights, input: input.shape)
        // Asking for every node's value leaves nothing to fuse.
        let all = Array(graph.nodes.indices)
        let apart = try InferencePlan(
            graph: graph, weights: weights, input: input.shape, outputs: all)
        #expect(near(try fused.run(input)[0].floats, try apart.run(input)[7].floats, 1e-4))
    }

    @Test func `Gradients equal differences`() throws {
        let (graph, weights) = residual()
        let names: Set<String> = ["w", "b", "gamma", "beta", "hw", "hb"]
        let input = Tensor(numbers(2 * 8 * 25), shape: [2, 8, 5, 5])
        let plan = try TrainingPlan(
            graph: graph, weights: weights, input: input.shape, trainable: names, output: 7)
        let direction = numbers(6, seed: 99)
        func loss() throws -> Float {
            let y = try plan.forward(input, dropoutSeed: nil).floats
            return zip(y, direction).reduce(0) { $0 + $1.0 * $1.1 }
        }
        _ = try loss()
        try plan.backward(Tensor(direction, shape: [2, 3]))
        #expect(Set(plan.trainable.map(\.name)) == names)
        for (index, parameter) in plan.trainable.enumerated() {
            let gradient = plan.withParameter(index) { Array($1) }
            for at in [0, parameter.shape.count / 2, parameter.shape.count - 1] {
                let step: Float = 4e-3
                let value = plan.withParameter(index) { values, _ in values[at] }
                plan.withParameter(index) { values, _ in values[at] = value + step }
                let above = try loss()
                plan.withParameter(index) { values, _ in values[at] = value - step }
                let below = try loss()
                plan.withParameter(index) { values, _ in values[at] = value }
                let difference = (above - below) / (2 * step)
                #expect(
                    abs(difference - gradient[at]) < 3e-3, "\(parameter.name)[\(at)]")
            }
        }
    }

    /// What a loss sees in two places moves each weight by the sum of both.
    @Test func `Gradients of several outputs add up`() throws {
        let (graph, weights) = residual()
        let names: Set<String> = ["w", "b", "gamma", "beta", "hw", "hb"]
        let input = Tensor(numbers(2 * 8 * 25), shape: [2, 8, 5, 5])
        func gradients(_ outputs: [Int]) throws -> [String: [Float]] {
            let plan = try TrainingPlan(
                graph: graph, weights: weights, input: input.shape, trainable: names,
                outputs: outputs)
            let values = try plan.values(input, dropoutSeed: nil)
            try #require(values.count == outputs.count)
            try plan.backward(
                zip(outputs, values).map { node, value in
                    Tensor(numbers(value.count, seed: node), shape: value.shape)
                })
            return Dictionary(
                uniqueKeysWithValues: plan.trainable.indices.map { index in
                    (plan.trainable[index].name, plan.withParameter(index) { Array($1) })
                })
        }
        let (early, late, both) = (
            try gradients([3]), try gradients([7]), try gradients([3, 7])
        )
        for name in names {
            let sum = zip(try #require(early[name]), try #require(late[name])).map(+)
            #expect(near(try #require(both[name]), sum, 1e-3), "\(name)")
        }
    }
}
