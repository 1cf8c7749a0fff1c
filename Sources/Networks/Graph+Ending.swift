// The meaning of a network's last layer, and a graph cut down to what one value needs.

import GraftTensors

extension Graph {
    /// The kinds of value that a network can end in.
    public enum Ending: Sendable, Hashable {
        /// Shares that sum to 1: the softmax of the value of this node.
        case softmax(Int)
        /// Independent probabilities: the sigmoid of the value of this node.
        case sigmoid(Int)
        /// Independent probabilities by another function of that range.
        case probabilities
        /// Class scores or numbers: a linear layer is the last.
        case linear
        /// Numbers of an activation that makes no probabilities, and vectors of length 1.
        case values
        /// A map or a pooled one: the network has no head.
        case features
    }

    /// The kind of value that the network ends in.
    public var ending: Ending {
        var index = output
        search: while nodes.indices.contains(index), index > 0 {
            switch nodes[index].op {
            case .flatten, .reshape, .dropout:
                // Nodes read only what is before them, so that this ends.
                guard let input = nodes[index].inputs.first, input < index else { break search }
                index = input
            default: break search
            }
        }
        guard nodes.indices.contains(index) else { return .features }
        let node = nodes[index]
        let input = node.inputs.first ?? 0
        switch node.op {
        case .softmax: return .softmax(input)
        case .activation(let it) where logits != nil && it.function == .sigmoid:
            return .sigmoid(input)
        case .activation(let it) where logits != nil && it.function == .hardSigmoid:
            return .probabilities
        case .activation where logits != nil, .unitNorm: return .values
        case .linear: return .linear
        default: return logits == nil ? .features : .linear
        }
    }

    /// The graph without the nodes that neither its output nor its features need.
    public func pruned() -> Graph {
        let kept = [output, features] + (logits.map { [$0] } ?? []) + outputs.map(\.value.node)
        var needed = Set(kept).union(0..<max(inputCount, 1))
        for index in nodes.indices.reversed() where needed.contains(index) {
            needed.formUnion(nodes[index].inputs)
        }
        guard needed.count < nodes.count else { return self }
        var place: [Int: Int] = [:]
        var graph = self
        graph.nodes = []
        for index in nodes.indices where needed.contains(index) {
            place[index] = graph.nodes.count
            var node = nodes[index]
            node.renumberInputs { place[$0] ?? 0 }
            graph.nodes.append(node)
        }
        graph.output = place[output] ?? 0
        graph.features = place[features] ?? 0
        graph.logits = logits.flatMap { place[$0] }
        for index in outputs.indices {
            graph.outputs[index].value.node = place[outputs[index].value.node] ?? 0
        }
        return graph
    }

    /// Whether the network takes images, and nothing else.
    public var takesImages: Bool { inputCount == 1 && inputChannels > 0 }

    /// The types of its inputs; nil if it takes images, or values of sizes that only a run knows.
    public var declaredTypes: [ValueType]? {
        let inputs = nodes.prefix(inputCount).compactMap { node -> ValueType? in
            guard case .input(let input) = node.op, let type = input.type else { return nil }
            let sizes = type.sizes.compactMap { size in
                if case .number(let number) = size { number } else { nil }
            }
            return sizes.count == type.sizes.count
                ? ValueType(Shape(sizes), element: type.element) : nil
        }
        return inputs.count == inputCount && inputCount > 0 ? inputs : nil
    }

    /// The number of channels of the images that the network takes.
    public var inputChannels: Int {
        if case .input(let input) = nodes.first?.op { input.channels } else { 3 }
    }

    /// Whether the network's first layers rescale or normalise the image themselves.
    public var preprocessesItself: Bool {
        var index = 0
        for (next, node) in nodes.enumerated().dropFirst() where node.inputs.contains(index) {
            switch node.op {
            case .affine: return true
            case .batchNorm: return node.parameters.contains { $0.role == .count }
            case .pad, .slice, .concatenate, .upsample: index = next
            default: return false
            }
        }
        return false
    }
}
