// Reading and writing the native model.

internal import FoundationEssentials
internal import GraftExecution
internal import GraftFormats
internal import GraftImages
internal import GraftNetworks
public import GraftTensors
internal import GraftTraining

/// An error in a model file or in what is asked of a model.
public enum ModelError: Diagnostic, Equatable {
    /// The file is a weight file and not a native model.
    case notNative(String)
    /// The file says it is a native model, and a part of it is missing or broken.
    case broken(String, part: String, reason: String)
    /// Nothing says which network the weights belong to.
    case unknownArchitecture(String)
    /// What is asked of the model cannot be.
    case unusable(String, reason: String, hint: String?)

    /// What happened.
    public var message: String {
        switch self {
        case .notNative(let path): "`\(path)` is not a native model of graft"
        case .broken(let path, let part, let reason):
            "`\(path)` is a broken model: its \(part) \(reason)"
        case .unknownArchitecture(let path):
            "the tensors of `\(path)` belong to no architecture that graft knows by their names"
        case .unusable(let what, let reason, _): "`\(what)`: \(reason)"
        }
    }
    /// What to do about it.
    public var hint: String? {
        switch self {
        case .notNative(let path): "convert it: `graft convert \(path) -o model.safetensors`"
        case .broken: "make it anew with `graft convert` or `graft train`"
        case .unknownArchitecture: "name one with `--architecture`, as `graft models` lists them"
        case .unusable(_, _, let hint): hint
        }
    }
}

extension Model {
    private enum Key {
        static let format = "graft.format"
        static let graph = "graft.graph"
        static let input = "graft.input"
        static let labels = "graft.labels"
        static let source = "graft.source"
        static let task = "graft.task"
        static let training = "graft.training"
        static let ranges = "graft.ranges"
        static let bank = "neighbours.bank"
        static let bankLabels = "neighbours.labels"
    }

    /// What the head answers, where that is not a class by its logits.
    private struct Task: Codable {
        var task: LearningTask
        var thresholds: [Float]?
        var neighbours: Int?
        var activation: OutputActivation?
    }

    /// Whether these tensors came from a native model.
    static func isNative(_ state: StateDict) -> Bool { state.metadata[Key.graph] != nil }

    /// Opens a native model; the weights stay in the file until they are used.
    ///
    /// A mapped file must not be overwritten in place (`cp new old`) or truncated while the model, or
    /// a plan made of it, is in use: reading what is no longer there ends the process with SIGBUS,
    /// and bytes that changed change answers. The library installs no signal handler. Replace the file
    /// by renaming a new one over it, as ``write(to:durably:)`` does; where others may not, and on
    /// network file systems, where mapped pages are fetched one by one, read it into memory.
    ///
    /// - Parameter mapped: whether the file is mapped; if not, all of it is read into memory now.
    /// - Throws: `ModelError` if it is none or is broken, `NetworkError` if the weights do not fit.
    public static func open(_ path: String, mapped: Bool = true) throws -> Model {
        let state = try Checkpoint.open(path, mapped: mapped)
        guard isNative(state) else { throw ModelError.notNative(path) }
        return try Model(native: state, path: path)
    }

