// Plans compiled by one thread and run by others that have more or fewer threads.

import Foundation
import GraftExecution
import GraftNetworks
import GraftTensors
import Testing

/// Written by one thread, read once that has ended.
private final class Answer<R>: @unchecked Sendable {
    var result: Result<R, any Error>?
}

/// Runs `body` on a thread of its own whose parallel regions would have `count` threads.
private func onFreshThread<R>(with count: Int, _ body: @escaping () throws -> R) throws -> R {
    nonisolated(unsafe) let body = body
    let answer = Answer<R>()
    let done = DispatchSemaphore(value: 0)
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
    return try #require(answer.result).get()
}

/// How many threads the parallel regions of this thread have.
private func regionThreads() -> Int32 {
    typealias Getter = @convention(c) () -> Int32
    return dlsym(nil, "omp_get_max_threads").map { unsafeBitCast($0, to: Getter.self)() } ?? 1
}

@Suite struct ThreadTests {
    static let combinations = [1, 2, 3].flatMap { planned in
        [1, 2, 8].map { (planned, $0) }
    }

    @Test(arguments: combinations)
    func `A plan answers the same on any thread`(planned: Int, running: Int) throws {
        let (graph, weights) = residual(side: 24, channels: 64)
        let input = Tensor(numbers(3 * 64 * 24 * 24), shape: [3, 64, 24, 24])
        var options = ExecutionOptions(threads: planned)
        for division in Division.allCases {
            options.division = division
            let options = options
            let plan = try onFreshThread(with: 4) {
                try InferencePlan(
                    graph: graph, weights: weights, input: input.shape, options: options)
            }
            #expect(plan.threadCount == planned)
            let first = try onFreshThread(with: planned) { try plan.run(input)[0].floats }
            let second = try onFreshThread(with: running) { try plan.run(input)[0].floats }
            #expect(first == second)
        }
    }

    @Test(arguments: combinations)
    func `A training step is the same on any thread`(planned: Int, running: Int) throws {
        let (graph, weights) = residual(side: 24, channels: 64)
        let input = Tensor(numbers(3 * 64 * 24 * 24), shape: [3, 64, 24, 24])
        let plan = try onFreshThread(with: 4) {
            try TrainingPlan(
                graph: graph, weights: weights, input: input.shape,
                trainable: ["w", "b", "gamma", "beta", "hw", "hb"], output: 7,
                options: ExecutionOptions(threads: planned))
        }
        func step() throws -> [[Float]] {
            let value = try plan.forward(input, dropoutSeed: 1).floats
            try plan.backward(Tensor(numbers(9, seed: 3), shape: [3, 3]))
            return [value] + plan.trainable.indices.map { plan.withParameter($0) { Array($1) } }
        }
        let first = try onFreshThread(with: planned, step)
        let second = try onFreshThread(with: running, step)
        #expect(plan.threadCount == planned)
        #expect(first == second)
    }

    @Test func `A plan leaves the caller's number of threads as it was`() throws {
        let (graph, weights) = residual()
        let input = Tensor(numbers(8 * 25), shape: [1, 8, 5, 5])
        let after = try onFreshThread(with: 5) {
            let plan = try InferencePlan(
                graph: graph, weights: weights, input: input.shape,
                options: ExecutionOptions(threads: 2))
            _ = try plan.run(input)
            return regionThreads()
        }
        #expect(after == 5)
    }
}
