// Scales and shifts by channel in ONNX and Keras.

import GraftNetworks
import GraftTensors

extension Op.Affine: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        func shape(_ values: [Float]) -> [Int] { values.count == 1 ? [] : site.channelShape }
        let factor = graph.constant(scale, shape: shape(scale), name: site.name + ".scale")
        let offset = graph.constant(shift, shape: shape(shift), name: site.name + ".shift")
        let scaled = graph.emit("Mul", name: site.name + ".scaled", inputs: [site.x, factor])
        return graph.emit("Add", name: site.name, inputs: [scaled, offset])
    }

    func write(at site: KerasSite, to model: inout KerasModel) -> Int {
        func constants(_ values: [Float]) -> JSONTree {
            let numbers = values.map { JSONTree.number(Double($0)) }
            return numbers.count == 1 ? numbers[0] : .array(numbers)
        }
        return model.layer(
            "Rescaling", at: site,
            config: ["scale": constants(scale), "offset": constants(shift)])
    }

    /// `Div` by constants.
    static func readONNXDivision(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        switch try reader.operands(of: node) {
        case .constants(let x, let values, comeFirst: false):
            try reader.emit(
                .affine(scale: values.map { 1 / $0 }, shift: [0]), for: node, reading: [x])
        case .constants:
            try reader.emit(
                .binary(.divide), for: node, reading: try reader.operands(of: node, count: 2))
        case .values(let a, let b):
            try reader.emit(.binary(.divide), for: node, reading: [a, b])
        }
    }

    /// `Rescaling`.
    static func readKeras(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        func constants(_ key: String, or usual: Float) throws -> [Float] {
            let value = call.layer.config[key] ?? .null
            if value == .null { return [usual] }
            if let number = value.number { return [Float(number)] }
            guard let flat = value.floats(), !flat.isEmpty else {
                throw call.fail("its `\(key)` must be numbers")
            }
            return flat
        }
        let op = Op.affine(
            scale: try constants("scale", or: 1), shift: try constants("offset", or: 0))
        return try reader.add(op, for: call)
    }

    /// `Normalization` with a mean and a variance that are known.
    static func readKerasNormalization(
        _ call: KerasCall, in reader: inout KerasReader
    ) throws -> Int {
        try call.requireLastAxis()
        guard !call.layer.flag("invert", or: false) else { throw call.fail("it is inverted") }
        func setting(_ key: String) -> [Float]? { call.layer.config[key].flatMap { $0.floats() } }
        guard let mean = try setting("mean") ?? reader.constant("mean", of: call),
            let variance = try setting("variance") ?? reader.constant("variance", of: call),
            mean.count == variance.count
        else {
            throw call.fail("its mean and variance are neither in the file nor in its settings")
        }
        // Keras divides by the deviation, and by 1e-7 where that is smaller.
        let scale = variance.map { 1 / max($0.squareRoot(), 1e-7) }
        return try reader.add(
            .affine(scale: scale, shift: zip(mean, scale).map { -$0 * $1 }), for: call)
    }

    /// The functions `negative` and `neg`.
    static func readKerasNegative(_ call: KerasCall, in reader: inout KerasReader) throws -> Int? {
        try reader.add(.affine(scale: [-1], shift: [0]), for: call)
    }

    /// The function `cast` to a type of numbers that stay what they are.
    static func readKerasCast(_ call: KerasCall, in reader: inout KerasReader) throws -> Int? {
        let type = call.setting("dtype")
        let text = type?.string ?? type?["config"]?["name"]?.string ?? "float32"
        guard text.contains("float") else {
            throw call.fail("it converts to `\(text)`, which changes numbers")
        }
        return call.x
    }
}

extension Op.ChannelScale: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) throws -> String {
        let gamma = try graph.weight(site.node.parameters[0])
        let shape = graph.constant(site.channelShape, name: site.name + ".shape")
        let factor = graph.emit("Reshape", name: site.name + ".factor", inputs: [gamma, shape])
        return graph.emit("Mul", name: site.name, inputs: [site.x, factor])
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        let shape = site.after
        guard shape.rank == 4, let parameter = site.node.parameters.first else {
            throw site.unsupported("a scale of vectors")
        }
        let gamma = try model.tensor(parameter)
        if model.kind(of: site.node) == .layerScale {
            return model.layer(
                "LayerScale", at: site,
                config: ["init_values": .number(1e-6), "projection_dim": .integer(shape[1])],
                weights: [("gamma", gamma)])
        }
        // A depthwise 1 × 1 convolution multiplies each channel.
        return model.layer(
            "DepthwiseConv2D", at: site,
            config: ["kernel_size": [1, 1], "use_bias": false, "padding": "valid"],
            weights: [("kernel", gamma.reshaped([1, 1, shape[1], 1]))])
    }

    /// `PRelu`: a leaky rectifier of one slope, or of a learned one for each channel.
    static func readONNXPRelu(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let x = try reader.operand(of: node)
        let name = reader.name(of: node)
        guard let slopes = try node.weight(at: 1) else { throw node.fail("it has no slopes") }
        if slopes.tensor.count == 1 {
            return try reader.builder.leaky(x, slope: slopes.tensor.floats[0], name: name)
        }
        // Before opset 7 a list was one for each channel.
        if node.opset >= 7 || slopes.tensor.shape != [reader.builder.channels(of: x)] {
            _ = try reader.constants(slopes.tensor, for: x, of: node)
        }
        let (value, index) = try reader.builder.parametric(x, name: name)
        try reader.bind([slopes], of: node, to: index)
        return value
    }

    /// `PReLU` of a learned slope for each channel.
    static func readKerasPReLU(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        let shared = call.layer.config["shared_axes"]?.array?.compactMap(\.integer) ?? []
        guard call.shape.rank == 2 || Set(shared) == [1, 2] else {
            throw call.fail("its slopes are not one for each channel: set `shared_axes=[1, 2]`")
        }
        let (value, slopes) = try reader.builder.parametric(call.x, name: call.name)
        if let parameter = reader.builder.nodes[slopes].parameters.first {
            reader.renames[parameter.name] = "\(call.name)/alpha"
        }
        return value
    }
}