    init(native state: StateDict, path: String) throws {
        func text(_ key: String) throws -> String {
            guard let text = state.metadata[key] else {
                throw ModelError.broken(path, part: key, reason: "is missing")
            }
            return text
        }
        func decode<T: Decodable>(_: T.Type, _ key: String) throws -> T {
            do {
                return try JSONDecoder().decode(T.self, from: Data(try text(key).utf8))
            } catch let error as DecodingError {
                throw ModelError.broken(
                    path, part: key,
                    reason: "cannot be read: \(GraftTensors.reason(ofDecoding: error))")
            }
        }
        guard try text(Key.format) == "1" else {
            throw ModelError.broken(
                path, part: Key.format,
                reason: "is `\(try text(Key.format))`, expected `1`: a newer graft wrote it")
        }
        /// What is wrong in a part of the file, with the file's name.
        func part<R>(_ key: String, _ body: () throws -> R) throws -> R {
            do { return try body() } catch let error as any Diagnostic where !(error is ModelError)
            {
                throw ModelError.broken(path, part: key, reason: "is invalid: \(error.message)")
            }
        }
        let preprocessing = try decode(Preprocessing.self, Key.input)
        try part(Key.input) { try preprocessing.validate() }
        let graph = try part(Key.graph) {
            try Graph.decode(
                json: try text(Key.graph),
                input: [1, preprocessing.channels, preprocessing.height, preprocessing.width])
        }
        let (bank, bankLabels) = (state[Key.bank], state[Key.bankLabels])
        var state = state
        (state[Key.bank], state[Key.bankLabels]) = (nil, nil)
        self.init(
            graph: graph, weights: try graph.bound(state),
            preprocessing: preprocessing, labels: try decode([String].self, Key.labels),
            source: try decode(Source.self, Key.source))
        if graph.takesImages {
            _ = try part(Key.graph) { try graph.shapes(input: input()) }
        }
        if state.metadata[Key.training] != nil {
            training = try decode(TrainingOrigin.self, Key.training)
        }
        if state.metadata[Key.ranges] != nil {
            ranges = try decode([String: ValueRange].self, Key.ranges)
            for (name, range) in ranges
            where !(range.lower <= range.upper) || !range.lower.isFinite || !range.upper.isFinite {
                throw ModelError.broken(
                    path, part: Key.ranges,
                    reason: "say that `\(name)` lies between \(range.lower) and \(range.upper)")
            }
        }
        let isDescribed = state.metadata[Key.task] != nil
        let described = isDescribed ? try decode(Task.self, Key.task) : nil
        if let described {
            task = described.task
            activation = described.activation
            thresholds = described.thresholds ?? []
        } else {
            // A classifier, or a file of before networks' last layers were looked at.
            try settleAnswer(isClassifier: true)
        }
        let outputs = outputCount
        if let outputs, !labels.isEmpty, graph.classes != nil, labels.count != outputs,
            !(isBinary && labels.count == 2), described?.neighbours == nil
        {
            throw ModelError.broken(
                path, part: Key.labels,
                reason: "name \(labels.count) classes, the network has \(outputs)")
        }
        func reject(_ reason: String) -> ModelError {
            .broken(path, part: Key.task, reason: reason)
        }
        let named = labels.isEmpty ? outputs ?? 0 : labels.count
        if task.traits.hasThresholds, thresholds.count != named {
            throw reject("has \(thresholds.count) thresholds for \(named) labels")
        }
        guard let described else { return }
        do { try task.kind.check(answerSite()) } catch let flaw as TaskFlaw {
            throw reject("is \(task.rawValue), and \(flaw.reason)")
        }
        guard let count = described.neighbours else { return }
        guard let bank, let bankLabels, bank.shape.rank == 2, bank.shape[1] > 0,
            bankLabels.count == bank.shape[0], (1...max(1, bankLabels.count)).contains(count)
        else { throw reject("names neighbours that are not there") }
        let classes = try bankLabels.load().floats.map { Int(exactly: $0) ?? -1 }
        guard classes.allSatisfy(labels.indices.contains) else {
            throw reject("names neighbours of classes that are not there")
        }
        neighbours = Neighbours(
            features: try bank.load().floats, width: bank.shape[1], labels: classes, count: count)
    }

    /// Writes the model to `path`: to a temporary file beside it first, then by rename. `durably`
    /// waits until it is on the disk.
    public func write(to path: String, durably: Bool = true) throws {
        func encode(_ value: some Encodable) throws -> String {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(value), as: UTF8.self)
        }
        var state = weights
        state.axes = .torch
        state.metadata = [
            Key.format: "1",
            Key.graph: try encode(graph),
            Key.input: try encode(preprocessing),
            Key.labels: try encode(labels),
            Key.source: try encode(source),
        ]
        if let training { state.metadata[Key.training] = try encode(training) }
        if !ranges.isEmpty { state.metadata[Key.ranges] = try encode(ranges) }
        // One score does not say by itself whether it is a number or a probability's.
        if task != .classification || neighbours != nil || activation != nil || outputCount == 1 {
            state.metadata[Key.task] = try encode(
                Task(
                    task: task, thresholds: thresholds.isEmpty ? nil : thresholds,
                    neighbours: neighbours?.count, activation: activation))
        }
        if let neighbours {
            let rows = neighbours.labels.count
            state[Key.bank] = LazyTensor(
                Tensor(neighbours.bank, shape: [rows, neighbours.width]))
            state[Key.bankLabels] = LazyTensor(
                Tensor(neighbours.labels.map { Float($0) }, shape: [rows]))
        }
        try Safetensors.write(state, to: path, durably: durably)
    }
}
