// Elements of an axis at known places, in ONNX.

import GraftNetworks
import GraftTensors

extension Op.Take: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        let places = graph.constant(indices, name: site.name + ".indices")
        return graph.emit("Gather", at: site, more: [places], attributes: ["axis": .integer(axis)])
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        throw site.unsupported("elements at known places")
    }

    func isNonNegative(reading inputs: [Bool]) -> Bool { inputs.allSatisfy(\.self) }

    /// The largest number of places that are written into a graph.
    private static let maximumCount = 1 << 20

    /// `Gather`: with indices that are known, of any shape, whose axes take the place of the axis; of others
    /// when they come.
    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        guard case .constant(let tensor) = try node.value(at: 1), tensor.count <= maximumCount
        else {
            let operands = try reader.operands(of: node, count: 2)
            let rank = reader.shape(of: operands[0]).rank
            return try reader.emit(
                .gather(axis: try node.axis(node.integer("axis", or: 0), rank: rank)), for: node,
                reading: operands)
        }
        let x = try reader.operand(of: node)
        let shape = reader.shape(of: x)
        let axis = try node.axis(node.integer("axis", or: 0), rank: shape.rank)
        let indices = try tensor.doubles.map { index -> Int in
            let place = Int(exactly: index).map { $0 < 0 ? $0 + shape[axis] : $0 }
            guard let place, 0..<shape[axis] ~= place else {
                throw node.fail("it reads element \(index) of \(shape[axis])")
            }
            return place
        }
        guard let first = indices.first else { throw node.fail("it names no element") }
        // Places side by side are a slice.
        let isRun = zip(indices, indices.dropFirst()).allSatisfy { $1 == $0 + 1 }
        let op: Op =
            isRun
            ? .slice(start: first, count: indices.count, axis: axis)
            : .take(axis: axis, indices: indices)
        if tensor.shape.rank == 1 { return try reader.emit(op, for: node, reading: [x]) }
        let taken = try reader.emit(op, for: node, reading: [x], suffix: ".taken")
        let target =
            shape.dimensions[..<axis] + tensor.shape.dimensions + shape.dimensions[(axis + 1)...]
        return try reader.emit(.view(Array(target)), for: node, reading: [taken])
    }
}
