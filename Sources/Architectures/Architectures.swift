// The built-in architectures: by name, and by the tensors of a file.

public import GraftNetworks
public import GraftTensors
import OrderedCollections

/// The networks that graft has built in.
public enum Architectures {
    /// Every architecture, Keras' first; each family's file lists its own.
    public static let all: [Architecture] = [
        KerasResNet.networks, KerasResNetV2.networks, KerasDenseNet.networks, KerasVGG.networks,
        KerasXception.networks, KerasInceptionV3.networks, KerasInceptionResNetV2.networks,
        KerasMobileNet.networks, KerasMobileNetV2.networks, KerasMobileNetV3.networks,
        KerasNASNet.networks, KerasEfficientNet.networks, KerasEfficientNetV2.networks,
        KerasConvNeXt.networks,
        TorchResNet.networks, TorchVGG.networks, TorchDenseNet.networks,
        TorchMobileNetV2.networks, TorchMobileNetV3.networks, TorchEfficientNet.networks,
        TorchConvNeXt.networks, TorchInceptionV3.networks, TorchGoogLeNet.networks,
        TorchSqueezeNet.networks, TorchShuffleNetV2.networks, TorchMNASNet.networks,
        TorchRegNet.networks,
        TimmEfficientNet.networks, TimmEfficientNetLite.networks, TimmConvNeXt.networks,
        TorchVisionTransformer.networks, TimmVisionTransformer.networks,
        SwinTransformer.timm, SwinTransformer.torchvision,
        GraftTiny.networks,
    ].flatMap { $0 }

    /// Networks that another publisher has under names, and with rules, of its own.
    private static let dialects: [Architecture] = Dialect.visionTransformers.compactMap {
        try? named($0.name)
    }

    /// The architectures and their published variants (`mobilenet:0.25`).
    static let variants: [Architecture] =
        dialects + all + all.flatMap { base in base.published.map { base.tagged($0) } }

    /// The architecture of this name. A tag may give the MobileNets' width and the size of input:
    /// `mobilenet:0.25-128`; what else it says (`notop`, a publication) is not looked at here.
    public static func named(_ reference: String) throws(ArchitectureError) -> Architecture {
        let parts = reference.split(separator: ":", maxSplits: 1).map(String.init)
        if let dialect = Dialect.all.first(where: { $0.name == parts.first }) {
            let tag = parts.count == 2 ? ":" + parts[1] : ""
            return try named(dialect.base + tag).spelled(as: dialect)
        }
        guard let name = parts.first, let base = all.first(where: { $0.name == name }) else {
            throw .unknown(
                reference, candidates: suggestions(for: reference, among: all.map(\.name)))
        }
        return parts.count == 2 ? base.tagged(parts[1]) : base
    }

    /// The architecture whose names and shapes `state` has, if there is just one.
    public static func identify(_ state: StateDict) -> Architecture? {
        match(state)?.architecture
    }

    /// The architecture, graph and bound weights of a file of weights. `named` nil: whatever the
    /// tensors say. The number of classes and whether there is a top are read off the tensors.
    ///
    /// A checkpoint may hold more than the network: its names may have a prefix, its head may be
    /// another, tensors of losses, optimisers or averaged weights may stand beside it. What was
    /// decided about these is in the weights' ``StateDict/remarks``. `backboneOnly` also takes a
    /// network out of a larger one.
    public static func open(
        _ state: StateDict, named name: String? = nil, input: Extent? = nil,
        backboneOnly: Bool = false
    ) throws -> (architecture: Architecture, graph: Graph, weights: StateDict) {
        var (architecture, graph, weights) = try find(state, name, input, backboneOnly)
        weights.remarks = state.remarks + weights.remarks.filter { !state.remarks.contains($0) }
        return (architecture, graph, weights)
    }

    private typealias Match = (architecture: Architecture, graph: Graph, weights: StateDict)

