// Weights and constants as values of their own, in ONNX.

import GraftNetworks
import GraftTensors

extension Op.ParameterValue: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) throws -> String {
        guard let parameter = site.node.parameters.first else {
            throw site.fail(.missing(.weights))
        }
        let weight = try graph.weight(parameter)
        guard element != .f32 else { return weight }
        return graph.emit(
            "Cast", name: site.name + ".integers", inputs: [weight],
            attributes: ["to": .integer(try element.onnxType(at: site))])
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        throw site.unsupported("a weight that is a value by itself")
    }
}

extension ONNXReader {
    /// The node of the graph for a value that an operator reads, whatever it is: numbers of the file
    /// become a weight as a value. Those that are scaled or added by may learn, single numbers not.
    mutating func operand(of node: ONNXNode, at index: Int = 0) throws -> Int {
        switch try node.value(at: index) {
        case .node(let x): return x
        case .channelsLast(let x):
            return try emit(
                .transpose([0, 2, 3, 1]), for: node, reading: [x], suffix: ".last\(index)")
        case .split(let x, let groups):
            return try grouped(x, by: groups, for: node, suffix: ".groups\(index)")
        case .shuffled(let x, let groups):
            let parts = try grouped(x, by: groups, for: node, suffix: ".groups\(index)")
            return try emit(
                .transpose([0, 2, 1, 3, 4]), for: node, reading: [parts], suffix: ".turned\(index)")
        case .constant(let tensor):
            let name = node.name(ofInput: index)
            if let known = constants[name] { return known }
            let shape: Shape = tensor.shape.rank == 0 ? [1] : tensor.shape
            guard tensor.count > 0 else { throw node.fail("its input `\(name)` is empty") }
            let learns = tensor.dtype.isFloatingPoint && tensor.count > 1
            guard tensor.isExact else {
                throw node.fail(
                    "graft computes with integers up to \(Int(ONNXFeed.exactMagnitude)), and `\(name)` "
                        + "has a larger one")
            }
            let value = try emit(
                .parameter(
                    shape, learns: learns,
                    element: tensor.dtype.isFloatingPoint ? .f32 : tensor.dtype), for: node,
                reading: [], suffix: ".operand\(index)")
            try bind(
                [ONNXWeight(name: name, tensor: tensor.converted(to: .f32))], of: node, to: value)
            constants[name] = value
            return value
        }
    }

    /// A map with its channels as two axes: groups, and the channels of a group.
    private mutating func grouped(
        _ x: Int, by groups: Int, for node: ONNXNode, suffix: String
    ) throws -> Int {
        let map = builder.shapes[x]
        return try emit(
            .view([map[0], groups, map[1] / max(groups, 1), map[2], map[3]]), for: node,
            reading: [x], suffix: suffix)
    }

    /// All that an operator reads.
    mutating func operands(of node: ONNXNode, count: Int) throws -> [Int] {
        guard node.inputs.count >= count else {
            throw node.fail("expected \(count) inputs, found \(node.inputs.count)")
        }
        return try (0..<count).map { try operand(of: node, at: $0) }
    }

    /// The shape of a node's value.
    func shape(of value: Int) -> Shape { builder.shapes[value] }
}

extension ONNXNode {
    /// An axis of a value of this rank, counted from its end if it is negative.
    func axis(_ axis: Int, rank: Int) throws -> Int {
        let place = axis < 0 ? axis + rank : axis
        guard 0..<rank ~= place else { throw fail("expected an axis of \(rank), found \(axis)") }
        return place
    }
}
