// One network under two publishers' names: whether it is one, and the weights of one for the other.

public import GraftNetworks
public import GraftTensors
import OrderedCollections

/// What two graphs must share to be one network, and how the weights of one become the other's.
public enum Translation {
    /// The weights `state` of `source` for `target`, under its names and in its shapes.
    ///
    /// - Throws: ``ArchitectureError/variant(_:of:differences:)`` if the networks compute something
    ///   else with the same weights; `NetworkError` if `target` cannot be laid out.
    public static func weights(_ state: StateDict, of source: Graph, for target: Graph) throws
        -> StateDict
    {
        let (a, b) = (try Traits(source), try Traits(target))
        let differences = a.differences(from: b)
        guard differences.isEmpty, a.weighted.count == b.weighted.count else {
            throw ArchitectureError.variant(
                source.name, of: target.name,
                differences: differences.isEmpty
                    ? ["its layers come in another order"] : differences)
        }
        var result = StateDict(metadata: state.metadata, axes: .torch)
        for (from, to) in zip(a.weighted, b.weighted) {
            let (old, new) = (source.nodes[from], target.nodes[to])
            guard old.parameters.map(\.role.family) == new.parameters.map(\.role.family) else {
                throw ArchitectureError.variant(
                    source.name, of: target.name,
                    differences: ["`\(old.name)` is no counterpart of `\(new.name)`"])
            }
            for (one, other) in zip(old.parameters, new.parameters) {
                guard let tensor = state[one.name] else { continue }
                guard one.shape.count == other.shape.count else {
                    throw ArchitectureError.variant(
                        source.name, of: target.name,
                        differences: [
                            "`\(one.name)` is \(one.shape), `\(other.name)` \(other.shape)"
                        ])
                }
                let isMatrix = one.shape.rank > 1
                let plain = isMatrix ? a.channelsFirst(tensor, from) : tensor
                result[other.name] = (isMatrix ? b.ordered(plain, to) : plain)
                    .reshaped(other.shape)
            }
        }
        return result
    }

    /// Whether the kernels of two networks have the same numbers of elements, so that one may be a
    /// variant of the other.
    static func areRelated(_ a: Graph, _ b: Graph) -> Bool {
        func kernels(_ graph: Graph) -> [Int] {
            graph.parameters.filter { $0.shape.rank > 1 }.dropLast().map(\.shape.count).sorted()
        }
        return kernels(a) == kernels(b)
    }
}

extension Parameter.Role {
    /// A kernel is a kernel, whatever the operation.
    fileprivate var family: Parameter.Role {
        switch self {
        case .kernel, .depthwiseKernel, .matrix: .kernel
        case .bias, .scale, .shift, .runningMean, .runningVariance, .count, .value, .constant: self
        }
    }
}

/// What decides the numbers that a network makes of its weights.
private struct Traits {
    let graph: Graph
    let shapes: [Shape]
    /// The nodes with weights, in order.
    let weighted: [Int]
    private var biases = 0
    private var convolutions = 0
    private var epsilons: Set<Float> = []
    private var strides: [String: Int] = [:]
    private var paddings: [String: Int] = [:]
    private var pools: [String: Int] = [:]
    private var activations: [String: Int] = [:]

    init(_ graph: Graph) throws {
        self.graph = graph
        shapes = try graph.shapesAtSomeSize()
        weighted = graph.nodes.indices.filter { !graph.nodes[$0].parameters.isEmpty }
        for (index, node) in graph.nodes.enumerated() {
            switch node.op {
            case .conv2d(let op):
                // A classifier may be a convolution over a map of one.
                guard shapes[index][2] * shapes[index][3] > 1 else { continue }
                convolutions += 1
                biases += op.bias ? 1 : 0
                if op.window.stride != 1 {
                    count(name(op.window.kernel), &strides)
                    count(padding(op.window, node), &paddings)
                }
            case .batchNorm(let op): epsilons.insert(op.epsilon)
            case .layerNorm(let op): epsilons.insert(op.epsilon)
            case .maxPool(let op): count(pooling(op.window), &pools)
            case .averagePool(let op): count(pooling(op.window), &pools)
            case .activation(let op): count(op.function.rawValue, &activations)
            default: break
            }
        }
    }

    private func count(_ key: String, _ counts: inout [String: Int]) {
        counts[key, default: 0] += 1
    }

    private func pooling(_ window: Window) -> String {
        "\(name(window.kernel)) by \(window.stride.height)"
    }

    private func name(_ extent: Extent) -> String { "\(extent.height) × \(extent.width)" }

    /// The amounts around a map, those of a layer of padding before it included.
    private func padding(_ window: Window, _ node: Node) -> String {
        let input = node.inputs[0]
        var all = window.resolvedPadding(height: shapes[input][2], width: shapes[input][3])
        if case .pad(let pad) = graph.nodes[input].op {
            let before = pad.padding
            all = Padding(
                top: all.top + before.top, left: all.left + before.left,
                bottom: all.bottom + before.bottom, right: all.right + before.right)
        }
        return "(\(all.top), \(all.bottom))"
    }

    /// What this network does otherwise than `other`.
    func differences(from other: Traits) -> [String] {
        var result: [String] = []
        func list(_ counts: [String: Int]) -> String {
            counts.isEmpty
                ? "none"
                : counts.sorted { $0.key < $1.key }.map { "\($0.value)× \($0.key)" }
                    .joined(separator: ", ")
        }
        func compare(_ what: String, _ mine: [String: Int], _ theirs: [String: Int]) {
            if mine != theirs { result.append("\(what): \(list(mine)), expected \(list(theirs))") }
        }
        if biases != other.biases {
            result.append(
                "biases in \(biases) of \(convolutions) convolutions, expected \(other.biases)")
        }
        compare("convolutions with a stride", strides, other.strides)
        if strides == other.strides {
            compare("rows of padding before and after maps", paddings, other.paddings)
        }
        if epsilons != other.epsilons {
            func text(_ values: Set<Float>) -> String {
                values.sorted().map { "\($0)" }.joined(separator: ", ")
            }
            result.append(
                "ε of its normalisations: \(text(epsilons)), expected \(text(other.epsilons))")
        }
        compare("pools", pools, other.pools)
        compare("activations", activations, other.activations)
        return result
    }

    /// The map that a linear layer reads, and whether its elements are ordered (h, w, c).
    private func map(before index: Int) -> Shape? {
        guard case .linear = graph.nodes[index].op else { return nil }
        var input = graph.nodes[index].inputs[0]
        while case .dropout = graph.nodes[input].op { input = graph.nodes[input].inputs[0] }
        guard graph.nodes[input].op == .flatten(channelsLast: true) else { return nil }
        return shapes[graph.nodes[input].inputs[0]]
    }

    /// The matrix of node `index` with its inputs ordered (c, h, w).
    func channelsFirst(_ matrix: LazyTensor, _ index: Int) -> LazyTensor {
        guard let map = map(before: index) else { return matrix }
        let outputs = matrix.shape[0]
        return matrix.reshaped([outputs, map[2], map[3], map[1]]).permuted([0, 3, 1, 2])
            .reshaped([outputs, map[1] * map[2] * map[3]])
    }

    /// The matrix with its inputs as node `index` orders them.
    func ordered(_ matrix: LazyTensor, _ index: Int) -> LazyTensor {
        guard let map = map(before: index) else { return matrix }
        let outputs = matrix.shape[0]
        return matrix.reshaped([outputs, map[1], map[2], map[3]]).permuted([0, 2, 3, 1])
            .reshaped([outputs, map[1] * map[2] * map[3]])
    }
}
