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
    /// `stateDict` chooses one of several state dicts in the file.
    public static func weights(
        _ reference: String, stateDict: String? = nil, hub: Hub = Hub(),
        progress: (@Sendable (Int64, Int64?) -> Void)? = nil
    ) async throws -> StateDict {
        // What is here already is not hashed first: nothing is said about where it came from.
        let path =
            isPath(reference)
            ? reference : try await hub.fetch(reference, progress: progress).path
        let state = try Checkpoint.open(path, stateDict: stateDict)
        announce(state.remarks)
        return state
    }

    /// Whether a reference is a file or folder of this machine. A name is a name even where a folder
    /// is called the same.
    static func isPath(_ reference: String) -> Bool {
        if reference.hasPrefix("/") || reference.hasPrefix(".") { return true }
        guard Checkpoint.exists(reference) else { return isMissingFile(reference) }
        return !Checkpoint.isFolder(reference) || (try? Registry.find(reference)) == nil
    }

    /// Whether a reference that is not there can only mean a file: it has the ending of one, or it begins
    /// with a folder that is there.
    private static func isMissingFile(_ reference: String) -> Bool {
        guard !reference.contains(":"), (try? Registry.find(reference)) == nil else { return false }
        let endings = [
            ".safetensors", ".keras", ".h5", ".hdf5", ".pth", ".pt", ".bin", ".npz", ".onnx",
            ".tflite", ".ckpt", ".pb", ".json", ".index",
        ]
        if endings.contains(where: reference.lowercased().hasSuffix) { return true }
        let parts = reference.split(separator: "/")
        return parts.count > 1 && Checkpoint.isFolder(String(parts[0]))
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

    /// The file that a folder stands for, which is one of perhaps many; nil if `reference` is no folder.
    public static func file(inFolder reference: String) throws -> String? {
        guard isPath(reference), Checkpoint.isFolder(reference) else { return nil }
        return try Checkpoint.file(at: reference)
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
    /// What lies beside a weight file (`config.json`, `preprocessor_config.json`, `labels.txt`…) is
    /// read, and `overrides` go first; ``Model/notes`` say what was taken or assumed.
    ///
    /// Of a checkpoint that holds several state dicts, `stateDict` chooses one; `backboneOnly` also
    /// takes a backbone out of a larger network. What had to be decided about prefixes, heads and
    /// other tensors is in the weights' ``StateDict/remarks``, and ``onRemark(_:)`` hears of it.
    /// - Throws: any `Diagnostic` of Hub, Formats or Networks, and `ModelError`.
    public static func open(
        _ reference: String, architecture: String? = nil, stateDict: String? = nil,
        backboneOnly: Bool = false, overrides: ModelOverrides = ModelOverrides(), hub: Hub = Hub(),
        progress: (@Sendable (Int64, Int64?) -> Void)? = nil
    ) async throws -> Model {
        let (model, isSelected) = try await opened(
            reference, architecture: architecture, stateDict: stateDict,
            backboneOnly: backboneOnly, select: overrides.select,
            keepsOutputs: overrides.keepsOutputs, hub: hub, progress: progress)
        announce(model.weights.remarks)
        var overrides = overrides
        if isSelected { overrides.select = nil }
        return try model.with(overrides)
    }

    /// Fetches what lies beside one named file of a repository of the Hub; a note for each that is
    /// there and could not be had.
    private static func fetchCompanions(of reference: String, _ hub: Hub) async -> [String] {
        let parts = reference.split(separator: "/", omittingEmptySubsequences: false)
        // hf: // organisation / name / file
        guard reference.hasPrefix("hf://"), parts.count == 5, !parts[4].isEmpty else { return [] }
        let repository = parts[..<4].joined(separator: "/")
        var notes: [String] = []
        for name in ["config.json", "preprocessor_config.json"] {
            do {
                _ = try await hub.fetch("\(repository)/\(name)")
            } catch let error as HubError where error.isMissingFile {
                continue
            } catch {
                let reason = (error as? any Diagnostic)?.message ?? "\(error)"
                notes.append("\(name) could not be fetched and is not used: \(reason)")
            }
        }
        return notes
    }

    /// The model that `reference` names, and whether `select` chose its output.
    private static func opened(
        _ reference: String, architecture: String?, stateDict: String?, backboneOnly: Bool,
        select: String?, keepsOutputs: Bool, hub: Hub,
        progress: (@Sendable (Int64, Int64?) -> Void)?
    ) async throws -> (Model, isSelected: Bool) {
        if reference == tinyName { return (try tiny(), false) }
        // A native model says itself where it came from: a file that is here is not hashed for that.
        var opened: StateDict?
        if architecture == nil, isPath(reference) {
            let path = try Checkpoint.file(at: reference)
            let state = try Checkpoint.open(path, stateDict: stateDict)
            if Model.isNative(state) {
                return (try Model(native: state, path: path).read(from: path), false)
            }
            opened = state
        }
        // What is there as a file is that file, whatever the registry calls by its name.
        let entry = isPath(reference) ? nil : try? Registry.find(reference)
        // Not fetched first: what cannot be run is known before.
        if let name = architecture ?? entry?.architecture {
            try requireBuiltIn(name)
        } else if let entry {
            try requireNetwork(of: entry)
        }
        let fetched = try await file(reference, hub, progress)
        let state = try opened ?? Checkpoint.open(fetched.path, stateDict: stateDict)
        let source = Model.Source(reference: reference, sha256: fetched.sha256)
        if architecture == nil,
            let network = try DescribedNetwork(
                at: fetched.path, state: state, select: select, keepsOutputs: keepsOutputs)
        {
            var preprocessing = Preprocessing.unknown(for: network.graph, network.input)
            if let normalization = network.normalization {
                preprocessing.normalization = normalization
            }
            var model = Model(
                graph: network.graph, weights: network.weights, preprocessing: preprocessing,
                labels: [], source: source)
            model.notes += network.notes
            try model.adopt(
                metadata: network.properties, companions: CompanionFiles(beside: fetched.path),
                isPrepared: network.normalization != nil)
            return (model, select != nil)
        }
        if Model.isNative(state) {
            let model = try Model(native: state, path: fetched.path).read(from: fetched.path)
            guard let architecture, architecture != model.graph.name else { return (model, false) }
            // The same network under other names, or the refusal that says what differs.
            let (_, graph, weights) = try Architectures.open(
                state, named: architecture, backboneOnly: backboneOnly)
            return (
                Model(
                    graph: graph, weights: weights, preprocessing: model.preprocessing,
                    labels: model.labels, source: model.source), false
            )
        }
        var missing: [String] = []
        if entry == nil { missing = await fetchCompanions(of: reference, hub) }
        var companions = entry == nil ? CompanionFiles(beside: fetched.path) : nil
        companions?.notes += missing
        if architecture == nil, entry == nil, let config = state.metadata["model_config"] {
            var (graph, weights, input) = try KerasConfig.open(
                config, state: state, select: select)
            weights.remarks = state.remarks + weights.remarks
            var model = Model(
                graph: graph, weights: weights, preprocessing: .unknown(for: graph, input),
                labels: [], source: source)
            try model.adopt(
                metadata: state.metadata, companions: companions,
                loss: KerasLoss(metadata: state.metadata, output: select))
            return (model, select != nil)
        }
        let named = try architecture ?? entry?.architecture ?? companions?.knownArchitecture()
        let (found, graph, weights) = try explained(fetched.path) {
            try Architectures.open(state, named: named, backboneOnly: backboneOnly)
        }
        let publication =
            try entry ?? Registry.publication(ofArchitecture: found.name)
        let labels = try publication?.labels.map { try Registry.labels($0) } ?? []
        let published = graph.inputChannels == 3 ? publication?.input?.preprocessing : nil
        let isPublication = entry != nil || publication?.isOfFile(sha256: fetched.sha256) == true
        var model = Model(
            graph: graph, weights: weights,
            preprocessing: published ?? .unknown(for: graph, found.defaultInput),
            labels: graph.classes == labels.count ? labels : [],
            source: Model.Source(
                reference: reference, sha256: fetched.sha256,
                licence: isPublication ? publication?.licence : nil))
        try model.adopt(
            metadata: [:], companions: companions, isClassifier: true,
            isPrepared: published != nil)
        // Somebody's own weights may have been trained on images that were prepared otherwise.
        if !isPublication, let published, let publication, companions?.preprocessing == nil {
            let names = model.labels == labels && !labels.isEmpty ? ", with its labels" : ""
            model.notes.append(
                "how pixels were prepared is not known: taken as for `\(publication.name)` "
                    + "(\(published.summary))\(names); `--preprocess` sets it (caffe, tf, torch, half, unit, "
                    + "clip, none, or a file)")
        }
        return (model.read(from: fetched.path), false)
    }
}

extension CompanionFiles {
    /// graft's name of the network that timm's `config.json` names, if graft has it.
    fileprivate func knownArchitecture() throws -> String? {
        guard let architecture else { return nil }
        let name = "timm/" + architecture
        return (try? Architectures.named(name)) == nil ? nil : name
    }
}

extension Preprocessing {
    /// The preprocessing of a network that says nothing of its images: pixels as they are.
    static func unknown(for graph: Graph, _ input: Extent) -> Preprocessing {
        guard graph.takesImages else { return .squash(height: 1, width: 1, .passThrough) }
        let none = Normalization.passThrough
        return .squash(
            height: input.height, width: input.width,
            none.forChannels(graph.inputChannels) ?? none)
    }
}

extension RegistryEntry {
    /// Whether a file of this digest is the published one.
    fileprivate func isOfFile(sha256: String) -> Bool {
        guard let parts = digest?.split(separator: ":"), parts.count == 2, !parts[1].isEmpty else {
            return false
        }
        return parts[0] == "sha256" && parts[1] == sha256
            || parts[0] == "sha256-prefix" && sha256.hasPrefix(parts[1])
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
