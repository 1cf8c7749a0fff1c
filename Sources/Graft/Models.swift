// From a reference or a path to a model that is ready to use.

internal import GraftArchitectures
internal import GraftFormats
public import GraftHub
internal import GraftImages
internal import GraftNetworks
internal import GraftRegistry
public import GraftTensors

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// Opens models of every kind: native files, weight files, and what can be fetched.
public enum Models {
    /// The tensors that `reference` names as they are in their file, whatever network they are of.
    public static func weights(
        _ reference: String, hub: Hub = Hub(),
        progress: (@Sendable (Int64, Int64?) -> Void)? = nil
    ) async throws -> StateDict {
        // What is here already is not hashed first: nothing is said about where it came from.
        if isPath(reference) { return try Checkpoint.open(reference) }
        return try Checkpoint.open(try await hub.fetch(reference, progress: progress).path)
    }

    /// Whether a reference is a file or folder of this machine. A name is a name even where a folder
    /// is called the same.
    private static func isPath(_ reference: String) -> Bool {
        if reference.hasPrefix("/") || reference.hasPrefix(".") { return true }
        guard Checkpoint.exists(reference) else { return false }
        return !Checkpoint.isFolder(reference) || (try? Registry.find(reference)) == nil
    }

    /// The file behind a reference, proven; for a folder, the file in it that says what it holds.
    private static func file(
        _ reference: String, _ hub: Hub, _ progress: (@Sendable (Int64, Int64?) -> Void)?
    ) async throws -> Fetched {
        guard isPath(reference) else { return try await hub.fetch(reference, progress: progress) }
        let path = try Checkpoint.file(at: reference)
        // A path, and not a name that the registry may know too.
        let local = path.contains("/") ? path : "./" + path
        return try await hub.fetch(local, progress: progress)
    }

    /// Whether a file says itself which network its tensors are of.
    public static func isNative(_ state: StateDict) -> Bool { Model.isNative(state) }

    /// Whether weights come with a network: native, or with Keras' configuration.
    public static func hasNetwork(_ state: StateDict) -> Bool {
        Model.isNative(state) || state.metadata["model_config"] != nil
    }

    /// The model that `reference` names, its weights bound to its network.
    ///
    /// A path is opened; anything else is fetched, verified and kept in the cache. A native model
    /// says itself what it is; a weight file's architecture is `architecture`, or what the names of
    /// its tensors leave no doubt about.
    /// - Throws: any `Diagnostic` of Hub, Formats or Networks, and `ModelError`.
    public static func open(
        _ reference: String, architecture: String? = nil, hub: Hub = Hub(),
        progress: (@Sendable (Int64, Int64?) -> Void)? = nil
    ) async throws -> Model {
        if reference == tinyName { return try tiny() }
        // A native model says itself where it came from: a file that is here is not hashed for that.
        var opened: StateDict?
        if architecture == nil, isPath(reference) {
            let path = try Checkpoint.file(at: reference)
            let state = try Checkpoint.open(path)
            if Model.isNative(state) {
                return try Model(native: state, path: path).read(from: path)
            }
            opened = state
        }
        let fetched = try await file(reference, hub, progress)
        let state = try opened ?? Checkpoint.open(fetched.path)
        if architecture == nil, try Checkpoint.kind(of: fetched.path) == .onnx {
            let (graph, weights, input) = try ONNXImport.open(fetched.path, initializers: state)
            return Model(
                graph: graph, weights: weights,
                preprocessing: .squash(height: input.height, width: input.width, .passThrough),
                labels: [], source: Model.Source(reference: reference, sha256: fetched.sha256))
        }
        if Model.isNative(state) {
            let model = try Model(native: state, path: fetched.path).read(from: fetched.path)
            guard let architecture, architecture != model.graph.name else { return model }
            // The same network under other names, or the refusal that says what differs.
            let (_, graph, weights) = try Architectures.open(state, named: architecture)
            return Model(
                graph: graph, weights: weights, preprocessing: model.preprocessing,
                labels: model.labels, source: model.source)
        }
        // What is there as a file is that file, whatever the registry calls by its name.
        let entry = isPath(reference) ? nil : try? Registry.find(reference)
        if architecture == nil, entry == nil, let config = state.metadata["model_config"] {
            let (graph, weights, input) = try KerasConfig.open(config, state: state)
            return Model(
                graph: graph, weights: weights,
                preprocessing: .squash(height: input.height, width: input.width, .passThrough),
                labels: [], source: Model.Source(reference: reference, sha256: fetched.sha256))
        }
        let (found, graph, weights) = try Architectures.open(
            state, named: architecture ?? entry?.architecture)
        let publication =
            try entry ?? Registry.publication(ofArchitecture: found.name)
        let labels = try publication?.labels.map { try Registry.labels($0) } ?? []
        return Model(
            graph: graph, weights: weights,
            preprocessing: publication?.input?.preprocessing
                ?? .squash(
                    height: found.defaultInput.height, width: found.defaultInput.width,
                    .passThrough),
            labels: graph.classes == labels.count ? labels : [],
            source: Model.Source(
                reference: reference, sha256: fetched.sha256, licence: publication?.licence)
        ).read(from: fetched.path)
    }
}

extension RegistryEntry.Input {
    /// How a photo becomes the input that these weights expect.
    fileprivate var preprocessing: Preprocessing {
        let normalization = Normalization.presets[normalization] ?? .passThrough
        let kernel = Resampling(rawValue: interpolation) ?? .bilinear
        guard resize == "centerCrop", let shorterSide else {
            return .squash(height: height, width: width, normalization)
        }
        return .centerCrop(
            height, shorterSide: shorterSide, normalization, kernel: kernel)
    }
}
