// The engine of real runs: GraftExecution's plans, and a direct path for a linear head.

import GraftExecution
import GraftNetworks
import GraftTensors

/// Runs frozen parts on inference plans and learns on training plans.
struct ExecutionEngine: TrainingEngine {
    /// How the layers that learn are computed.
    var accuracy = Accuracy.default

    func frozen(_ graph: Graph, weights: StateDict, input: Shape) throws
        -> (Tensor) throws -> Tensor
    {
        let plan = try InferencePlan(
            graph: graph, weights: weights, input: input, outputs: [graph.output])
        return { try plan.run($0)[0] }
    }

    func learner(
        _ graph: Graph, weights: StateDict, input: Shape, trainable: Set<String>,
        moving: MovingStatistics?, crew: any Crew, outputs: [Int]
    ) throws -> any Learner {
        if let head = try HeadLearner(
            graph, weights: weights, trainable: trainable, crew: crew)
        {
            return head
        }
        let plan = try TrainingPlan(
            graph: graph, weights: weights, input: input, trainable: trainable, outputs: outputs,
            moving: moving,
            joint: crew.count > 1
                ? JointBatch(rank: crew.rank, count: crew.count) { try crew.sum($0) } : nil,
            options: ExecutionOptions(accuracy: accuracy))
        return PlanLearner(plan)
    }
}

/// A training plan as the loop wants it.
private final class PlanLearner: Learner {
    private let plan: TrainingPlan

    init(_ plan: TrainingPlan) { self.plan = plan }

    var trainable: [Parameter] { plan.trainable }
    var statistics: [Parameter] { plan.statistics }

    func forward(_ input: Tensor, dropoutSeed: UInt64?) throws -> [Tensor] {
        try plan.values(
            input, dropoutSeed: dropoutSeed, movesStatistics: dropoutSeed != nil)
    }

    func hold(_ statistics: Set<String>) { plan.heldStatistics = statistics }

    func withStatistic(
        _ index: Int, _ body: (UnsafeMutableBufferPointer<Float>) throws -> Void
    ) throws {
        try plan.withStatistic(index, body)
    }

    func backward(_ gradients: [Tensor], ready: ((Int) throws -> Void)?) throws {
        try plan.backward(gradients, ready: ready)
    }

    func withParameter(
        _ index: Int,
        _ body: (UnsafeMutableBufferPointer<Float>, UnsafeMutableBufferPointer<Float>) throws ->
            Void
    ) throws {
        try plan.withParameter(index, body)
    }
}

extension Trainer {
    /// A run of `input` with these options. Everything it writes goes to `runFolder`, but for the
    /// kept `features`, which serve later runs. With a crew, its first
    /// process writes; all must have the same input and options.
    public convenience init(
        _ input: TrainingInput, options: TrainingOptions, runFolder: String,
        features: any FeatureStore,
        crew: any Crew = Alone(), report: @escaping @Sendable (TrainingEvent) -> Void = { _ in }
    ) throws {
        try self.init(
            input, options: options, runFolder: runFolder, features: features,
            engine: ExecutionEngine(accuracy: options.isExact ? .exact : .default), crew: crew,
            report: report)
    }
}
