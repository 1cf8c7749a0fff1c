// Transposed convolutions in ONNX and Keras.

import GraftNetworks
import GraftTensors

extension Op.ConvTranspose2d: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) throws -> String {
        guard case .explicit(let padding) = window.padding else {
            throw site.fail("its padding is not explicit")
        }
        return graph.emit(
            "ConvTranspose", at: site, more: try graph.weights(at: site),
            attributes: [
                "kernel_shape": .extent(window.kernel), "strides": .extent(window.stride),
                "dilations": .extent(window.dilation), "pads": .padding(padding),
                "output_padding": .extent(outputPadding), "group": .integer(groups),
            ])
    }

    /// Keras cuts the border off by "valid" and a layer of its own where the paper's padding is
    /// another.
    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        guard groups == 1, case .explicit(let padding) = window.padding else {
            throw site.unsupported("a transposed convolution in groups")
        }
        var whole = site.after
        whole[2] += padding.top + padding.bottom
        whole[3] += padding.left + padding.right
        var config: [String: JSONTree] = [
            "filters": .integer(outputs), "kernel_size": .extent(window.kernel),
            "strides": .extent(window.stride), "padding": "valid",
            "dilation_rate": .extent(window.dilation), "use_bias": .bool(bias),
            "activation": "linear", "data_format": "channels_last",
        ]
        // Without the setting, Keras widens the output of kernels that are smaller than the step.
        func span(_ axis: KeyPath<Extent, Int>) -> Int {
            window.dilation[keyPath: axis] * (window.kernel[keyPath: axis] - 1) + 1
        }
        let usual = Extent(
            max(window.stride.height - span(\.height), 0),
            max(window.stride.width - span(\.width), 0))
        if outputPadding != usual { config["output_padding"] = .extent(outputPadding) }
        let y = model.layer(
            "Conv2DTranspose", at: site, shape: whole, config: config,
            weights: try model.weights(of: site.node))
        guard whole != site.after else { return y }
        return model.layer(
            "Cropping2D", at: site, suffix: "_crop", reading: [y],
            config: ["cropping": .padding(padding)])
    }

    /// `ConvTranspose` over a map, with its window.
    static func readONNX(
        _ node: ONNXNode, window: Window, extra: [Int], in reader: inout ONNXReader
    ) throws -> Int {
        let x = try reader.operand(of: node)
        guard let kernel = try node.weight(at: 1) else { throw node.fail(.missing(.weights)) }
        let bias = try node.weight(at: 2)
        let groups = node.integer("group", or: 1)
        let (outputs, overflow) = kernel.tensor.shape[1].multipliedReportingOverflow(by: groups)
        guard !overflow else { throw node.fail(.excess(.channels, limit: Window.maximumExtent)) }
        let op = Op.convTranspose2d(
            outputs: outputs, window: window, outputPadding: Extent(extra[0], extra[1]),
            groups: groups, bias: bias != nil)
        return try reader.emit(
            op, for: node, reading: [x], weights: [kernel] + (bias.map { [$0] } ?? []))
    }

    /// Keras counts from the output's size (`conv_transpose` of its backends): what is cut off is the
    /// padding of the convolution that leads back, the odd row at the end.
    static func readKeras(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        let layer = call.layer
        guard try layer.integer("groups", or: 1) == 1 else { throw call.fail("it has groups") }
        let plain = try Window(layer)
        let extra = layer.config["output_padding"] ?? .null
        let given = extra == .null ? nil : try layer.extent("output_padding")
        func cut(_ axis: KeyPath<Extent, Int>) throws -> (before: Int, after: Int, extra: Int) {
            let kernel = plain.kernel[keyPath: axis]
            let step = plain.stride[keyPath: axis]
            let dilation = plain.dilation[keyPath: axis]
            guard [kernel, step, dilation].allSatisfy((1...65536).contains) else {
                throw call.fail(
                    "expected `kernel_size`, `strides` and `dilation_rate` of 1 to 65536, found "
                        + "\(kernel), \(step) and \(dilation)")
            }
            let span = dilation * (kernel - 1) + 1
            // The output's size less (input − 1) · step.
            let size =
                switch (plain.padding == .same, given?[keyPath: axis]) {
                case (true, nil): step
                case (true, let extra?): span - 2 * (span / 2) + extra
                case (false, nil): max(step, span)
                case (false, let extra?): span + extra
                }
            let rest = span - size
            return rest >= 0 ? (rest / 2, rest - rest / 2, 0) : (0, 0, -rest)
        }
        let vertical = try cut(\.height)
        let horizontal = try cut(\.width)
        let padding = Padding(
            top: vertical.before, left: horizontal.before, bottom: vertical.after,
            right: horizontal.after)
        let op = Op.convTranspose2d(
            outputs: try layer.integer("filters", or: 0),
            window: Window(
                kernel: plain.kernel, stride: plain.stride, dilation: plain.dilation,
                padding: .explicit(padding)),
            outputPadding: Extent(vertical.extra, horizontal.extra), groups: 1,
            bias: layer.flag("use_bias", or: true))
        return try reader.activated(call, reading: try reader.add(op, for: call))
    }
}
