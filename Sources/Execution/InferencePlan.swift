// Inference: a network compiled for one shape, run as a whole or photo by photo on lanes.

import CDNNL
public import GraftNetworks
public import GraftTensors

/// A network compiled for one shape of input.
///
/// Any thread may run it, one at a time, with the same answers: the number of threads that compute is
/// the plan's own, settled when it is compiled.
///
/// A batch goes through as a whole, on all threads, or image by image, each on a thread of its
/// own: where the weights are small beside the maps, these stay in the caches and no thread waits.
public final class InferencePlan {
    private let inputs: [ValueType]
    private let parts: Int
    private let lanes: [Lane]
    /// The threads of the lanes; none where the only lane runs in the caller's.
    private let workers: [Worker]
    private let outputShapes: [Shape]
    /// The number of threads that compute.
    public let threadCount: Int

    /// Compiles `graph` for inputs (N, C, H, W).
    ///
    /// - Parameters:
    ///   - weights: every parameter under the graph's names, f32, logical order (OIHW).
    ///   - outputs: the nodes whose values ``run(_:)`` returns; the graph's output by default.
    /// - Throws: `ExecutionError`, `NetworkError` if the graph does not fit the input.
    public convenience init(
        graph: Graph, weights: StateDict, input: Shape, outputs: [Int]? = nil,
        options: ExecutionOptions = .init()
    ) throws {
        let count = graph.nodes.count
        for output in outputs ?? [] where !graph.nodes.indices.contains(output) {
            throw ExecutionError.node(output, count: count)
        }
        try self.init(
            graph: graph, weights: weights, inputs: [ValueType(input)],
            outputs: (outputs ?? [graph.output]).map { ValueID($0) }, options: options)
    }

    /// Compiles `graph` for inputs of these types, in the order of its input nodes.
    ///
    /// Numbers of every element type are floats in a run; integers are exact up to 2²⁴.
    ///
    /// - Parameter outputs: the values that ``run(inputs:)`` returns.
    /// - Throws: `ExecutionError`, `NetworkError` if the graph does not fit the inputs.
    public init(
        graph: Graph, weights: StateDict, inputs: [ValueType], outputs: [ValueID],
        options: ExecutionOptions = .init()
    ) throws {
        threadCount = Threads.resolved(options.threads)
        self.inputs = inputs
        let types = try graph.types(inputs: inputs)
        for output in outputs
        where !types.indices.contains(output.node)
            || !types[output.node].indices.contains(output.output)
        {
            throw ExecutionError.node(output.node, count: types.count)
        }
        outputShapes = outputs.map { types[$0.node][$0.output].shape }
        let isDivided =
            inputs.count == 1
            && options.division.divides(
                graph, shapes: types.map { $0[0].shape }, outputs: outputShapes)
        parts = isDivided ? inputs[0].shape[0] : 1
        var part = inputs
        if isDivided { part[0].shape[0] = 1 }
        if options.usesInt8, options.ranges.isEmpty {
            throw ExecutionError.unquantized(graph.name)
        }
        let planFile =
            options.planFile.map { PlanFile($0) } ?? (isDivided ? PlanFile(nil) : nil)
        var settled = options
        settled.threads = isDivided ? 1 : threadCount
        func lane() throws -> Lane {
            try Lane(
                graph: graph, weights: weights, inputs: part, outputs: outputs, options: settled,
                planFile: planFile)
        }
        let workers = isDivided ? (0..<min(threadCount, parts)).compactMap { _ in Worker() } : []
        // One after another, so that each finds the weights that
        // the one before has prepared.
        let lanes = try workers.map { worker in
            var result: Result<Lane, any Error>?
            worker.start { result = Result { try lane() } }
            worker.wait()
            guard let result else { throw ExecutionError.library("compile", code: 0) }
            return try result.get()
        }
        self.workers = workers
        self.lanes = lanes.isEmpty ? [try lane()] : lanes
        planFile?.save()
    }

    /// The values of the outputs, row-major, for one batch of exactly the planned shape.
    public func run(_ input: Tensor) throws -> [Tensor] { try run(inputs: [input]) }

    /// The values of the outputs, row-major, for inputs of exactly the planned shapes.
    public func run(inputs tensors: [Tensor]) throws -> [Tensor] {
        guard tensors.count == inputs.count else {
            throw ExecutionError.inputCount(expected: inputs.count, found: tensors.count)
        }
        for (tensor, type) in zip(tensors, inputs) where tensor.shape != type.shape {
            throw ExecutionError.input(expected: type.shape, found: tensor.shape)
        }
        return try withFloats(of: tensors[...], before: []) { try run($0) }
    }

