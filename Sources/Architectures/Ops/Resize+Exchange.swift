// Maps of another size by any of ONNX's rules.

import GraftNetworks
import GraftTensors

extension Op.Resize: ExportableOp {
    private static let foreignCoordinates: [String: Coordinates] = [
        "half_pixel": .halfPixel, "pytorch_half_pixel": .pytorchHalfPixel,
        "asymmetric": .asymmetric, "align_corners": .alignCorners,
    ]
    static let foreignRoundings: [String: Rounding] = [
        "round_prefer_floor": .roundPreferFloor, "round_prefer_ceil": .roundPreferCeil,
        "floor": .floor, "ceil": .ceil,
    ]

    func write(at site: ONNXSite, to graph: inout ONNXGraph) throws -> String {
        func name<Value: Equatable>(_ value: Value, in table: [String: Value]) -> String {
            table.first { $0.value == value }?.key ?? ""
        }
        var attributes: ONNXGraph.Attributes = [
            "mode": .text(mode.rawValue),
            "coordinate_transformation_mode": .text(name(coordinates, in: Self.foreignCoordinates)),
            "cubic_coeff_a": .number(Float(cubic)),
            "exclude_outside": .integer(excludesOutside ? 1 : 0),
        ]
        if mode == .nearest {
            attributes.append(
                .text(name(rounding, in: Self.foreignRoundings)), named: "nearest_mode")
        }
        if antialiases { attributes.append(.integer(1), named: "antialias") }
        switch target {
        case .factors(let height, let width):
            let scales = graph.constant(
                [1, 1, Float(height), Float(width)], shape: [4], name: site.name + ".scales")
            return graph.emit("Resize", at: site, more: ["", scales], attributes: attributes)
        case .sizes(let height, let width):
            // The batch and the channels are those of the map.
            let all = graph.emit("Shape", name: site.name + ".shape", inputs: [site.x])
            let bounds = [
                graph.constant([0], name: site.name + ".from"),
                graph.constant([2], name: site.name + ".to"),
            ]
            let lead = graph.emit("Slice", name: site.name + ".lead", inputs: [all] + bounds)
            let sizes = graph.emit(
                "Concat", name: site.name + ".sizes",
                inputs: [lead, graph.constant([height, width], name: site.name + ".extent")],
                attributes: ["axis": 0])
            return graph.emit("Resize", at: site, more: ["", "", sizes], attributes: attributes)
        }
    }

    /// `Resize` and `Upsample` of rows and columns; nil where it is more, or by another rule.
    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int? {
        let x = try reader.operand(of: node)
        let shape = reader.shape(of: x)
        let isOld = node.type == "Upsample" || node.opset < 11
        let centre =
            isOld ? "asymmetric" : node.text("coordinate_transformation_mode") ?? "half_pixel"
        let nearest = isOld ? "floor" : node.text("nearest_mode") ?? "round_prefer_floor"
        guard shape.rank == 4, let mode = Mode(rawValue: node.text("mode") ?? "nearest"),
            let coordinates = foreignCoordinates[centre], let rounding = foreignRoundings[nearest],
            (node.text("keep_aspect_ratio_policy") ?? "stretch") == "stretch"
        else { return nil }
        let axes = try (node.integers("axes") ?? [0, 1, 2, 3]).map { try node.axis($0, rank: 4) }
        let scales =
            try node.tensor(at: isOld ? 1 : 2)?.doubles
            ?? (node.numbers("scales") ?? []).map(Double.init)
        let sizes = try isOld ? nil : node.integers(at: 3)
        let target: Target
        if let sizes, !sizes.isEmpty {
            var full = shape.dimensions
            guard sizes.count == axes.count else { return nil }
            for (axis, size) in zip(axes, sizes) { full[axis] = size }
            guard full[0] == shape[0], full[1] == shape[1] else { return nil }
            target = .sizes(height: full[2], width: full[3])
        } else {
            var full = [1.0, 1, 1, 1]
            guard scales.count == axes.count else { return nil }
            for (axis, scale) in zip(axes, scales) { full[axis] = scale }
            guard full[0] == 1, full[1] == 1 else { return nil }
            target = .factors(height: full[2], width: full[3])
        }
        return try reader.emit(
            .resize(
                to: target, mode: mode, coordinates: coordinates, rounding: rounding,
                cubic: Double(node.number("cubic_coeff_a", or: -0.75)),
                excludesOutside: node.integer("exclude_outside", or: 0) != 0,
                antialiases: node.integer("antialias", or: 0) != 0), for: node, reading: [x])
    }
}
