// The gradient of every operation against differences of its own forward.

import CKernels
import GraftExecution
import GraftNetworks
import GraftTensors
import Testing

/// The plan of a probe and the loss whose gradient is checked: Σ y · direction.
private struct Loss {
    let plan: TrainingPlan
    let input: Tensor
    let direction: [Float]
    let seed: UInt64?

    init(_ probe: Probe, _ accuracy: Accuracy = .default) throws {
        let graph = try probe.graph()
        var weights = StateDict()
        for (index, parameter) in graph.parameters.enumerated() {
            let centre: Float =
                parameter.role == .runningVariance || parameter.role == .scale ? 1 : 0
            weights[parameter.name] = LazyTensor(
                Tensor(
                    numbers(parameter.shape.count, seed: index + 2, around: centre),
                    shape: parameter.shape))
        }
        let shape: Shape = [2, 3, probe.side, probe.side]
        input = Tensor(numbers(shape.count, seed: 5).map { 3 * $0 }, shape: shape)
        direction = numbers(6, seed: 99)
        seed = probe.dropoutSeed
        plan = try TrainingPlan(
            graph: graph, weights: weights, input: shape,
            trainable: Set(graph.parameters.filter { !$0.isBuffer }.map(\.name)),
            output: graph.output, options: ExecutionOptions(accuracy: accuracy))
    }

    func value() throws -> Double {
        let y = try plan.forward(input, dropoutSeed: seed).floats
        return zip(y, direction).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }

    /// The slope of the loss in one number, by the slopes on either side; nil where they differ,
    /// because a kink lies between.
    func difference(_ index: Int, _ at: Int) throws -> (slope: Double, sure: Bool) {
        let step: Float = 2e-3
        let value = plan.withParameter(index) { values, _ in values[at] }
        func moved(_ by: Float) throws -> Double {
            plan.withParameter(index) { values, _ in values[at] = value + by }
            defer { plan.withParameter(index) { values, _ in values[at] = value } }
            return try self.value()
        }
        let (here, above, below) = (try self.value(), try moved(step), try moved(-step))
        let (right, left) = ((above - here) / Double(step), (here - below) / Double(step))
        let slope = (right + left) / 2
        return (slope, abs(right - left) < 2e-2 * max(1, abs(slope)))
    }
}

@Test(arguments: probes)
private func gradientsEqualDifferences(probe: Probe) throws {
    let loss = try Loss(probe)
    _ = try loss.value()
    try loss.plan.backward(Tensor(loss.direction, shape: [2, 3]))
    var checked = 0
    for (index, parameter) in loss.plan.trainable.enumerated() {
        let gradient = loss.plan.withParameter(index) { Array($1) }
        let count = gradient.count
        for at in Set([0, 1, count / 3, count / 2, count - 1]) where at < count {
            let (slope, sure) = try loss.difference(index, at)
            guard sure else { continue }
            checked += 1
            #expect(
                abs(slope - Double(gradient[at])) < 1e-2 * max(1, abs(slope)),
                "\(probe.name): \(parameter.name)[\(at)]")
        }
    }
    #expect(checked >= 6)
}

private let transformable: [Probe] = [
    Probe(name: "3 × 3 alone", channels: 32, side: 14) { builder in
        try builder.add(conv(32, 3), name: "probe", inputs: [1])
    },
    Probe(name: "3 × 3 without padding, swish", channels: 32, side: 17) { builder in
        let c = try builder.add(conv(64, 3, padding: .valid), name: "probe", inputs: [1])
        try builder.add(.activation(.swish), name: "swish", inputs: [c])
    },
    Probe(name: "3 × 3, uneven padding, ReLU", channels: 64, side: 15) { builder in
        let uneven = WindowPadding.explicit(Padding(top: 0, left: 2, bottom: 2, right: 1))
        let c = try builder.add(conv(32, 3, padding: uneven), name: "probe", inputs: [1])
        try builder.add(.activation(.relu), name: "relu", inputs: [c])
    },
    Probe(name: "3 × 3, BatchNorm, sum, ReLU", channels: 32, side: 16) { builder in
        let c = try builder.add(conv(32, 3, bias: false), name: "probe", inputs: [1])
        let norm = try builder.add(
            .batchNorm(epsilon: 1e-3, momentum: 0.1), name: "norm",
            inputs: [c])
        let sum = try builder.add(.add, name: "sum", inputs: [norm, 1])
        try builder.add(.activation(.relu), name: "relu", inputs: [sum])
    },
]

