// Products of matrices in ONNX.

import GraftNetworks
import GraftTensors

extension Op.MatMul: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) throws -> String {
        let sides = [transposesLeft, transposesRight]
        let operands = try zip(site.inputs, site.shapes).enumerated().map { side, input in
            guard sides[side] else { return input.0 }
            var order = Array(0..<input.1.rank)
            guard order.count > 1 else { throw site.fail("it transposes a vector") }
            order.swapAt(order.count - 1, order.count - 2)
            return graph.emit(
                "Transpose", name: "\(site.name).transposed\(side)", inputs: [input.0],
                attributes: ["perm": .integers(order)])
        }
        return graph.emit("MatMul", name: site.name, inputs: operands)
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        throw site.unsupported("a product of two values")
    }

    /// `MatMul` of two values; one with a constant matrix on the right is a linear layer.
    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let operands = try reader.operands(of: node, count: 2)
        return try reader.emit(.matMul(), for: node, reading: operands)
    }

    /// `Gemm` in its general form: `alpha · A' · B' + beta · C`.
    static func readONNXGemm(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let operands = try reader.operands(of: node, count: 2)
        let op = Op.matMul(
            transposesLeft: node.integer("transA", or: 0) != 0,
            transposesRight: node.integer("transB", or: 0) != 0)
        let alpha = node.number("alpha", or: 1)
        let beta = node.number("beta", or: 1)
        var value = try reader.emit(op, for: node, reading: operands, suffix: ".product")
        if alpha != 1 {
            value = try reader.scaled(value, by: alpha, for: node, suffix: ".alpha")
        }
        guard node.inputs.count > 2, node.inputs[2] != nil else { return value }
        var addend = try reader.operand(of: node, at: 2)
        if beta != 1 { addend = try reader.scaled(addend, by: beta, for: node, suffix: ".beta") }
        return try reader.emit(.add, for: node, reading: [value, addend])
    }
}

extension ONNXReader {
    /// A value times one number.
    mutating func scaled(
        _ value: Int, by factor: Float, for node: ONNXNode, suffix: String
    ) throws -> Int {
        try emit(
            .multiply, for: node,
            reading: [value, try number(factor, for: node, suffix: suffix + ".factor")],
            suffix: suffix)
    }

    /// One number as a value.
    mutating func number(_ number: Float, for node: ONNXNode, suffix: String) throws -> Int {
        let value = try emit(.parameter([1], learns: false), for: node, reading: [], suffix: suffix)
        let name = builder.nodes[value].name
        try bind(
            [ONNXWeight(name: name, tensor: Tensor([number], shape: [1]))], of: node, to: value)
        return value
    }
}
