// Cuts: the graph so far is run where an operator asks for numbers that are computed.

import GraftNetworks
internal import GraftSchemas
import GraftTensors

extension ONNXReader {
    /// Makes these inputs of a node numbers; returns whether one was not.
    mutating func settle(_ indices: [Int], of node: ONNXNode) throws -> Bool {
        let open = indices.filter { node.inputs.indices.contains($0) && node.isComputed($0) }
        guard !open.isEmpty else { return false }
        let isHeld = open.allSatisfy { index in
            if case .node(let place)? = node.inputs[index] { held[place] != nil } else { false }
        }
        if !isHeld { try cut(for: node) }
        for index in open {
            let name = node.name(ofInput: index)
            if case .node(let place)? = self[name], let tensor = held[place] {
                self[name] = .constant(tensor)
            }
        }
        return true
    }

    /// Runs the graph for all values that are read later, which become the inputs of another.
    private mutating func cut(for node: ONNXNode) throws {
        guard let feed else { throw node.fail(.computed(.input)) }
        var places: [(name: String, node: Int)] = []
        for name in values.keys.sorted() where frames.contains(where: { $0.needs(name) }) {
            switch values[name] {
            case .node(let index): places.append((name, index))
            case .channelsLast, .split, .shuffled:
                guard let value = values[name] else { continue }
                let bare = ONNXNode(reading: value, named: name, opset: opset)
                places.append((name, try operand(of: bare)))
            case .constant, nil: continue
            }
        }
        var tensors = held
        let wanted = Set(places.map(\.node)).subtracting(held.keys).sorted()
        let found = try evaluate(wanted, with: feed)
        for (index, tensor) in zip(wanted, found) { tensors[index] = tensor }
        var inputs: [GraphBuilder.TypedInput] = []
        var moved: [Int: Int] = [:]
        var kept: [Int: Tensor] = [:]
        for (name, index) in places {
            guard let tensor = tensors[index] else { continue }
            if tensor.isStructure {
                self[name] = .constant(tensor)
                continue
            }
            let place = moved[index] ?? inputs.count
            if moved[index] == nil {
                moved[index] = place
                kept[place] = tensor
                inputs.append(
                    .init(name: name, type: ValueType(tensor.shape, element: tensor.dtype)))
            }
            self[name] = .node(place)
        }
        if inputs.isEmpty { (inputs, kept) = ONNXEntry.nothing }
        try restart(inputs, held: kept)
    }

    /// The values of nodes of the graph so far, in their element types.
    func evaluate(_ wanted: [Int], with feed: ONNXFeed) throws -> [Tensor] {
        guard let last = wanted.last else { return [] }
        let inputs = try builder.types.indices.prefix { held[$0] != nil }.map { place in
            guard let tensor = held[place] else {
                throw ArchitectureError.onnx(
                    node: builder.nodes[place].name, reason: ONNXFlaw.missing(.value).explanation)
            }
            return tensor
        }
        let (graph, weights) = try bound(
            builder.graph(
                name: proto.name.isEmpty ? "network" : proto.name, output: last, features: last,
                logits: nil))
        let results = try feed.evaluate(graph, weights, inputs, wanted.map { ValueID($0) })
        return zip(wanted, results).map { index, tensor in
            let element = builder.types[index][0].element
            return element.isFloatingPoint ? tensor : tensor.converted(to: element)
        }
    }
}

extension ONNXNode {
    /// Whether an input is not numbers that are known.
    fileprivate func isComputed(_ index: Int) -> Bool {
        switch inputs[index] {
        case .constant, nil: false
        case .node, .channelsLast, .split, .shuffled: true
        }
    }

    /// A node that only names a value.
    init(reading value: ONNXValue, named name: String, opset: Int) {
        var proto = Onnx_NodeProto()
        proto.opType = "Identity"
        proto.name = name
        proto.input = [name]
        proto.output = [name]
        self.init(proto: proto, opset: opset, inputs: [value])
    }
}