@Test(arguments: transformable)
private func transformsGiveTheGradientsOfTheSums(probe: Probe) throws {
    let (sums, transforms) = (try Loss(probe, .exact), try Loss(probe))
    let used = transforms.plan.steps.count { $0.algorithm.hasPrefix("winograd") }
    // Forward and backward, on a processor that has the kernel.
    #expect(used == (graft_vector_block(16) > 0 ? 2 : 0))
    #expect(sums.plan.steps.allSatisfy { !$0.algorithm.hasPrefix("winograd") })
    let (a, b) = (try sums.value(), try transforms.value())
    #expect(abs(a - b) < 1e-4 * max(1, abs(a)))
    for loss in [sums, transforms] {
        try loss.plan.backward(Tensor(loss.direction, shape: [2, 3]))
    }
    for (index, parameter) in sums.plan.trainable.enumerated() {
        let (a, b) = (
            sums.plan.withParameter(index) { Array($1) },
            transforms.plan.withParameter(index) { Array($1) }
        )
        let most = a.reduce(0) { max($0, abs($1)) }
        #expect(
            zip(a, b).allSatisfy { abs($0 - $1) < 1e-4 * most }, "\(probe.name): \(parameter.name)")
    }
}

@Test private func dropoutHidesItsShareAndScalesTheRest() throws {
    var builder = try GraphBuilder(naming: .torch, input: [1, 1, 100, 100])
    try builder.add(.dropout(rate: 0.25), name: "dropout", inputs: [0])
    let graph = builder.graph(name: "dropout", output: 1, features: 1, logits: nil)
    let plan = try TrainingPlan(
        graph: graph, weights: StateDict(), input: [1, 1, 100, 100], trainable: [], output: 1)
    let ones = Tensor([Float](repeating: 1, count: 10_000), shape: [1, 1, 100, 100])
    let first = try plan.forward(ones, dropoutSeed: 1).floats
    #expect(try plan.forward(ones, dropoutSeed: 1).floats == first)
    #expect(try plan.forward(ones, dropoutSeed: 2).floats != first)
    #expect(try plan.forward(ones, dropoutSeed: nil).floats == ones.floats)
    let hidden = first.count { $0 == 0 }
    #expect((2300...2700).contains(hidden))
    #expect(first.allSatisfy { $0 == 0 || $0 == 1 / (1 - 0.25) })
}

/// Of several processes each hides what one hides in the same rows, whether maps lie in blocks or not.
@Test private func dropoutOfPartsIsThatOfTheWhole() throws {
    var builder = try GraphBuilder(naming: .torch, input: [1, 3, 9, 7])
    try builder.add(conv(20, 3), name: "conv", inputs: [0])
    try builder.add(.dropout(rate: 0.4), name: "first", inputs: [1])
    try builder.add(.globalAveragePool(keepsDimensions: false), name: "pool", inputs: [2])
    try builder.add(.dropout(rate: 0.4), name: "second", inputs: [3])
    let graph = builder.graph(name: "dropout", output: 4, features: 4, logits: nil)
    var weights = StateDict()
    for parameter in graph.parameters {
        // Ones: what comes out is what dropout multiplies by.
        let values = [Float](
            repeating: parameter.role == .bias ? 1 : 0, count: parameter.shape.count)
        weights[parameter.name] = LazyTensor(Tensor(values, shape: parameter.shape))
    }
    for output in [2, 4] {
        func rows(_ count: Int, _ joint: JointBatch?) throws -> [ArraySlice<Float>] {
            let shape: Shape = [count, 3, 9, 7]
            let plan = try TrainingPlan(
                graph: graph, weights: weights, input: shape, trainable: [], output: output,
                joint: joint)
            let zeros = Tensor([Float](repeating: 0, count: shape.count), shape: shape)
            let y = try plan.forward(zeros, dropoutSeed: 7).floats
            let size = y.count / count
            return (0..<count).map { y[($0 * size)..<(($0 + 1) * size)] }
        }
        let whole = try rows(6, nil)
        #expect(Set(whole).count == 6 && whole.joined().contains(0))
        for rank in 0..<3 {
            let part = try rows(2, JointBatch(rank: rank, count: 3) { _ in })
            #expect(part == [whole[rank], whole[rank + 3]], "node \(output), part \(rank)")
        }
    }
}
