// Maxima and means of whole maps, and of a grid over them, in ONNX and Keras.

import GraftNetworks
import GraftTensors

extension Op.GlobalAveragePool: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        graph.pool("GlobalAveragePool", at: site, keepsDimensions: keepsDimensions)
    }

    func write(at site: KerasSite, to model: inout KerasModel) -> Int {
        model.layer(
            "GlobalAveragePooling2D", at: site, config: ["keepdims": .bool(keepsDimensions)])
    }

    /// `ReduceMean` over the map.
    static func readONNXReduction(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        guard let (x, keeps) = try reader.reduction(node) else {
            return try Op.Reduce.readONNX(.mean, node, in: &reader)
        }
        return try reader.emit(
            .globalAveragePool(keepsDimensions: keeps), for: node, reading: [x])
    }

    static func readKeras(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        let keeps = call.layer.flag("keepdims", or: false)
        return try reader.add(.globalAveragePool(keepsDimensions: keeps), for: call)
    }

    /// A reduction of a map over its rows and columns.
    static func readKerasReduction(
        _ call: KerasCall, in reader: inout KerasReader
    ) throws -> Int? {
        guard call.isOverMap else { return nil }
        let keeps = call.setting("keepdims")?.bool ?? false
        return try reader.add(.globalAveragePool(keepsDimensions: keeps), for: call)
    }
}

extension Op.GlobalMaxPool: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        graph.pool("GlobalMaxPool", at: site, keepsDimensions: keepsDimensions)
    }

    func write(at site: KerasSite, to model: inout KerasModel) -> Int {
        model.layer("GlobalMaxPooling2D", at: site, config: ["keepdims": .bool(keepsDimensions)])
    }

    /// `ReduceMax` over the map.
    static func readONNXReduction(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        guard let (x, keeps) = try reader.reduction(node) else {
            return try Op.Reduce.readONNX(.maximum, node, in: &reader)
        }
        return try reader.emit(.globalMaxPool(keepsDimensions: keeps), for: node, reading: [x])
    }

    static func readKeras(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        let keeps = call.layer.flag("keepdims", or: false)
        return try reader.add(.globalMaxPool(keepsDimensions: keeps), for: call)
    }

    /// A reduction of a map over its rows and columns.
    static func readKerasReduction(
        _ call: KerasCall, in reader: inout KerasReader
    ) throws -> Int? {
        guard call.isOverMap else { return nil }
        let keeps = call.setting("keepdims")?.bool ?? false
        return try reader.add(.globalMaxPool(keepsDimensions: keeps), for: call)
    }
}

extension Op.AdaptiveAveragePool: ExportableOp {
    /// A pool whose windows tile the map; its input where that has the size already.
    func write(at site: ONNXSite, to graph: inout ONNXGraph) throws -> String {
        guard let cell = cell(of: site.before) else {
            throw site.fail("it pools \(site.before) to \(height) × \(width)")
        }
        if cell == 1 { return site.x }
        return graph.emit(
            "AveragePool", at: site,
            attributes: ["kernel_shape": .extent(cell), "strides": .extent(cell)])
    }

    /// A pool whose windows tile the map; its input where that has the size already.
    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        guard let cell = cell(of: site.before) else {
            throw site.unsupported("pooling \(site.before) to \(height) × \(width)")
        }
        if cell == 1 { return site.x }
        return model.layer(
            "AveragePooling2D", at: site,
            config: ["pool_size": .extent(cell), "strides": .extent(cell), "padding": "valid"])
    }

    /// The size of the cells, where all have the same.
    private func cell(of map: Shape) -> Extent? {
        guard map[2] % height == 0, map[3] % width == 0 else { return nil }
        return Extent(map[2] / height, map[3] / width)
    }
}

extension ONNXGraph {
    /// Adds a pooling over the whole map, flattened unless it `keepsDimensions`.
    fileprivate mutating func pool(
        _ type: String, at site: ONNXSite, keepsDimensions: Bool
    ) -> String {
        guard !keepsDimensions else { return emit(type, at: site) }
        let map = emit(type, name: site.name + ".map", inputs: [site.x])
        return emit("Flatten", name: site.name, inputs: [map], attributes: ["axis": 1])
    }
}

extension ONNXReader {
    /// The map that a reduction over its rows and columns reads, and whether axes of 1 stay.
    fileprivate func reduction(_ node: ONNXNode) throws -> (map: Int, keepsDimensions: Bool)? {
        guard case .node(let x) = try node.value(), builder.shapes[x].rank == 4,
            let axes = try node.integers("axes", orAt: 1), axes.count == 2,
            Set(axes.map { $0 < 0 ? $0 + 4 : $0 }) == [2, 3]
        else { return nil }
        return (x, node.integer("keepdims", or: 1) == 1)
    }
}

extension KerasCall {
    /// Whether its axes are the rows and columns of a map.
    fileprivate var isOverMap: Bool { shape.rank == 4 && axes().map(Set.init) == [1, 2] }
}
