// Convolutions in ONNX and Keras.

import GraftNetworks
import GraftTensors

extension Op.Conv2d: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) throws -> String {
        graph.emit(
            "Conv", at: site, more: try graph.weights(at: site),
            attributes: window.onnxAttributes(at: site) + ["group": .integer(groups)])
    }

    /// One of several layers: a `Conv2D`, a `DepthwiseConv2D`, a `Dense` over the channels, or with
    /// the depthwise convolution before it a `SeparableConv2D`.
    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        let node = site.node
        if let first = node.inputs.first, model.pointwise(after: first) != nil {
            return try writeSeparable(depthwise: first, at: site, to: &model)
        }
        if model.kind(of: node) == .dense, groups == 1, window == Window(kernel: 1) {
            return try model.dense(at: site, outputs: outputs, bias: bias)
        }
        var (x, config) = model.windowed(window, over: site.before, at: site)
        config["use_bias"] = .bool(bias)
        if groups > 1, groups == site.before[1], model.kind(of: node) != .grouped {
            guard window.stride.height == window.stride.width else {
                throw site.unsupported("a depthwise convolution of unequal strides")
            }
            config["depth_multiplier"] = .integer(outputs / groups)
            return model.layer(
                "DepthwiseConv2D", at: site, reading: [x], config: config,
                weights: try model.weights(of: node, groups: groups))
        }
        config["filters"] = .integer(outputs)
        config["groups"] = .integer(groups)
        return model.layer(
            "Conv2D", at: site, reading: [x], config: config,
            weights: try model.weights(of: node))
    }

    /// Writes this pointwise convolution and the depthwise one before it.
    private func writeSeparable(
        depthwise index: Int, at site: KerasSite, to model: inout KerasModel
    ) throws -> Int {
        let half = model.graph.nodes[index]
        guard case .conv2d(let depthwise) = half.op, let source = half.inputs.first else {
            throw site.unsupported("half a separable convolution")
        }
        var (x, config) = model.windowed(depthwise.window, over: model.shapes[source], at: site)
        config["filters"] = .integer(outputs)
        config["depth_multiplier"] = .integer(depthwise.outputs / max(depthwise.groups, 1))
        config["use_bias"] = .bool(bias)
        let weights =
            try model.weights(of: half, groups: depthwise.groups) + model.weights(of: site.node)
        let names = ["depthwise_kernel", "pointwise_kernel", "bias"]
        return model.layer(
            "SeparableConv2D", at: site, reading: [x], config: config,
            weights: zip(names, weights).map { ($0, $1.tensor) })
    }

    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let x = try reader.operand(of: node)
        guard let kernel = try node.weight(at: 1), kernel.tensor.shape.rank == 4 else {
            throw node.fail("its kernel is not two-dimensional")
        }
        let bias = try node.weight(at: 2)
        let shape = kernel.tensor.shape
        let op = Op.conv2d(
            outputs: shape[0],
            window: try Window(node, kernel: Array(shape.dimensions[2...]), over: x, in: reader),
            groups: node.integer("group", or: 1), bias: bias != nil)
        return try reader.emit(
            op, for: node, reading: [x], weights: [kernel] + (bias.map { [$0] } ?? []))
    }

    static func readKeras(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        let op = Op.conv2d(
            outputs: try call.layer.integer("filters", or: 0), window: try Window(call.layer),
            groups: try call.layer.integer("groups", or: 1),
            bias: call.layer.flag("use_bias", or: true))
        let result = try reader.add(op, for: call)
        reader.renames["\(call.name)/depthwise_kernel"] = "\(call.name)/kernel"
        return try reader.activated(call, reading: result)
    }

    static func readKerasDepthwise(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        let op = Op.conv2d(
            outputs: try depthwiseOutputs(of: call), window: try Window(call.layer),
            groups: call.shape[1], bias: call.layer.flag("use_bias", or: true))
        return try reader.activated(call, reading: try reader.add(op, for: call))
    }

    static func readKerasSeparable(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        let name = call.name
        let first = Op.conv2d(
            outputs: try depthwiseOutputs(of: call), window: try Window(call.layer),
            groups: call.shape[1], bias: false)
        let depthwise = try reader.add(first, for: call, suffix: "_depthwise")
        for variable in ["depthwise_kernel", "kernel"] {
            reader.renames["\(name)_depthwise/\(variable)"] = "\(name)/depthwise_kernel"
        }
        let second = Op.conv2d(
            outputs: try call.layer.integer("filters", or: 0), window: Window(kernel: 1), groups: 1,
            bias: call.layer.flag("use_bias", or: true))
        let result = try reader.add(second, for: call, reading: [depthwise])
        reader.renames["\(name)/kernel"] = "\(name)/pointwise_kernel"
        return try reader.activated(call, reading: result)
    }

    private static func depthwiseOutputs(of call: KerasCall) throws -> Int {
        let multiplier = try call.layer.integer("depth_multiplier", or: 1)
        let (outputs, overflow) = call.shape[1].multipliedReportingOverflow(by: multiplier)
        guard !overflow else { throw call.fail("its `depth_multiplier` is too large") }
        return outputs
    }
}

/// Which of Keras' layers a node is, where several compute the same and their weights have other
/// shapes: a file is loaded by the publisher's code only if it has the publisher's layers.
enum KerasKind: Sendable {
    /// A depthwise convolution is a `Conv2D` in groups, its kernel (H, W, 1, C).
    case grouped
    /// A 1 × 1 convolution is a `Dense` over the channels of each pixel, its kernel (in, out).
    case dense
    /// A linear layer is a `Conv2D` over a map of one pixel, its kernel (1, 1, in, out).
    case pixel
    /// A channel scale is ConvNeXt's own layer, γ (C).
    case layerScale
}

extension KerasModel {
    /// The other half of a `SeparableConv2D` whose depthwise half is node `index`: both count their
    /// weights to one layer, and no other node reads what is between them.
    func pointwise(after index: Int) -> Int? {
        let node = graph.nodes[index]
        guard readers[index].count == 1, index != graph.output, let next = readers[index].first,
            let input = node.inputs.first,
            case .conv2d(let depthwise) = node.op, !depthwise.bias,
            depthwise.groups == shapes[input][1],
            case .conv2d(let pointwise) = graph.nodes[next].op,
            pointwise.window == Window(kernel: 1), pointwise.groups == 1,
            depthwise.window.stride.height == depthwise.window.stride.width,
            let layer = node.parameters.first?.layer,
            layer == graph.nodes[next].parameters.first?.layer
        else { return nil }
        return next
    }
}
