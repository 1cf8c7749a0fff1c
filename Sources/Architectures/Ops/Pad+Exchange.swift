// Constants around a map, and crops, in ONNX and Keras.

import GraftNetworks
import GraftTensors

extension Op.Pad: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        graph.pad(site.x, by: padding, value: value, name: site.name)
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        guard value == 0 else { throw site.unsupported("padding with \(value)") }
        let amounts = [padding.top, padding.bottom, padding.left, padding.right]
        if amounts.allSatisfy({ $0 >= 0 }) {
            return model.zeroPadding(padding, of: site.x, shape: site.before, at: site)
        }
        var x = site.x
        if amounts.contains(where: { $0 > 0 }) {
            let added = Padding(
                top: max(padding.top, 0), left: max(padding.left, 0),
                bottom: max(padding.bottom, 0), right: max(padding.right, 0))
            x = model.zeroPadding(added, of: x, shape: site.before, at: site, suffix: "_pad")
        }
        let cut = Padding(
            top: max(-padding.top, 0), left: max(-padding.left, 0),
            bottom: max(-padding.bottom, 0), right: max(-padding.right, 0))
        return model.layer(
            "Cropping2D", at: site, reading: [x],
            config: ["cropping": .padding(cut), "data_format": "channels_last"])
    }

    func isNonNegative(reading inputs: [Bool]) -> Bool { inputs.allSatisfy(\.self) }

    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let x = try reader.operand(of: node)
        guard reader.shape(of: x).rank == 4, node.inputs.count <= 3,
            let pads = try node.integers("pads", orAt: 1), pads.count == 8,
            [0, 1, 4, 5].allSatisfy({ pads[$0] == 0 }),
            (node.text("mode") ?? "constant") == "constant"
        else { return try Op.PadAxes.readONNX(node, in: &reader) }
        let value = try node.tensor(at: 2)?.floats.first ?? node.number("value", or: 0)
        let padding = Padding(top: pads[2], left: pads[3], bottom: pads[6], right: pads[7])
        return try reader.emit(.pad(padding, value: value), for: node, reading: [x])
    }

    /// `ZeroPadding2D`.
    static func readKeras(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        try reader.add(.pad(try call.layer.padding("padding"), value: 0), for: call)
    }

    /// `Cropping2D`.
    static func readKerasCropping(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        let crop = try call.layer.padding("cropping")
        return try reader.crop(call, by: crop)
    }

    /// `CenterCrop`: the middle of a map.
    static func readKerasCenterCrop(
        _ call: KerasCall, in reader: inout KerasReader
    ) throws -> Int {
        let shape = call.shape
        let height = try call.layer.integer("height", or: 0)
        let width = try call.layer.integer("width", or: 0)
        guard reader.hasFixedSize, shape.rank == 4, height > 0, width > 0, height <= shape[2],
            width <= shape[3]
        else {
            let whole = reader.hasFixedSize ? "\(shape)" : "an input of any size"
            throw call.fail(
                "it crops \(height) × \(width) from \(whole), which graft does not run")
        }
        let top = (shape[2] - height) / 2
        let left = (shape[3] - width) / 2
        let crop = Padding(
            top: top, left: left, bottom: shape[2] - height - top, right: shape[3] - width - left)
        return crop == .zero ? call.x : try reader.crop(call, by: crop)
    }
}

extension KerasModel {
    /// Adds zeros around a map of this shape.
    mutating func zeroPadding(
        _ padding: Padding, of x: Int, shape: Shape, at site: KerasSite, suffix: String = ""
    ) -> Int {
        var shape = shape
        shape[2] += padding.top + padding.bottom
        shape[3] += padding.left + padding.right
        return layer(
            "ZeroPadding2D", at: site, suffix: suffix, reading: [x], shape: shape,
            config: ["padding": .padding(padding), "data_format": "channels_last"])
    }
}

extension KerasReader {
    /// Adds a crop of these rows and columns.
    mutating func crop(
        _ call: KerasCall, by crop: Padding, suffix: String = ""
    ) throws -> Int {
        let padding = Padding(
            top: -crop.top, left: -crop.left, bottom: -crop.bottom, right: -crop.right)
        return try add(.pad(padding, value: 0), for: call, suffix: suffix)
    }
}
