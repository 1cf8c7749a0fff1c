// Maps read at places between their pixels, in ONNX.

import GraftNetworks
import GraftTensors

extension Op.GridSample: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        graph.emit(
            "GridSample", at: site,
            attributes: [
                "mode": .text(mode.rawValue), "padding_mode": .text(border.rawValue),
                "align_corners": .integer(alignsCorners ? 1 : 0),
            ])
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        throw site.unsupported(kind)
    }

    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let modes: [String: Mode] = [
            "nearest": .nearest, "linear": .linear, "bilinear": .linear, "cubic": .cubic,
            "bicubic": .cubic,
        ]
        let (name, outside) = (node.text("mode") ?? "linear", node.text("padding_mode") ?? "zeros")
        guard let mode = modes[name], let border = Border(rawValue: outside) else {
            throw node.fail(.unknown(.mode, [name, outside].joined(separator: ", ")))
        }
        return try reader.emit(
            .gridSample(
                mode, border: border, alignsCorners: node.integer("align_corners", or: 0) != 0),
            for: node, reading: try reader.operands(of: node, count: 2))
    }

    /// `AffineGrid`: the places of a grid, moved by a matrix for each sample.
    static func readONNXAffineGrid(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        guard let sizes = try node.integers(at: 1), sizes.count == 4 || sizes.count == 5,
            let count = Shape(sizes).checkedCount, 1...ONNXConstants.maximumCount ~= count
        else { throw node.fail(.missing(.sizes)) }
        let space = Array(sizes[2...])
        let aligns = node.integer("align_corners", or: 0) != 0
        func place(_ index: Int, of size: Int) -> Float {
            if aligns { return size == 1 ? -1 : -1 + 2 * Float(index) / Float(size - 1) }
            return (2 * Float(index) + 1) / Float(size) - 1
        }
        // Each place as (x, y, 1) or (x, y, z, 1), the last axis first.
        let places = space.reduce(1, *)
        try reader.spend(places * (space.count + 1), on: node)
        var rows: [Float] = []
        for index in 0..<places {
            var rest = index
            for size in space.reversed() {
                rows.append(place(rest % size, of: size))
                rest /= size
            }
            rows.append(1)
        }
        let grid = ONNXValue.numbers(rows, shape: [places, space.count + 1])
        let turned = try reader.transpose(try node.value(), by: [0, 2, 1], for: node)
        let moved = try reader.apply("MatMul", to: grid, turned, for: node)
        return try reader.reshape(moved, to: [sizes[0]] + space + [space.count], for: node)
    }
}

extension Op.RoIAlign: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        graph.emit(
            "RoiAlign", at: site,
            attributes: [
                "output_height": .integer(height), "output_width": .integer(width),
                "sampling_ratio": .integer(samplingRatio), "spatial_scale": .number(Float(scale)),
                "mode": .text(takesMaximum ? "max" : "avg"),
                "coordinate_transformation_mode": .text(
                    hasHalfPixels ? "half_pixel" : "output_half_pixel"),
            ])
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        throw site.unsupported(kind)
    }

    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let usual = node.opset < 16 ? "output_half_pixel" : "half_pixel"
        let op = Op.RoIAlign(
            height: node.integer("output_height", or: 1),
            width: node.integer("output_width", or: 1),
            samplingRatio: node.integer("sampling_ratio", or: 0),
            scale: Double(node.number("spatial_scale", or: 1)),
            takesMaximum: node.text("mode") == "max",
            hasHalfPixels: (node.text("coordinate_transformation_mode") ?? usual) == "half_pixel")
        return try reader.emit(
            .roiAlign(op), for: node, reading: try reader.operands(of: node, count: 3))
    }
}
