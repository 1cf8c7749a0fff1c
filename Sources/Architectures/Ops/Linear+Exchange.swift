// Fully connected layers in ONNX and Keras.

import GraftNetworks
import GraftTensors

extension Op.Linear: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) throws -> String {
        let weights = try graph.weights(at: site)
        guard site.before.rank > 2, let matrix = weights.first else {
            return graph.emit("Gemm", at: site, more: weights, attributes: ["transB": 1])
        }
        // Gemm takes vectors only.
        let columns = graph.emit(
            "Transpose", name: site.name + ".columns", inputs: [matrix],
            attributes: ["perm": [1, 0]])
        let hasBias = weights.count > 1
        let product = graph.emit(
            "MatMul", name: hasBias ? site.name + ".product" : site.name,
            inputs: [site.x, columns])
        return hasBias
            ? graph.emit("Add", name: site.name, inputs: [product, weights[1]]) : product
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        guard model.kind(of: site.node) == .pixel else {
            return try model.dense(at: site, outputs: outputs, bias: bias)
        }
        // A convolution over a map of one pixel.
        let channels = site.before[1]
        let map = model.layer(
            "Reshape", at: site, suffix: "_map", shape: [1, channels, 1, 1],
            config: ["target_shape": .integers([1, 1, channels])])
        let weights = try model.weights(of: site.node).map { weight -> KerasWeight in
            let shape = weight.tensor.shape
            guard shape.rank == 2 else { return weight }
            return (weight.variable, weight.tensor.reshaped([1, 1, shape[0], shape[1]]))
        }
        let scores = model.layer(
            "Conv2D", at: site, reading: [map], shape: [1, outputs, 1, 1],
            config: [
                "filters": .integer(outputs), "kernel_size": [1, 1], "padding": "valid",
                "use_bias": .bool(bias), "activation": "linear", "data_format": "channels_last",
            ], weights: weights)
        return model.layer("Flatten", at: site, suffix: "_flatten", reading: [scores])
    }

    /// `Gemm` and `MatMul`.
    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        guard case .node(let x) = try node.value(),
            case .constant(let numbers) = try node.value(at: 1),
            numbers.shape.rank == 2, let matrix = try node.weight(at: 1),
            reader.builder.shapes[x].rank >= 2, node.integer("transA", or: 0) == 0,
            node.number("alpha", or: 1) == 1, node.number("beta", or: 1) == 1,
            try node.hasPlainBias
        else {
            return node.type == "Gemm"
                ? try Op.MatMul.readONNXGemm(node, in: &reader)
                : try Op.MatMul.readONNX(node, in: &reader)
        }
        let isTransposed = node.type == "Gemm" && node.integer("transB", or: 0) != 0
        let tensor = isTransposed ? matrix.tensor : matrix.tensor.permuted([1, 0])
        let bias = try node.weight(at: 2)
        return try reader.emit(
            .linear(outputs: tensor.shape[0], bias: bias != nil), for: node, reading: [x],
            weights: [ONNXWeight(name: matrix.name, tensor: tensor)] + (bias.map { [$0] } ?? []))
    }

    /// A `Dense` layer: over a map it is a 1 × 1 convolution.
    static func readKeras(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        let units = try call.layer.integer("units", or: 0)
        let bias = call.layer.flag("use_bias", or: true)
        let op: Op =
            call.shape.rank == 4
            ? .conv2d(outputs: units, window: Window(kernel: 1), groups: 1, bias: bias)
            : .linear(outputs: units, bias: bias)
        return try reader.activated(call, reading: try reader.add(op, for: call))
    }
}

extension ONNXNode {
    /// Whether what a `Gemm` adds is a constant by output, or nothing.
    fileprivate var hasPlainBias: Bool {
        get throws {
            guard inputs.indices.contains(2), let bias = inputs[2] else { return true }
            guard case .constant(let tensor) = bias else { return false }
            return tensor.shape.rank <= 1
        }
    }
}

extension KerasModel {
    /// Adds a `Dense` over vectors, or over the channels of each pixel of a map.
    mutating func dense(at site: KerasSite, outputs: Int, bias: Bool) throws -> Int {
        let weights = try site.node.parameters.map { parameter -> KerasWeight in
            let tensor = try tensor(parameter)
            if parameter.role == .bias { return ("bias", tensor) }
            let matrix = tensor.reshaped([tensor.shape[0], tensor.shape[1]])
            return ("kernel", matrix.permuted([1, 0]))
        }
        return layer(
            "Dense", at: site,
            config: [
                "units": .integer(outputs), "use_bias": .bool(bias), "activation": "linear",
            ], weights: weights)
    }
}
