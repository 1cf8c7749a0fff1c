// Maps enlarged by whole factors in ONNX and Keras.

import GraftNetworks
import GraftTensors

extension Op.Upsample: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        let scales = graph.constant(
            [1, 1, Float(height), Float(width)], shape: [4], name: site.name + ".scales")
        let attributes: ONNXGraph.Attributes =
            bilinear
            ? ["mode": "linear", "coordinate_transformation_mode": "half_pixel"]
            : [
                "mode": "nearest", "nearest_mode": "floor",
                "coordinate_transformation_mode": "asymmetric",
            ]
        return graph.emit("Resize", at: site, more: ["", scales], attributes: attributes)
    }

    func write(at site: KerasSite, to model: inout KerasModel) -> Int {
        model.layer(
            "UpSampling2D", at: site,
            config: [
                "size": .extent(Extent(height, width)),
                "interpolation": bilinear ? "bilinear" : "nearest",
            ])
    }

    /// `Resize`, and `Upsample` of early versions: of maps by a step of their own, of others by products
    /// along each axis.
    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> ONNXValue {
        let x = try reader.operand(of: node)
        let isOld = isOld(node)
        // Upsample, and Resize before opset 11, say nothing of centres.
        let centre =
            isOld ? "asymmetric" : node.text("coordinate_transformation_mode") ?? "half_pixel"
        let nearest = isOld ? "floor" : node.text("nearest_mode") ?? "round_prefer_floor"
        let isBilinear: Bool?
        switch (node.text("mode") ?? "nearest", centre, nearest) {
        // pytorch_half_pixel is the same for maps that are larger than one pixel.
        case ("linear", "half_pixel", _), ("linear", "pytorch_half_pixel", _): isBilinear = true
        // By a whole factor no centre lies in the middle between two.
        case ("nearest", "asymmetric", "floor"), ("nearest", "half_pixel", "round_prefer_floor"),
            ("nearest", "half_pixel", "round_prefer_ceil"):
            isBilinear = false
        default: isBilinear = nil
        }
        if let isBilinear, node.integer("antialias", or: 0) == 0, node.integers("axes") == nil,
            let (height, width) = try factors(node, of: reader.builder.shapes[x])
        {
            return .node(
                try reader.emit(
                    .upsample(height: height, width: width, bilinear: isBilinear), for: node,
                    reading: [x]))
        }
        if let result = try Op.Resize.readONNX(node, in: &reader) { return .node(result) }
        return try ONNXResizing.read(node, in: &reader)
    }

    private static func isOld(_ node: ONNXNode) -> Bool {
        node.type == "Upsample" || node.opset < 11
    }

    /// The whole factors by which Resize enlarges the map, from its factors or the size that it
    /// makes; nil if they are none.
    private static func factors(
        _ node: ONNXNode, of shape: Shape
    ) throws -> (height: Int, width: Int)? {
        let numbers = try node.tensor(at: isOld(node) ? 1 : 2)?.floats
        var scales = numbers ?? node.numbers("scales") ?? []
        if scales.isEmpty, let sizes = try node.integers(at: 3), sizes.count == 4, shape.rank == 4 {
            // The batch of the file is any.
            scales = [1] + (1..<4).map { Float(sizes[$0]) / Float(shape[$0]) }
        }
        guard scales.count == 4, scales[0] == 1, scales[1] == 1,
            let height = Int(exactly: scales[2]), let width = Int(exactly: scales[3]),
            height > 0, width > 0
        else { return nil }
        return (height, width)
    }

    static func readKeras(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        let size = try call.layer.extent("size", or: 2)
        let kind = call.layer.config["interpolation"]?.string ?? "nearest"
        guard kind == "nearest" || kind == "bilinear" else {
            throw call.fail("its interpolation is `\(kind)`")
        }
        let op = Op.upsample(
            height: size.height, width: size.width, bilinear: kind == "bilinear")
        return try reader.add(op, for: call)
    }
}
