// Finds a network in a checkpoint that holds more than it: under a prefix, with another head, beside what trained it.

import GraftNetworks
import GraftTensors
import OrderedCollections

/// A network that a file holds, and what else the file holds.
struct WrappedNetwork {
    let prefix: String
    let architecture: Architecture
    let graph: Graph
    let weights: StateDict
    /// The names in the file of what became weights.
    let used: Set<String>
    /// The names in the file of a head that is not the network's.
    var head: [String] = []
    /// The names in the file of what is not in the network.
    var others: [String] = []
    /// The names of a larger network that this one is a part of.
    var larger: [String] = []
    var isNumbered = false

    /// The decisions, for people.
    var remarks: [Remark] {
        var result: [Remark] = []
        if !prefix.isEmpty {
            result.append(.stripped(prefix: prefix, tensors: used.count))
        }
        if isNumbered { result.append(.numbered(network: architecture.name)) }
        if !head.isEmpty { result.append(.headLeftOut(head, network: architecture.name)) }
        let rest = others + larger
        if !rest.isEmpty { result.append(.leftOut(rest, network: architecture.name)) }
        return result
    }
}

/// The search for the network of a checkpoint.
struct WrappedSearch {
    private let state: StateDict
    private let outlines: [Outline]
    private let input: Extent?
    /// Of a network that was found but for tensors in the middle of it: its name, and theirs.
    private(set) var altered: (network: String, names: [String])?

    init(
        _ state: StateDict, among outlines: @autoclosure () -> [Outline], input: Extent?
    ) {
        var state = state
        state.tensors.removeAll { $0.key.hasSuffix("num_batches_tracked") }
        self.state = state
        self.outlines = state.count < Outline.fewest ? [] : outlines()
        self.input = input
    }

    /// The one network in the file; nil if there is none.
    ///
    /// - Throws: `ArchitectureError` if there are several, and nothing says which is meant.
    mutating func network() throws(ArchitectureError) -> WrappedNetwork? {
        var found: [WrappedNetwork] = []
        guard let fewest = outlines.map({ $0.backbone.parameters.count }).min() else { return nil }
        for prefix in CheckpointNames.prefixes(of: state.tensors.keys, minimum: fewest) {
            guard let network = try network(under: prefix, apartFrom: found) else { continue }
            found.append(network)
        }
        // Averaged weights and the networks of losses stand behind what was trained.
        let plain = found.filter {
            !CheckpointNames.isAverage($0.prefix) && !CheckpointNames.isTraining(prefix: $0.prefix)
        }
        let rivals = plain.isEmpty ? found : plain
        guard rivals.count < 2 else {
            throw .ambiguous(
                rivals.map { .init(prefix: $0.prefix, network: $0.architecture.name) })
        }
        guard var network = rivals.first else { return nil }
        sort(&network, rivals: found.filter { $0.prefix != network.prefix })
        return network
    }

    /// The network whose names all begin with `prefix`, of other tensors than those in `found`.
    private mutating func network(under prefix: String, apartFrom found: [WrappedNetwork])
        throws(ArchitectureError) -> WrappedNetwork?
    {
        let part = state.under(prefix)
        let extents = Set(part.tensors.values.map { Outline.extents($0.shape) })
        var best: [WrappedNetwork] = []
        for outline in outlines where outline.mayBe(among: extents) {
            // Only Keras writes files in Keras' order of axes.
            guard state.axes == .torch || outline.architecture.naming == .keras,
                let network = fit(outline, part, prefix)
            else { continue }
            guard found.allSatisfy({ $0.used.isDisjoint(with: network.used) }) else { return nil }
            let most = best.first?.used.count ?? 0
            if network.used.count > most { best = [] }
            if network.used.count >= most { best.append(network) }
        }
        guard let first = best.first else { return nil }
        guard best.allSatisfy({ Architectures.isSame($0.graph, first.graph) }) else {
            throw .indistinct(best.map(\.architecture.name))
        }
        return first
    }

    private mutating func fit(_ outline: Outline, _ part: StateDict, _ prefix: String)
        -> WrappedNetwork?
    {
        if let network = fit(outline, part, prefix, isNumbered: false) { return network }
        guard let numbered = outline.unnumbered(part) else { return nil }
        return fit(outline, numbered, prefix, isNumbered: true)
    }

