// Which nodes are computed together: one pass over a graph, the same for inference and training.

import GraftNetworks
import GraftTensors

/// The purpose of a plan, as far as it decides what can be computed together.
struct GroupPurpose {
    /// The nodes whose values are asked for.
    var outputs: Set<Int>
    /// Whether backward follows.
    var isLearning = false
    /// The running statistics that move: a BatchNorm that has them cannot be folded.
    var moving: Set<String> = []
    /// The precision of products.
    var precision = Precision.f32
    /// The ranges of values, by the names of their nodes.
    var ranges: [String: ValueRange] = [:]
}

/// Divides the nodes that the outputs need into groups, in the order in which they are computed.
struct GroupPlan {
    private(set) var groups: [Group] = []
    /// The nodes that read each node's value, of those that are needed.
    let readers: [[Int]]
    /// The first channels of all parts of each concatenation that has memory.
    var cuts: [Int: [Int]] { homes?.cuts ?? [:] }
    /// The places of values that go into concatenations; none while learning.
    let homes: Homes?
    private let nodes: [Node]
    private let types: [[ValueType]]
    private let purpose: GroupPurpose
    private var done: Set<Int>
    private var padded: [Int: Padding] = [:]

    init(_ graph: Graph, types: [[ValueType]], for purpose: GroupPurpose) {
        nodes = graph.nodes
        self.types = types
        done = Set(0..<graph.inputCount)
        self.purpose = purpose
        var needed = purpose.outputs
        for index in nodes.indices.reversed() where needed.contains(index) {
            needed.formUnion(nodes[index].inputs)
        }
        var readers = [[Int]](repeating: [], count: nodes.count)
        for (index, node) in nodes.enumerated() where needed.contains(index) {
            for input in node.inputs { readers[input].append(index) }
        }
        self.readers = readers
        homes = purpose.isLearning ? nil : Homes(graph, types: types, needed: needed)
        for index in nodes.indices where needed.contains(index) && !done.contains(index) {
            groups.append(group(from: index))
        }
    }

    /// The shape of a node's value, without the padding that its reader does.
    func shape(of value: ValueID) -> Shape {
        let read = padded[value.node] == nil ? value : nodes[value.node].reads[0]
        return types[read.node][read.output].shape
    }

    private func rule(_ node: Int) -> any ExecutableOp { nodes[node].op.executable }

    /// The only reader of a node's value, if nothing else needs it.
    private func only(_ node: Int) -> Int? {
        readers[node].count == 1 && !purpose.outputs.contains(node) ? readers[node][0] : nil
    }

    private mutating func group(from index: Int) -> Group {
        var group = Group(nodes: [index])
        group.padding = nodes[index].inputs.first.flatMap { padded[$0] }
        switch rule(index).epilogue {
        case .nothing:
            if let padding = paddingOfReader(index) {
                padded[index] = padding
                group.isHandedOn = true
            }
        case .cut:
            // An activation after it that only cuts costs nothing.
            if !purpose.isLearning { takeActivation(into: &group) { $0.bounds != nil } }
            group.end = end(group)
        case .product:
            takeEpilogue(into: &group)
            group.end = end(group)
            group.precision = precision(index)
            group.isToldInEightBits = isReadInEightBits(group.last)
        }
        group.place = homes?[group.last]
        done.formUnion(group.nodes)
        return group
    }

    /// The BatchNorm, the sum and the activation after a product.
    private func takeEpilogue(into group: inout Group) {
        if let next = only(group.last), case .norm = rule(next).role,
            nodes[next].parameters.allSatisfy({ !purpose.moving.contains($0.name) })
        {
            group.norm = next
            group.nodes.append(next)
        }
        if !purpose.isLearning {
            // What drops only while learning stands in nobody's way.
            while let next = only(group.last), case .dropping = rule(next).role {
                group.nodes.append(next)
            }
        }
        if let next = only(group.last), case .sum = rule(next).role {
            let others = nodes[next].reads.filter { $0.node != group.last }
            if nodes[next].reads.count == 2, others.count == 1, done.contains(others[0].node),
                types[others[0].node][others[0].output].shape == types[group.last][0].shape
            {
                group.sum = next
                group.addend = others[0]
                group.nodes.append(next)
            }
        }
        let isLearning = purpose.isLearning
        takeActivation(into: &group) {
            isLearning ? $0.bounds != nil : $0.algorithms.count == 1
        }
    }

    private func takeActivation(into group: inout Group, where fits: (Activation) -> Bool) {
        guard let next = only(group.last), case .activation(let function) = rule(next).role,
            fits(function)
        else { return }
        group.activation = next
        group.nodes.append(next)
    }

    private func end(_ group: Group) -> GroupEnd {
        let readers = readers[group.last]
        if purpose.outputs.contains(group.last) { return .output }
        guard readers.count == 1 else { return .readers(readers.count) }
        return .reader(readers[0])
    }

    /// The zeros of a node whose reader can put them there itself: a convolution pads with zeros; a
    /// max pool pads with −∞, which is the same over values that a ReLU made.
    private func paddingOfReader(_ index: Int) -> Padding? {
        guard !purpose.isLearning, let padding = rule(index).zeroPadding,
            let reader = only(index),
            rule(reader).padsItself(after: nodes[nodes[index].inputs[0]].op)
        else { return nil }
        return padding
    }

    /// The precision of a product: the image itself stays as it is, since it has few channels and
    /// needs all its levels.
    private func precision(_ index: Int) -> Precision {
        guard purpose.precision == .int8 else { return purpose.precision }
        let source = nodes[index].inputs[0]
        return source != 0 && purpose.ranges[nodes[source].name] != nil ? .int8 : .f32
    }

    /// Whether a node's value is to be in eight bits: some product reads it. The sums of linear
    /// bottlenecks stay in f32: they are small, few of their numbers are large, and what is lost in one
    /// is in all that follow.
    private func isReadInEightBits(_ index: Int) -> Bool {
        guard purpose.precision == .int8, !purpose.outputs.contains(index),
            let quantum = purpose.ranges[nodes[index].name].flatMap(Quantum.init),
            !quantum.isSigned || !readers[index].contains(where: isSum)
        else { return false }
        return readers[index].contains { reader in
            switch rule(reader).quantization {
            case .none: false
            case .product: true
            case .padding:
                readers[reader].contains {
                    if case .product = rule($0).quantization { true } else { false }
                }
            case .selection: isReadInEightBits(reader)
            }
        }
    }

    private func isSum(_ node: Int) -> Bool {
        if case .sum = rule(node).role { true } else { false }
    }
}