    /// The network in `state`, also where only some of its modules were wrapped (`features.module.0`).
    private static func find(
        _ state: StateDict, _ name: String?, _ input: Extent?, _ backboneOnly: Bool
    ) throws -> Match {
        guard let bare = CheckpointNames.unwrapped(state) else {
            return try search(
                state, named: name, input: input, backboneOnly: backboneOnly)
        }
        let plain = Result {
            try search(
                state, named: name, input: input, backboneOnly: backboneOnly)
        }
        if case .success(let match) = plain, match.graph.classes != nil { return match }
        guard
            var match = try? search(
                bare.state, named: name, input: input, backboneOnly: backboneOnly),
            (try? plain.get()) == nil || match.graph.classes != nil
        else { return try plain.get() }
        match.weights.remarks.insert(
            .unwrapped(parts: bare.parts, tensors: bare.count), at: 0)
        return match
    }

    private static func search(
        _ state: StateDict, named name: String?, input: Extent?, backboneOnly: Bool
    ) throws -> Match {
        guard state.axes != .tflite else { throw ArchitectureError.tensorsOnly(format: "TFLite") }
        guard let name else {
            let matches = matches(state)
            if let first = matches.first {
                guard matches.allSatisfy({ isSame($0.graph, first.graph) }) else {
                    throw ArchitectureError.indistinct(matches.map(\.architecture.name))
                }
                return first
            }
            var search = WrappedSearch(
                state, among: Outline.candidates(for: state), input: input)
            if let found = try search.network() { return try taken(found, backboneOnly) }
            if state.tensors.values.contains(where: { $0.dtype == .i8 }) {
                throw ArchitectureError.quantized(
                    mode: "int8",
                    names: state.tensors.filter { $0.value.dtype == .i8 }.keys.prefix(3)
                        .map(\.self))
            }
            throw ArchitectureError.unidentified(
                tensors: Array(state.tensors.keys.prefix(3)),
                nearest: search.altered.map {
                    ArchitectureError.Nearest(network: $0.network, others: $0.names)
                })
        }
        let renamed = try named(name).renamed(state)
        let architecture = try named(name).adapted(to: renamed).sized(as: renamed)
        let placed = try architecture.placed(renamed, at: input)
        if let match = fit(architecture, placed, input: input) {
            return (architecture, match.graph, match.weights)
        }
        // Another publisher's names of this network, or of a variant.
        if let source = matches(state).first,
            let match = try translated(source, to: architecture, input)
        {
            return match
        }
        if let outline = Outline(try named(name), input: input) {
            var search = WrappedSearch(state, among: [outline], input: input)
            if let found = try search.network() { return try taken(found, backboneOnly) }
            if let (network, names) = search.altered {
                throw ArchitectureError.altered(
                    ArchitectureError.Nearest(network: network, others: names))
            }
        }
        var search = WrappedSearch(state, among: Outline.candidates(for: state), input: nil)
        if let found = try search.network() {
            let source = try taken(found, backboneOnly)
            if let match = try translated(source, to: architecture, input) { return match }
        }
        throw NetworkError.binding(try misfit(of: renamed, with: architecture, input))
    }

    /// What was found in a checkpoint, if it may be taken out of it.
    private static func taken(_ found: WrappedNetwork, _ backboneOnly: Bool) throws -> Match {
        guard found.larger.isEmpty || backboneOnly else {
            throw ArchitectureError.part(
                of: found.larger, prefix: found.prefix, network: found.architecture.name)
        }
        var weights = found.weights
        weights.remarks = found.remarks
        return (found.architecture, found.graph, weights)
    }

    /// The weights of another publisher's network of this kind; nil if it is not of this kind.
    private static func translated(_ source: Match, to target: Architecture, _ input: Extent?)
        throws -> Match?
    {
        let graph = try target.graph(
            top: source.graph.logits != nil, classes: source.graph.classes ?? 1000, input: input)
        guard Translation.areRelated(source.graph, graph) else { return nil }
        let translated = try Translation.weights(source.weights, of: source.graph, for: graph)
        var weights = try graph.bound(translated)
        weights.remarks = source.weights.remarks
        return (target, graph, weights)
    }

