// Elements at computed places, and elements replaced there, in ONNX.

import GraftNetworks
import GraftTensors

extension Op.GatherElements: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        graph.emit("GatherElements", at: site, attributes: ["axis": .integer(axis)])
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        throw site.unsupported(kind)
    }

    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let operands = try reader.operands(of: node, count: 2)
        let axis = try node.axis(
            node.integer("axis", or: 0), rank: reader.shape(of: operands[0]).rank)
        return try reader.emit(.gatherElements(axis: axis), for: node, reading: operands)
    }
}

extension Op.GatherND: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        graph.emit("GatherND", at: site, attributes: ["batch_dims": .integer(batch)])
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        throw site.unsupported(kind)
    }

    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        try reader.emit(
            .gatherND(batch: node.integer("batch_dims", or: 0)), for: node,
            reading: try reader.operands(of: node, count: 2))
    }
}

extension Op.ScatterReduction {
    /// ONNX's name.
    fileprivate var foreign: String {
        switch self {
        case .none: "none"
        case .add: "add"
        case .multiply: "mul"
        case .maximum: "max"
        case .minimum: "min"
        }
    }

    fileprivate init(_ node: ONNXNode) throws {
        let name = node.text("reduction") ?? "none"
        guard let found = Self.allCases.first(where: { $0.foreign == name }) else {
            throw node.fail(.unknown(.reduction, name))
        }
        self = found
    }
}

extension Op.ScatterElements: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        graph.emit(
            "ScatterElements", at: site,
            attributes: ["axis": .integer(axis), "reduction": .text(reduction.foreign)])
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        throw site.unsupported(kind)
    }

    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let operands = try reader.operands(of: node, count: 3)
        let axis = try node.axis(
            node.integer("axis", or: 0), rank: reader.shape(of: operands[0]).rank)
        let reduction = try Op.ScatterReduction(node)
        return try reader.emit(
            .scatterElements(axis: axis, reduction: reduction), for: node, reading: operands)
    }
}

extension Op.ScatterND: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        graph.emit("ScatterND", at: site, attributes: ["reduction": .text(reduction.foreign)])
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        throw site.unsupported(kind)
    }

    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let reduction = try Op.ScatterReduction(node)
        return try reader.emit(
            .scatterND(reduction: reduction), for: node,
            reading: try reader.operands(of: node, count: 3))
    }
}

extension Op.Cumulate: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) throws -> String {
        guard function == .sum else { throw site.fail(.beyond(.cumulativeProduct)) }
        let place = graph.constant(integer: axis, name: site.name + ".axis")
        return graph.emit(
            "CumSum", at: site, more: [place],
            attributes: [
                "exclusive": .integer(isExclusive ? 1 : 0), "reverse": .integer(isReversed ? 1 : 0),
            ])
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        throw site.unsupported(kind)
    }

    static func readONNX(
        _ function: Function, of node: ONNXNode, in reader: inout ONNXReader
    ) throws -> Int {
        let x = try reader.operand(of: node)
        guard let axis = try node.integers(at: 1)?.first else { throw node.fail(.missing(.axis)) }
        return try reader.emit(
            .cumulate(
                function, axis: try node.axis(axis, rank: reader.shape(of: x).rank),
                isExclusive: node.integer("exclusive", or: 0) != 0,
                isReversed: node.integer("reverse", or: 0) != 0), for: node, reading: [x])
    }
}

extension Op.TopK {
    /// `TopK`, sorted whether it asks for it or not.
    static func readONNX(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> [ONNXValue] {
        let x = try reader.operand(of: node)
        let shape = reader.shape(of: x)
        let axis = try node.axis(node.integer("axis", or: -1), rank: shape.rank)
        let known =
            try node.integers(at: 1)?.first
            ?? (node.attribute("k") == nil ? nil : node.integer("k", or: 0))
        guard let count = known else { throw node.fail(.computed(.count)) }
        guard count != 0 else {
            var empty = shape
            empty[axis] = 0
            return [.numbers([], shape: empty), .integers([], shape: empty)]
        }
        let index = try reader.emit(
            .topK(axis: axis, count: count, largest: node.integer("largest", or: 1) != 0),
            for: node, reading: [x])
        return [.node(index), .node(try reader.output(1, of: index, for: node))]
    }
}
