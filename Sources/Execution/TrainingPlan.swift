// Training: forward that keeps what backward needs, and the gradients of what learns.

import CDNNL
public import GraftNetworks
public import GraftTensors

/// A network compiled for learning, for one shape of batch.
///
/// Any thread may run it, one at a time, with the same numbers: the number of threads that compute is
/// the plan's own, settled when it is compiled.
///
/// Only `trainable` parameters get gradients; nothing is computed backward below the first of them.
/// BatchNorm normalises with its running statistics, as Keras does in a frozen layer, and its γ and
/// β may learn; where `moving` names its statistics, it learns with those of the batch.
public final class TrainingPlan {
    /// The parameters that learn, in the order of the graph.
    public let trainable: [Parameter]
    /// The running statistics that move, in the order of the graph.
    public let statistics: [Parameter]
    /// Which layers are computed together, in order.
    public let groups: [PlanGroup]
    private let compiler: Compiler
    private let learning: Learning
    private let graph: Graph
    private let input: Shape
    private let outputs: [Int]
    private let forwardSteps: [Step]
    private let backwardSteps: [Step]
    /// After how many backward steps the gradients of which parameters are complete, in order.
    private let completions: [(steps: Int, parameters: [Int])]
    private let inputMemory: Memory
    private let outputMemories: [Memory]
    private let outputGradients: [Memory]

    /// Compiles `graph` for batches of shape `input` (N, C, H, W), up to the value of node `output`.
    /// With `joint`, what moves in `moving` follows the batches of several processes together.
    ///
    /// - Throws: `ExecutionError.noGradient` naming a layer that gradients cannot pass.
    public convenience init(
        graph: Graph, weights: StateDict, input: Shape, trainable: Set<String>, output: Int,
        moving: MovingStatistics? = nil, joint: JointBatch? = nil,
        options: ExecutionOptions = .init()
    ) throws {
        try self.init(
            graph: graph, weights: weights, input: input, trainable: trainable,
            outputs: [output], moving: moving, joint: joint, options: options)
    }

    /// Compiles `graph` up to the values of several nodes, of which a loss sees all.
    ///
    /// - Parameter outputs: The nodes, each once.
    /// - Throws: `ExecutionError.noGradient` naming a layer that gradients cannot pass.
    public init(
        graph: Graph, weights: StateDict, input: Shape, trainable: Set<String>, outputs: [Int],
        moving: MovingStatistics? = nil, joint: JointBatch? = nil,
        options: ExecutionOptions = .init()
    ) throws {
        self.graph = graph
        self.input = input
        self.outputs = outputs
        statistics = graph.parameters.filter { moving?.names.contains($0.name) == true }
        let learning = graph.parameters.filter { trainable.contains($0.name) && !$0.isBuffer }
        self.trainable = learning
        let compiler = try Compiler(
            graph: graph, weights: weights, inputs: [ValueType(input)],
            options: ExecutionOptions(threads: options.threads, accuracy: options.accuracy))
        self.compiler = compiler
        for output in outputs where !compiler.shapes.indices.contains(output) {
            throw ExecutionError.node(output, count: compiler.shapes.count)
        }
        // Work is divided, and scratch memory made, for as many threads as will run it.
        let (learner, groups, memories, forwardCount, completions) = try Threads.with(
            compiler.threads
        ) {
            let learner = try Learning(
                compiler, trainable: trainable, moving: moving, joint: joint)
            let pass = try ForwardPass(compiler, outputs: Set(outputs), learning: learner)
            let forwardCount = compiler.steps.count
            let memories = (
                input: pass.inputs[0],
                outputs: try outputs.map { try pass.value(of: ValueID($0)) },
                gradients: try outputs.map {
                    try compiler.memory(.plain(compiler.shapes[$0].dimensions))
                }
            )
            let backward = try BackwardPass(
                compiler, groups: pass.compiled, learning: learner, outputs: outputs,
                gradients: memories.gradients)
            // Between the two parts the caller reads the one and writes the other.
            for memory in memories.outputs + memories.gradients {
                compiler.arena.use(memory.buffer, at: forwardCount)
            }
            try compiler.arena.settle()
            return (learner, pass.plan.groups, memories, forwardCount, backward.completions)
        }
        self.learning = learner
        self.groups = groups.map { PlanGroup($0, in: graph) }
        self.completions = Self.completions(
            completions, of: learning, steps: compiler.steps.count - forwardCount)
        (inputMemory, outputMemories, outputGradients) = memories
        forwardSteps = Array(compiler.steps[..<forwardCount])
        backwardSteps = Array(compiler.steps[forwardCount...])
    }

    /// After how many steps the gradients of which parameters are complete, by their indices. What
    /// the output does not need is complete at the end: its gradient is zero.
    private static func completions(
        _ found: [(steps: Int, parameters: [String])], of learning: [Parameter], steps: Int
    ) -> [(steps: Int, parameters: [Int])] {
        var open = Dictionary(
            learning.enumerated().map { ($1.name, $0) },
            uniquingKeysWith: { first, _ in first })
        var completions: [(steps: Int, parameters: [Int])] = []
        for completion in found {
            let own = completion.parameters.compactMap { open.removeValue(forKey: $0) }
            if !own.isEmpty { completions.append((completion.steps, own)) }
        }
        if !open.isEmpty { completions.append((steps, open.values.sorted())) }
        return completions
    }