    /// What does not fit, against the likelier of the network and its backbone, under the prefix
    /// where the most names are the network's.
    private static func misfit(
        of state: StateDict, with architecture: Architecture, _ input: Extent?
    ) throws -> BindingReport {
        let graph = try architecture.graph(input: input)
        let bare = try architecture.graph(top: false, input: input)
        let own = Set(graph.parameters.map(\.name))
        var best = (prefix: "", count: state.tensors.keys.count(where: own.contains))
        for prefix in CheckpointNames.prefixes(of: state.tensors.keys, minimum: 2) {
            let count = state.tensors.keys.count {
                $0.hasPrefix(prefix) && own.contains(String($0.dropFirst(prefix.count)))
            }
            if count > best.count { best = (prefix, count) }
        }
        let part = state.under(best.prefix)
        let full = graph.binding(part).report
        let notop = bare.binding(part).report
        return full.missing.count + full.mismatched.count
            <= notop.missing.count + notop.mismatched.count + notop.unexpected.count
            ? full : notop
    }

    /// Whether two graphs compute the same, whatever their layers are called.
    static func isSame(_ a: Graph, _ b: Graph) -> Bool {
        a.output == b.output && a.nodes.count == b.nodes.count
            && zip(a.nodes, b.nodes).allSatisfy {
                $0.op == $1.op && $0.inputs == $1.inputs
                    && $0.parameters.map(\.shape) == $1.parameters.map(\.shape)
            }
    }

    private static func match(_ state: StateDict) -> Match? { matches(state).first }

    /// The architectures whose tensors these are and no others: the first, and others of the same
    /// publisher, which may compute something else with the same names and shapes.
    private static func matches(_ state: StateDict) -> [Match] {
        var found: [Match] = []
        let kernels = state.kernels
        for architecture in variants where architecture.mayRead(kernels) {
            if let publisher = found.first?.architecture.publisher {
                guard architecture.publisher == publisher, !publisher.isEmpty else { continue }
            }
            // Only Keras writes files in Keras' order of axes.
            guard state.axes == .torch || architecture.naming == .keras else { continue }
            let own = architecture.renamed(state)
            let architecture = architecture.sized(as: own)
            let renamed = (try? architecture.placed(own, at: nil)) ?? own
            if fit(architecture, renamed, input: nil) != nil {
                let adapted = architecture.adapted(to: renamed)
                if let match = fit(adapted, renamed, input: nil) {
                    found.append((adapted, match.graph, match.weights))
                }
            }
        }
        return found
    }

    static func fit(_ architecture: Architecture, _ state: StateDict, input: Extent?)
        -> (graph: Graph, weights: StateDict)?
    {
        let tensors = state.tensors.keys.count { !$0.hasSuffix("num_batches_tracked") }
        func made(top: Bool, classes: Int = 1000) -> Graph? {
            guard
                let usual = try? architecture.graph(top: top, classes: classes, input: input),
                usual.parameters.count == tensors
            else { return nil }
            let channels = usual.imageChannels(in: state)
            return channels == 3
                ? usual
                : try? architecture.graph(
                    top: top, classes: classes, input: input, channels: channels)
        }
        func bound(_ graph: Graph?) -> (graph: Graph, weights: StateDict)? {
            guard let graph else { return nil }
            return (try? graph.bound(state)).map { (graph, $0) }
        }
        if let usual = made(top: true) {
            if let match = bound(usual) { return match }
            // Another number of classes: that of the classifier's own weights, or of what is last.
            let head = usual.parameters.last.flatMap { state.own($0.name) }
            let last = state.tensors.values.last { $0.shape.rank == 1 }
            for count in [head, last].compactMap({ $0?.shape.dimensions.first }) where count > 0 {
                if let match = bound(made(top: true, classes: count)) { return match }
            }
        }
        return bound(made(top: false))
    }
}
