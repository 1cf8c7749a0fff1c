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
        GraftTiny.networks,
    ].flatMap { $0 }

    /// The architectures and their published variants (`mobilenet:0.25`).
    static let variants: [Architecture] =
        all + all.flatMap { base in base.published.map { base.tagged($0) } }

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
    public static func open(_ state: StateDict, named name: String? = nil, input: Extent? = nil)
        throws -> (architecture: Architecture, graph: Graph, weights: StateDict)
    {
        guard let name else {
            if let match = match(state) { return match }
            throw ArchitectureError.unidentified(tensors: Array(state.tensors.keys.prefix(3)))
        }
        let renamed = try named(name).renamed(state)
        let architecture = try named(name).adapted(to: renamed)
        if let match = fit(architecture, renamed, input: input) {
            return (architecture, match.graph, match.weights)
        }
        // Another publisher's names of this network, or of a variant.
        if let source = match(state) {
            let target = try architecture.graph(
                top: source.graph.logits != nil, classes: source.graph.classes ?? 1000,
                input: input)
            if Translation.areRelated(source.graph, target) {
                let weights = try Translation.weights(
                    source.weights, of: source.graph, for: target)
                return (architecture, target, try target.bound(weights))
            }
        }
        // Nothing fits: say what does not, against the likelier of the two.
        let graph = try architecture.graph(input: input)
        let bare = try architecture.graph(top: false, input: input)
        let full = graph.binding(renamed).report
        let notop = bare.binding(renamed).report
        throw NetworkError.binding(
            full.missing.count + full.mismatched.count
                <= notop.missing.count + notop.mismatched.count + notop.unexpected.count
                ? full : notop)
    }

    private static func match(_ state: StateDict) -> (
        architecture: Architecture, graph: Graph, weights: StateDict
    )? {
        for architecture in variants {
            // Only Keras writes files in Keras' order of axes.
            guard state.axes == .torch || architecture.naming == .keras else { continue }
            let renamed = architecture.renamed(state)
            if fit(architecture, renamed, input: nil) != nil {
                let adapted = architecture.adapted(to: renamed)
                if let match = fit(adapted, renamed, input: nil) {
                    return (adapted, match.graph, match.weights)
                }
            }
        }
        return nil
    }

    private static func fit(_ architecture: Architecture, _ state: StateDict, input: Extent?)
        -> (graph: Graph, weights: StateDict)?
    {
        let tensors = state.tensors.keys.count { !$0.hasSuffix("num_batches_tracked") }
        func bound(_ graph: Graph?) -> (graph: Graph, weights: StateDict)? {
            guard let graph, graph.parameters.count == tensors else { return nil }
            return (try? graph.bound(state)).map { (graph, $0) }
        }
        if let usual = try? architecture.graph(input: input), usual.parameters.count == tensors {
            if let match = bound(usual) { return match }
            // Another number of classes: that of the classifier's own weights, or of what is last.
            let head = usual.parameters.last.flatMap { state[$0.name] }
            let last = state.tensors.values.last { $0.shape.rank == 1 }
            for count in [head, last].compactMap({ $0?.shape.dimensions.first }) where count > 0 {
                if let match = bound(try? architecture.graph(classes: count, input: input)) {
                    return match
                }
            }
        }
        if let match = bound(try? architecture.graph(top: false, input: input)) { return match }
        return nil
    }
}
