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
    private let input: Shape
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
    public init(
        graph: Graph, weights: StateDict, input: Shape, outputs: [Int]? = nil,
        options: ExecutionOptions = .init()
    ) throws {
        threadCount = Threads.resolved(options.threads)
        self.input = input
        let outputs = outputs ?? [graph.output]
        let shapes = try graph.shapes(input: input)
        for output in outputs where !shapes.indices.contains(output) {
            throw ExecutionError.node(output, count: shapes.count)
        }
        outputShapes = outputs.map { shapes[$0] }
        let isDivided = options.division.divides(graph, shapes, outputs: outputs)
        parts = isDivided ? input[0] : 1
        var part = input
        if isDivided { part[0] = 1 }
        if options.usesInt8, options.ranges.isEmpty {
            throw ExecutionError.unquantized(graph.name)
        }
        let planFile =
            options.planFile.map { PlanFile($0) } ?? (isDivided ? PlanFile(nil) : nil)
        var settled = options
        settled.threads = isDivided ? 1 : threadCount
        func lane() throws -> Lane {
            try Lane(
                graph: graph, weights: weights, input: part, outputs: outputs, options: settled,
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
    public func run(_ input: Tensor) throws -> [Tensor] {
        guard input.shape == self.input else {
            throw ExecutionError.input(expected: self.input, found: input.shape)
        }
        let tensors = outputShapes.map { shape in
            UnsafeMutableBufferPointer<Float>.allocate(capacity: max(shape.count, 1))
        }
        defer { for tensor in tensors { tensor.deallocate() } }
        let targets = tensors.compactMap(\.baseAddress)
        let sizes = outputShapes.map { $0.count / parts }
        try input.withFloats { source in
            guard let base = source.baseAddress else { return }
            let size = source.count / parts
            let (parts, lanes) = (parts, lanes)
            func run(_ lane: Int) throws {
                for part in stride(from: lane, to: parts, by: lanes.count) {
                    try lanes[lane].run(
                        base + part * size, zip(targets, sizes).map { $0 + part * $1 })
                }
            }
            guard !workers.isEmpty else { return try run(0) }
            let failures = UnsafeMutableBufferPointer<(any Error)?>.allocate(
                capacity: workers.count)
            failures.initialize(repeating: nil)
            defer {
                failures.deinitialize()
                failures.deallocate()
            }
            for (index, worker) in workers.enumerated() {
                worker.start {
                    do { try run(index) } catch { failures[index] = error }
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
    /// As the weights are: see ``divides(_:_:outputs:)``.
    case automatic
    /// The whole batch through each layer, all threads at one layer.
    case whole
    /// Each image by itself, one on each thread.
    case photos

    /// Whether a batch of these shapes is divided. By itself it is where the weights, which are read
    /// again for every image, are small beside the maps: MobileNet's 14 MB are, ResNet50's 100 are
    /// not.
    func divides(_ graph: Graph, _ shapes: [Shape], outputs: [Int]) -> Bool {
        guard let count = shapes.first?[0], count > 1,
            outputs.allSatisfy({ shapes[$0].rank > 0 && shapes[$0][0] == count }),
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