    /// The number of threads that compute.
    public var threadCount: Int { compiler.threads }

    /// The memory that values, their gradients and scratch space take, weights not counted.
    public var activationByteCount: Int {
        compiler.arena.byteCount + compiler.scratch.byteCount + compiler.transformed.byteCount
    }

    /// The steps of training on a batch, in order: forward, then backward.
    public var steps: [PlanStep] { compiler.steps.map(PlanStep.init) }

    /// The steps of training on a batch, each with its median time over `runs` runs of the same
    /// input.
    public func profile(_ input: Tensor, runs: Int) throws -> [PlanStep] {
        try backward(try forward(input, dropoutSeed: 1))
        return try compiler.profile(compiler.steps, runs: runs)
    }

    /// The running statistics, by name, that for now neither move nor give way to the batch's.
    public var heldStatistics: Set<String> {
        get { learning.heldStatistics }
        set { learning.heldStatistics = newValue }
    }

    /// The value of the output for a batch. `dropoutSeed` nil leaves dropout off; with
    /// `movesStatistics`, BatchNorm whose statistics may move normalises by the batch.
    public func forward(
        _ input: Tensor, dropoutSeed: UInt64?, movesStatistics: Bool = false
    ) throws -> Tensor {
        try values(input, dropoutSeed: dropoutSeed, movesStatistics: movesStatistics)[0]
    }

    /// As ``forward(_:dropoutSeed:movesStatistics:)``: the values of all outputs, in their order.
    public func values(
        _ input: Tensor, dropoutSeed: UInt64?, movesStatistics: Bool = false
    ) throws -> [Tensor] {
        guard input.shape == self.input else {
            throw ExecutionError.input(expected: self.input, found: input.shape)
        }
        input.withFloats { source in
            _ = inputMemory.buffer.floats(source.count).update(fromContentsOf: source)
        }
        learning.dropoutSeed = dropoutSeed
        learning.movesStatistics = movesStatistics
        return try Threads.with(compiler.threads) {
            for step in forwardSteps { try step.run() }
            try compiler.wait()
            return try zip(outputs, outputMemories).map { output, memory in
                try compiler.read(memory, of: compiler.shapes[output])
            }
        }
    }

    /// Computes the gradients of all trainable parameters from ∂L/∂output of the last forward.
    /// `ready` hears of each parameter, by its index, as soon as its gradient is complete: the last
    /// layers' first.
    public func backward(_ gradient: Tensor, ready: ((Int) throws -> Void)? = nil) throws {
        try backward([gradient], ready: ready)
    }

    /// As ``backward(_:ready:)``, from the gradient of each output, in their order.
    public func backward(_ gradients: [Tensor], ready: ((Int) throws -> Void)? = nil) throws {
        precondition(gradients.count == outputs.count, "a gradient for each output")
        for (at, gradient) in gradients.enumerated() {
            let expected = compiler.shapes[outputs[at]]
            guard gradient.shape == expected else {
                throw ExecutionError.input(expected: expected, found: gradient.shape)
            }
            gradient.withFloats { source in
                _ = outputGradients[at].buffer.floats(source.count).update(fromContentsOf: source)
            }
        }
        try Threads.with(compiler.threads) { try backward(ready: ready) }
    }

    private func backward(ready: ((Int) throws -> Void)?) throws {
        guard let ready else {
            for step in backwardSteps { try step.run() }
            return try compiler.wait()
        }
        var done = 0
        for completion in completions {
            for step in backwardSteps[done..<completion.steps] { try step.run() }
            done = completion.steps
            try compiler.wait()
            for parameter in completion.parameters { try ready(parameter) }
        }
        for step in backwardSteps[done...] { try step.run() }
        try compiler.wait()
    }

    /// Lends a trainable parameter's numbers and gradient, row-major in logical order.
    package func withParameter<R>(
        _ index: Int,
        _ body: (UnsafeMutableBufferPointer<Float>, UnsafeMutableBufferPointer<Float>) throws -> R
    ) rethrows -> R {
        let slot = slot(trainable[index])
        let count = trainable[index].shape.count
        return try body(slot.value.buffer.floats(count), slot.gradient.buffer.floats(count))
    }

    /// Lends the numbers of one of ``statistics``.
    package func withStatistic<R>(
        _ index: Int, _ body: (UnsafeMutableBufferPointer<Float>) throws -> R
    ) rethrows -> R {
        let count = statistics[index].shape.count
        return try body(slot(statistics[index]).value.buffer.floats(count))
    }

    private func slot(_ parameter: Parameter) -> Learning.Slot {
        guard let slot = learning.slots[parameter.name] else {
            preconditionFailure("`\(parameter.name)` has no memory")
        }
        return slot
    }

    /// All parameters and buffers with their present numbers, in logical order.
    public func weights() -> StateDict {
        var state = StateDict()
        for parameter in graph.parameters {
            if let slot = learning.slots[parameter.name] {
                let numbers = slot.value.buffer.floats(parameter.shape.count)
                state[parameter.name] = LazyTensor(
                    Tensor(shape: parameter.shape) { _ = $0.update(fromContentsOf: numbers) })
            } else {
                state[parameter.name] = compiler.original(parameter)
            }
        }
        return state
    }
}
