// What a plan does, step by step: to be listed, and to be measured.

import CDNNL
import CKernels

/// One step of a compiled plan.
struct Step {
    let node: String
    let algorithm: String
    let operations: Double
    /// The bytes that it must read or write at least: its values and weights, each once.
    let byteCount: Int
    let run: () throws -> Void
}

/// One step of a plan, as ``InferencePlan/steps`` and ``TrainingPlan/steps`` list them.
public struct PlanStep: Sendable, Hashable, Codable {
    /// The layer that it computes, or `reorder` if it only changes the layout of a value.
    public var node: String
    /// The code that runs: oneDNN's name for it (`jit:avx2`), `winograd…` for graft's own kernels,
    /// `loop` for a plain loop.
    public var algorithm: String
    /// Multiplications and additions, as the definition of the layer counts them.
    public var operations: Double
    /// The bytes of the values and weights that it reads or writes, each once.
    public var byteCount: Int
    /// The median time of a run, if it was measured.
    public var milliseconds: Double?

    init(_ step: Step) {
        node = step.node
        algorithm = step.algorithm
        operations = step.operations
        byteCount = step.byteCount
    }
}

/// The most that the machine could do: steps are measured against it.
public struct Roofline: Sendable, Hashable {
    /// Multiplications and additions a second, f32, in registers.
    public var operations: Double
    /// Bytes a second, read from memory.
    public var bandwidth: Double

    /// Measures it, in less than a second, on this number of threads.
    public static func measure(threads: Int?) -> Roofline {
        let count = Threads.resolved(threads)
        return Roofline(
            operations: graft_peak_operations(count), bandwidth: graft_peak_bandwidth(count))
    }

    /// The share of what is possible that a measured step reached: the least time that its arithmetic or
    /// its bytes allow, over the time that it took. Over 1 where values came from a cache.
    public func share(of step: PlanStep) -> Double {
        guard let time = step.milliseconds, time > 0, operations > 0, bandwidth > 0 else {
            return 0
        }
        let least = max(step.operations / operations, Double(step.byteCount) / bandwidth)
        return least * 1000 / time
    }
}

extension Compiler {
    /// Runs the steps `runs` times and keeps the median time of each.
    func profile(_ steps: [Step], runs: Int) throws -> [PlanStep] {
        let clock = ContinuousClock()
        var times = [[Double]](repeating: [], count: steps.count)
        try Threads.with(threads) {
            for _ in 0..<max(runs, 1) {
                for (index, step) in steps.enumerated() {
                    let start = clock.now
                    try step.run()
                    try wait()
                    times[index].append((clock.now - start) / .milliseconds(1))
                }
            }
        }
        return zip(steps, times).map { step, times in
            var result = PlanStep(step)
            result.milliseconds = times.sorted()[times.count / 2]
            return result
        }
    }
}
