// Plans compiled by one thread and run by others that have more or fewer threads, inference and training: run
// under the address sanitizer, which sees what is written beyond scratch memory.

import Foundation
import GraftExecution
import GraftNetworks
import GraftTensors

/// Compiles on one fresh thread, runs on another, and compares the answers.
@main
enum Sanitized {
    static func main() throws {
        var checks = 0
        for planned in [1, 2, 3] {
            for running in [1, 2, 8] {
                for batch in [1, 3] {
                    try check(planned: planned, running: running, batch: batch)
                    checks += 1
                }
            }
        }
        print("\(checks) combinations of threads answer the same")
    }

    static func check(planned: Int, running: Int, batch: Int) throws {
        let (graph, weights) = network()
        let input = Tensor(numbers(batch * 3 * 40 * 40, seed: 5), shape: [batch, 3, 40, 40])
        let gradient = Tensor(numbers(batch * 4, seed: 6), shape: [batch, 4])
        var options = ExecutionOptions(threads: planned)
        for division in Division.allCases {
            options.division = division
            let (asked, context) = (options, (graph, weights, input.shape))
            let plan = try onFreshThread(with: planned) {
                try InferencePlan(
                    graph: context.0, weights: context.1, input: context.2, options: asked)
            }
            let first = try onFreshThread(with: planned) { try plan.run(input)[0].floats }
            let second = try onFreshThread(with: running) { try plan.run(input)[0].floats }
            guard first == second, plan.threadCount == planned else { throw Difference() }
        }
        let plan = try onFreshThread(with: planned) {
            try TrainingPlan(
                graph: graph, weights: weights, input: input.shape,
                trainable: Set(graph.parameters.map(\.name)), output: graph.output,
                options: ExecutionOptions(threads: planned))
        }
        func step() throws -> [[Float]] {
            let value = try plan.forward(input, dropoutSeed: 1).floats
            try plan.backward(gradient)
            return [value] + plan.trainable.indices.map { plan.withParameter($0) { Array($1) } }
        }
        let first = try onFreshThread(with: planned, step)
        let second = try onFreshThread(with: running, step)
        guard first == second else { throw Difference() }
    }

    struct Difference: Error {}

    /// Runs `body` on a thread of its own whose parallel regions would have `count` threads.
    static func onFreshThread<R>(
        with count: Int, _ body: @escaping () throws -> R
    ) throws -> R {
        nonisolated(unsafe) let body = body
        let done = DispatchSemaphore(value: 0)
        let answer = Answer<R>()
        let thread = Thread {
            typealias Setter = @convention(c) (Int32) -> Void
            if let symbol = dlsym(nil, "omp_set_num_threads") {
                unsafeBitCast(symbol, to: Setter.self)(Int32(count))
            }
            answer.result = Result { try body() }
            done.signal()
        }
        thread.stackSize = 8 << 20
        thread.start()
        done.wait()
        guard let result = answer.result else { throw Difference() }
        return try result.get()
    }

    /// Written by the thread, read once it has signalled.
    final class Answer<R>: @unchecked Sendable {
        var result: Result<R, any Error>?
    }

    /// Convolutions that oneDNN and graft's own kernels compute, grouped ones among them, and a linear layer.
    static func network() -> (Graph, StateDict) {
        func p(_ name: String, _ shape: Shape, _ role: Parameter.Role) -> Parameter {
            Parameter(name: name, shape: shape, role: role)
        }
        let window = Window(kernel: 3, padding: .all(1))
        func conv(
            _ name: String, from: Int, _ inputs: Int, _ outputs: Int, groups: Int = 1
        ) -> Node {
            Node(
                name: name,
                op: .conv2d(outputs: outputs, window: window, groups: groups, bias: true),
                inputs: [from],
                parameters: [
                    p(name + ".w", [outputs, inputs / groups, 3, 3], .kernel),
                    p(name + ".b", [outputs], .bias),
                ])
        }
        let nodes = [
            Node(name: "in", op: .input(channels: 3), inputs: []),
            conv("stem", from: 0, 3, 32),
            Node(name: "relu", op: .activation(.relu), inputs: [1]),
            conv("wide", from: 2, 32, 64),
            conv("grouped", from: 3, 64, 20, groups: 4),
            conv("last", from: 4, 20, 33),
            Node(name: "mean", op: .globalAveragePool(keepsDimensions: false), inputs: [5]),
            Node(
                name: "head", op: .linear(outputs: 4, bias: true), inputs: [6],
                parameters: [p("hw", [4, 33], .matrix), p("hb", [4], .bias)]),
        ]
        let graph = Graph(
            name: "threads", nodes: nodes, output: 7, features: 6, logits: 7, naming: .torch)
        var weights = StateDict()
        for (seed, parameter) in graph.parameters.enumerated() {
            weights[parameter.name] = LazyTensor(
                Tensor(numbers(parameter.shape.count, seed: seed), shape: parameter.shape))
        }
        return (graph, weights)
    }

    /// Small numbers that look random and are the same in every run.
    static func numbers(_ count: Int, seed: Int) -> [Float] {
        var state = UInt32(truncatingIfNeeded: seed &* 7919 &+ 17)
        return (0..<count).map { _ in
            state = state &* 1_664_525 &+ 1_013_904_223
            return Float(state >> 8) / Float(1 << 24) - 0.5
        }
    }
}
