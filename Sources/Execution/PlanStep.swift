// What a plan does, step by step: to be listed, and to be measured.

import CDNNL

/// One step of a compiled plan.
struct Step {
    let node: String
    let algorithm: String
    let operations: Double
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
    /// The median time of a run, if it was measured.
    public var milliseconds: Double?

    init(_ step: Step) {
        node = step.node
        algorithm = step.algorithm
        operations = step.operations
    }
}

extension Compiler {
    /// Runs the steps `runs` times and keeps the median time of each.
    func profile(_ steps: [Step], runs: Int) throws -> [PlanStep] {
        let clock = ContinuousClock()
        var times = [[Double]](repeating: [], count: steps.count)
        for _ in 0..<max(runs, 1) {
            for (index, step) in steps.enumerated() {
                let start = clock.now
                try step.run()
                try wait()
                times[index].append((clock.now - start) / .milliseconds(1))
            }
        }
        return zip(steps, times).map { step, times in
            var result = PlanStep(step)
            result.milliseconds = times.sorted()[times.count / 2]
            return result
        }
    }
}
