// Elements around every axis, in ONNX.

import GraftNetworks
import GraftTensors

extension Op.PadAxes: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        let pads = graph.constant(before + after, name: site.name + ".pads")
        guard mode == .constant else {
            return graph.emit(
                "Pad", at: site, more: [pads], attributes: ["mode": .text(mode.rawValue)])
        }
        let value = graph.constant(value, name: site.name + ".value")
        return graph.emit("Pad", at: site, more: [pads, value])
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        throw site.unsupported("padding of mode `\(mode.rawValue)`")
    }

    /// `Pad` in its general form.
    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let x = try reader.operand(of: node)
        let rank = reader.shape(of: x).rank
        guard let mode = Mode(rawValue: node.text("mode") ?? "constant") else {
            throw node.fail("graft does not know the mode `\(node.text("mode") ?? "")`")
        }
        let named = try node.integers("pads", orAt: 1) ?? []
        let axes =
            try node.inputs.count > 3
            ? (node.integers(at: 3) ?? Array(0..<rank)).map { try node.axis($0, rank: rank) }
            : Array(0..<rank)
        guard named.count == 2 * axes.count, Set(axes).count == axes.count else {
            throw node.fail("expected \(2 * axes.count) amounts, found \(named.count)")
        }
        var before = [Int](repeating: 0, count: rank)
        var after = before
        for (place, axis) in axes.enumerated() {
            before[axis] = named[place]
            after[axis] = named[place + axes.count]
        }
        let value = try node.tensor(at: 2)?.floats.first ?? node.number("value", or: 0)
        return try reader.emit(
            .padAxes(before: before, after: after, mode: mode, value: value), for: node,
            reading: [x])
    }
}
