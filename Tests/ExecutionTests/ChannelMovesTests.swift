// Joining, cutting and shuffling channels and layer normalisation, against their definitions.

import GraftExecution
import GraftNetworks
import GraftTensors
import Testing

@Suite struct ChannelMovesTests {
    /// Channel counts that do and do not divide into oneDNN's blocks of eight.
    @Test(arguments: [8, 6])
    func `Channels are joined, cut and shuffled where they belong`(channels c: Int) throws {
        let area = 12
        let nodes = [
            Node(name: "in", op: .input(channels: 2 * c), inputs: []),
            Node(name: "first", op: .slice(start: 0, count: c), inputs: [0]),
            Node(name: "second", op: .slice(start: c, count: c), inputs: [0]),
            Node(name: "relu", op: .activation(.relu), inputs: [2]),
            Node(name: "cat", op: .concatenate, inputs: [3, 1]),
            Node(name: "shuffle", op: .channelShuffle(groups: 2), inputs: [4]),
        ]
        let graph = Graph(
            name: "moves", nodes: nodes, output: 5, features: 5, logits: nil, naming: .torch)
        let raw = numbers(2 * 2 * c * area)
        let plan = try InferencePlan(
            graph: graph, weights: StateDict(), input: [2, 2 * c, 3, 4])
        let found = try plan.run(Tensor(raw, shape: [2, 2 * c, 3, 4]))[0].floats
        var expected: [Float] = []
        for sample in 0..<2 {
            for channel in 0..<(2 * c) {
                // Group 0 is the rectified second half, group 1 the first half.
                let group = channel % 2
                let from = channel / 2 + (group == 0 ? c : 0)
                for element in 0..<area {
                    let x = raw[(sample * 2 * c + from) * area + element]
                    expected.append(group == 0 ? max(x, 0) : x)
                }
            }
        }
        #expect(found == expected)
        #expect(plan.steps.allSatisfy { !$0.algorithm.hasPrefix("ref") })
    }

    @Test func `Layer normalisation is over the channels of each pixel`() throws {
        let c = 10
        let nodes = [
            Node(name: "in", op: .input(channels: c), inputs: []),
            Node(
                name: "norm", op: .layerNorm(epsilon: 1e-6), inputs: [0],
                parameters: [
                    Parameter(name: "gamma", shape: [c], role: .scale),
                    Parameter(name: "beta", shape: [c], role: .shift),
                ]),
        ]
        let graph = Graph(
            name: "norm", nodes: nodes, output: 1, features: 1, logits: nil, naming: .torch)
        let (gamma, beta) = (numbers(c, seed: 2, around: 1), numbers(c, seed: 3))
        var weights = StateDict()
        weights["gamma"] = LazyTensor(Tensor(gamma, shape: [c]))
        weights["beta"] = LazyTensor(Tensor(beta, shape: [c]))
        let raw = numbers(c * 6)
        let plan = try InferencePlan(graph: graph, weights: weights, input: [1, c, 2, 3])
        let found = try plan.run(Tensor(raw, shape: [1, c, 2, 3]))[0].floats
        var expected = raw
        for pixel in 0..<6 {
            let values = (0..<c).map { raw[$0 * 6 + pixel] }
            let mean = values.reduce(0, +) / Float(c)
            let variance = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Float(c)
            for k in 0..<c {
                expected[k * 6 + pixel] =
                    gamma[k] * (values[k] - mean) / (variance + 1e-6).squareRoot() + beta[k]
            }
        }
        #expect(near(found, expected, 1e-4))
    }
}