    private mutating func fit(
        _ outline: Outline, _ part: StateDict, _ prefix: String, isNumbered: Bool
    ) -> WrappedNetwork? {
        let names = Array(part.tensors.keys)
        let architecture = outline.architecture.adapted(to: outline.architecture.renamed(part))
        let renamed = architecture.renamed(part)
        let channels = outline.backbone.imageChannels(in: renamed)
        let report = outline.backbone(channels: channels, input: input).binding(renamed).report
        guard report.missing.isEmpty, report.mismatched.isEmpty else { return nil }
        let rest = report.unexpected
        // The names in the file: numbered ones were changed in place.
        let originals = Dictionary(
            zip(names, state.tensors.keys.filter { $0.hasPrefix(prefix) }),
            uniquingKeysWith: { first, _ in first })
        func original(_ name: String) -> String { originals[name] ?? prefix + name }

        let layers = Self.layers(rest, renamed)
        var (heads, constants, unknown) = ([String](), [String](), [String]())
        for name in rest {
            let first = CheckpointNames.first(name)
            if CheckpointNames.isCounter(name) {
                constants.append(name)
            } else if outline.headParts.contains(first) {
                heads.append(name)
            } else if outline.parts.contains(first) {
                altered = (
                    architecture.name,
                    rest.filter { outline.parts.contains(CheckpointNames.first($0)) }
                )
                return nil
            } else if CheckpointNames.isTraining(first) || CheckpointNames.isAverage(first)
                || Self.isSetting(name, renamed, layers)
            {
                constants.append(name)
            } else if isNumbered {
                heads.append(name)
            } else {
                unknown.append(name)
            }
        }
        // A convolution that is no part of the network may stand anywhere in it.
        let kernels = unknown.filter { (renamed[$0]?.shape.rank ?? 0) > 2 }
        guard kernels.isEmpty else {
            altered = (architecture.name, kernels)
            return nil
        }
        // Matrices beside the network are layers of a head; vectors alone are settings.
        if unknown.contains(where: { renamed[$0]?.shape.rank == 2 }) {
            heads += unknown
        } else {
            constants += unknown
        }
        func used(apartFrom left: [String]) -> Set<String> {
            Set(Set(renamed.tensors.keys).subtracting(left).map(original))
        }
        // The network's own head, if all that is a head is its.
        if unknown.isEmpty || heads.allSatisfy(outline.head.contains) {
            var whole = renamed
            for name in constants { whole[name] = nil }
            if let match = Architectures.fit(architecture, whole, input: input),
                match.graph.classes != nil
            {
                return WrappedNetwork(
                    prefix: prefix, architecture: architecture, graph: match.graph,
                    weights: match.weights, used: used(apartFrom: constants),
                    others: constants.map(original), isNumbered: isNumbered)
            }
        }
        guard
            let graph = try? architecture.graph(top: false, input: input, channels: channels)
        else { return nil }
        let (weights, bound) = graph.binding(renamed)
        guard bound.missing.isEmpty, bound.mismatched.isEmpty else { return nil }
        return WrappedNetwork(
            prefix: prefix, architecture: architecture, graph: graph, weights: weights,
            used: used(apartFrom: heads + constants), head: heads.map(original),
            others: constants.map(original), isNumbered: isNumbered)
    }

    /// Says of what lies outside the prefix whether it is a head, a larger network or neither.
    private func sort(_ network: inout WrappedNetwork, rivals: [WrappedNetwork]) {
        let rivalNames = rivals.reduce(into: Set<String>()) { $0.formUnion($1.used) }
        let layers = Self.layers(state.tensors.keys.filter { !$0.hasPrefix(network.prefix) }, state)
        var (unknown, others) = ([String](), [String]())
        for name in state.tensors.keys where !name.hasPrefix(network.prefix) {
            let isTraining =
                CheckpointNames.isTraining(prefix: name) || CheckpointNames.isAverage(name)
                || CheckpointNames.isCounter(name)
            if isTraining || rivalNames.contains(name) || Self.isSetting(name, state, layers) {
                others.append(name)
            } else {
                unknown.append(name)
            }
        }
        network.others += others
        func holds(rank: Int) -> Bool { unknown.contains { state[$0]?.shape.rank == rank } }
        if holds(rank: 4) || holds(rank: 3) || holds(rank: 5) {
            network.larger = unknown
        } else if network.graph.classes != nil, readsScores(unknown, of: network) {
            let channels = network.graph.inputChannels
            guard
                let bare = try? network.architecture.graph(
                    top: false, input: input, channels: channels)
            else { return }
            let own = Set(bare.parameters.map(\.name))
            let head = network.weights.tensors.keys.filter { !own.contains($0) }
            var weights = network.weights
            for name in head { weights[name] = nil }
            network = WrappedNetwork(
                prefix: network.prefix, architecture: network.architecture, graph: bare,
                weights: weights, used: network.used,
                head: head.map { network.prefix + $0 } + unknown, others: network.others,
                isNumbered: network.isNumbered)
        } else if network.graph.classes == nil {
            network.head += unknown
        } else {
            network.others += unknown
        }
    }

    /// The layers that have a matrix or a kernel among these names.
    private static func layers(_ names: [String], _ state: StateDict) -> Set<Substring> {
        Set(names.filter { (state[$0]?.shape.rank ?? 0) > 1 }.map(CheckpointNames.layer))
            .subtracting([""])
    }

    /// Whether a tensor is of a few numbers that are no layer's.
    private static func isSetting(_ name: String, _ state: StateDict, _ layers: Set<Substring>)
        -> Bool
    {
        (state[name]?.count ?? 0) <= 4 && !layers.contains(CheckpointNames.layer(name))
    }

    /// Whether a matrix among these names takes the scores of the network, so that its classes are
    /// not the answer.
    private func readsScores(_ names: [String], of network: WrappedNetwork) -> Bool {
        guard let classes = network.graph.classes else { return false }
        let input = state.axes == .keras ? 0 : 1
        return names.contains {
            guard let shape = state[$0]?.shape, shape.rank == 2 else { return false }
            return shape[input] == classes
        }
    }
}