    /// Lends the numbers of all tensors at once.
    private func withFloats<R>(
        of tensors: ArraySlice<Tensor>, before: [UnsafeBufferPointer<Float>],
        _ body: ([UnsafeBufferPointer<Float>]) throws -> R
    ) throws -> R {
        guard let first = tensors.first else { return try body(before) }
        return try first.withFloats { numbers in
            try withFloats(of: tensors.dropFirst(), before: before + [numbers], body)
        }
    }

    private func run(_ sources: [UnsafeBufferPointer<Float>]) throws -> [Tensor] {
        let tensors = outputShapes.map { shape in
            UnsafeMutableBufferPointer<Float>.allocate(capacity: max(shape.count, 1))
        }
        defer { for tensor in tensors { tensor.deallocate() } }
        let targets = tensors.compactMap(\.baseAddress)
        let (parts, lanes) = (parts, lanes)
        let sizes = outputShapes.map { $0.count / parts }
        let bases = sources.compactMap(\.baseAddress)
        let steps = sources.map { $0.count / parts }
        func run(lane: Int) throws {
            for part in stride(from: lane, to: parts, by: lanes.count) {
                try lanes[lane].run(
                    zip(bases, steps).map { $0 + part * $1 },
                    into: zip(targets, sizes).map { $0 + part * $1 })
            }
        }
        if workers.isEmpty {
            try run(lane: 0)
        } else {
            let failures = UnsafeMutableBufferPointer<(any Error)?>.allocate(
                capacity: workers.count)
            failures.initialize(repeating: nil)
            defer {
                failures.deinitialize()
                failures.deallocate()
            }
            for (index, worker) in workers.enumerated() {
                worker.start {
                    do { try run(lane: index) } catch { failures[index] = error }
                }
            }
            for worker in workers { worker.wait() }
            if let failure = failures.lazy.compactMap({ $0 }).first { throw failure }
        }
        return zip(outputShapes, tensors).map { shape, tensor in
            Tensor(shape: shape) { _ = $0.update(fromContentsOf: tensor[..<shape.count]) }
        }
    }

    /// Into how many parts a batch is divided, and how many of them are computed side by side.
    public var division: (parts: Int, lanes: Int) { (parts, lanes.count) }

    /// The memory that values and scratch space take, weights not counted.
    public var activationByteCount: Int { lanes.reduce(0) { $0 + $1.byteCount } }

    /// Which layers are computed together, in order.
    public var groups: [PlanGroup] {
        lanes[0].groups.map { PlanGroup($0, in: lanes[0].compiler.graph) }
    }

    /// The steps of a run on one part, in order.
    public var steps: [PlanStep] { lanes[0].compiler.steps.map(PlanStep.init) }

    /// The steps of a run on one part, each with its median time over `runs` runs of the same
    /// input.
    public func profile(_ input: Tensor, runs: Int) throws -> [PlanStep] {
        _ = try run(input)
        let compiler = lanes[0].compiler
        guard let worker = workers.first else {
            return try compiler.profile(compiler.steps, runs: runs)
        }
        var result: Result<[PlanStep], any Error> = .success([])
        worker.start { result = Result { try compiler.profile(compiler.steps, runs: runs) } }
        worker.wait()
        return try result.get()
    }
}

/// The way of a batch's images through a network.
public enum Division: String, Sendable, CaseIterable {
    /// As the weights are: see ``divides(_:shapes:outputs:)``.
    case automatic
    /// The whole batch through each layer, all threads at one layer.
    case whole
    /// Each image by itself, one on each thread.
    case photos

    /// Whether a batch of these shapes is divided. By itself it is where the weights, which are read
    /// again for every image, are small beside the maps: MobileNet's 14 MB are, ResNet50's 100 are
    /// not.
    func divides(_ graph: Graph, shapes: [Shape], outputs: [Shape]) -> Bool {
        // An input of a fixed number of samples has no parts.
        if case .input(let input) = graph.nodes.first?.op, case .number? = input.type?.sizes.first {
            return false
        }
        guard let count = shapes.first?.dimensions.first, count > 1,
            outputs.allSatisfy({ $0.rank > 0 && $0[0] == count }),
            graph.nodes.allSatisfy({ $0.op.rule.treatsSamplesAlone })
        else { return false }
        switch self {
        case .whole: return false
        case .photos: return true
        case .automatic:
            let weights = graph.parameters.reduce(0) { $0 + $1.shape.count }
            let values = zip(graph.nodes, shapes).reduce(0) { $0 + $1.1.count / count }
            return weights <= 6_000_000 && values >= weights / 2
        }
    }
}
