// What each Keras layer is in a graph.

import GraftNetworks
import GraftTensors

extension KerasReader {
    /// Adds a layer under `name`; gives the node of its value.
    mutating func layer(_ layer: KerasLayerConfig, _ name: String, _ inputs: [Int]) throws -> Int {
        guard let x = inputs.first, inputs.count <= 1024 else {
            throw layer.fail("it reads nothing")
        }
        let shape = builder.shapes[x]
        try layer.requireChannelsLast()
        func add(_ op: Op, _ suffix: String = "", _ inputs: [Int]? = nil) throws -> Int {
            try builder.add(op, name: name + suffix, inputs: inputs ?? [x])
        }
        switch layer.kind {
        case "Conv2D", "Convolution2D":
            let filters = try layer.integer("filters", 0)
            let result = try add(
                .conv2d(
                    outputs: filters, window: try window(layer),
                    groups: try layer.integer("groups", 1),
                    bias: layer.flag("use_bias", true)))
            renames["\(name)/depthwise_kernel"] = "\(name)/kernel"
            return try activated(layer, name, result)
        case "DepthwiseConv2D":
            let (outputs, overflow) = shape[1].multipliedReportingOverflow(
                by: try layer.integer("depth_multiplier", 1))
            guard !overflow else { throw layer.fail("its `depth_multiplier` is too large") }
            let result = try add(
                .conv2d(
                    outputs: outputs, window: try window(layer), groups: shape[1],
                    bias: layer.flag("use_bias", true)))
            return try activated(layer, name, result)
        case "Conv2DTranspose", "Convolution2DTranspose":
            return try transposed(layer, name, x)
        case "SeparableConv2D", "SeparableConvolution2D":
            return try separable(layer, name, x, shape)
        case "Dense":
            let units = try layer.integer("units", 0)
            let bias = layer.flag("use_bias", true)
            let result =
                shape.rank == 4
                ? try add(
                    .conv2d(outputs: units, window: Window(kernel: 1), groups: 1, bias: bias))
                : try add(.linear(outputs: units, bias: bias))
            return try activated(layer, name, result)
        case "BatchNormalization":
            try layer.requireLastAxis(shape.rank)
            // Files that only number the variables do not say which of γ and β there is: β is usual.
            if !layer.flag("center", true) { spellings["\(name)/gamma"] = ["gamma", "beta"] }
            return try add(
                .batchNorm(
                    epsilon: Float(try layer.number("epsilon", 1e-3)),
                    momentum: Float(1 - (try layer.number("momentum", 0.99))),
                    scale: layer.flag("scale", true), shift: layer.flag("center", true)))
        case "LayerNormalization":
            try layer.requireLastAxis(shape.rank)
            guard layer.flag("scale", true), layer.flag("center", true) else {
                throw layer.fail("it has no scale or no offset")
            }
            return try add(.layerNorm(epsilon: Float(try layer.number("epsilon", 1e-3))))
        case "Activation":
            return try activated(layer, name, x, suffix: "")
        case "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax":
            return try rectifier(layer, name, x, shape)
        case "UnitNormalization":
            try layer.requireLastAxis(shape.rank)
            return try add(.unitNorm)
        case "MaxPooling2D", "MaxPool2D": return try add(.maxPool(try pool(layer)))
        case "AveragePooling2D", "AvgPool2D":
            return try add(.averagePool(try pool(layer), countsPadding: false))
        case "GlobalAveragePooling2D", "GlobalAvgPool2D":
            return try add(.globalAveragePool(keepsDimensions: layer.flag("keepdims", false)))
        case "GlobalMaxPooling2D", "GlobalMaxPool2D":
            return try add(.globalMaxPool(keepsDimensions: layer.flag("keepdims", false)))
        case "ZeroPadding2D": return try add(.pad(try layer.padding("padding"), value: 0))
        case "Cropping2D":
            let crop = try layer.padding("cropping")
            return try add(
                .pad(
                    Padding(
                        top: -crop.top, left: -crop.left, bottom: -crop.bottom, right: -crop.right),
                    value: 0))
        case "UpSampling2D":
            let size = try layer.extent("size", 2)
            let kind = layer.config["interpolation"]?.string ?? "nearest"
            guard kind == "nearest" || kind == "bilinear" else {
                throw layer.fail("its interpolation is `\(kind)`")
            }
            return try add(
                .upsample(height: size.height, width: size.width, bilinear: kind == "bilinear"))
        case "Add": return try inputs.count == 1 ? x : add(.add, "", inputs)
        case "Multiply": return try inputs.count == 1 ? x : add(.multiply, "", inputs)
        case "Average":
            let sum = try add(.add, "_sum", inputs)
            return try add(.affine(scale: [1 / Float(inputs.count)], shift: [0]), "", [sum])
        case "Subtract":
            guard inputs.count == 2 else { throw layer.fail("it reads \(inputs.count) values") }
            let negative = try add(.affine(scale: [-1], shift: [0]), "_negative", [inputs[1]])
            return try add(.add, "", [x, negative])
        case "Concatenate":
            try layer.requireLastAxis(shape.rank)
            return try inputs.count == 1 ? x : add(.concatenate, "", inputs)
        case "Flatten": return shape.rank == 4 ? try add(.flatten(channelsLast: true)) : x
        case "Reshape": return try reshape(layer, name, x, shape)
        case "Rescaling":
            return try add(
                .affine(
                    scale: try constants(layer, "scale", 1),
                    shift: try constants(layer, "offset", 0)
                ))
        case "Normalization": return try normalization(layer, name, x, shape)
        case "LayerScale": return try add(.channelScale)  // ConvNeXt's, in keras.applications.
        case "Dropout", "SpatialDropout2D", "AlphaDropout", "GaussianDropout":
            let rate = try layer.number("rate", 0.5)
            guard (0..<1).contains(rate) else { throw layer.fail("its rate is \(rate)") }
            return try add(.dropout(rate: Float(rate)))
        case "Identity", "GaussianNoise", "ActivityRegularization":
            return x
        case let kind where kind.hasPrefix("Random"):
            // Augmentation: nothing is done to images outside training.
            return x
        case "Resizing":
            guard !layer.flag("crop_to_aspect_ratio", false),
                !layer.flag("pad_to_aspect_ratio", false)
            else { throw layer.fail("it keeps the aspect ratio, which graft does not run") }
            let size = [try layer.integer("height", 0), try layer.integer("width", 0)]
            return try resized(
                x, layer, name, to: size,
                by: layer.config["interpolation"]?.string ?? "bilinear")
        case "CenterCrop": return try centerCropped(x, layer, name)
        case "Lambda":
            throw layer.fail("a `\(layer.kind)` layer is Python code, which is never run")
        default: throw layer.fail("graft does not know the layer `\(layer.kind)`")
        }
    }

    private func window(_ layer: KerasLayerConfig) throws -> Window {
        Window(
            kernel: try layer.extent("kernel_size", nil), stride: try layer.extent("strides", 1),
            dilation: try layer.extent("dilation_rate", 1), padding: try layer.border())
    }

    /// Keras counts from the output's size (`conv_transpose` of its backends): what is cut off is the
    /// padding of the convolution that leads back, the odd row at the end.
    private mutating func transposed(_ layer: KerasLayerConfig, _ name: String, _ x: Int) throws
        -> Int
    {
        guard try layer.integer("groups", 1) == 1 else { throw layer.fail("it has groups") }
        let plain = try window(layer)
        let extra = layer.config["output_padding"] ?? .null
        let given = extra == .null ? nil : try layer.extent("output_padding", nil)
        func cut(_ axis: KeyPath<Extent, Int>) throws -> (before: Int, after: Int, extra: Int) {
            let (kernel, step) = (plain.kernel[keyPath: axis], plain.stride[keyPath: axis])
            let dilation = plain.dilation[keyPath: axis]
            guard (1...65536).contains(kernel), (1...65536).contains(step),
                (1...65536).contains(dilation)
            else { throw layer.fail("its window is no window") }
            let span = dilation * (kernel - 1) + 1
            // The output's size less (input − 1) · step.
            var rest: Int
            switch (plain.padding == .same, given?[keyPath: axis]) {
            case (true, nil): rest = step
            case (true, let extra?): rest = span - 2 * (span / 2) + extra
            case (false, nil): rest = max(step, span)
            case (false, let extra?): rest = span + extra
            }
            rest = span - rest
            return rest >= 0 ? (rest / 2, rest - rest / 2, 0) : (0, 0, -rest)
        }
        let (vertical, horizontal) = (try cut(\.height), try cut(\.width))
        let padding = Padding(
            top: vertical.before, left: horizontal.before, bottom: vertical.after,
            right: horizontal.after)
        let result = try builder.add(
            .convTranspose2d(
                outputs: try layer.integer("filters", 0),
                window: Window(
                    kernel: plain.kernel, stride: plain.stride, dilation: plain.dilation,
                    padding: .explicit(padding)),
                outputPadding: Extent(vertical.extra, horizontal.extra), groups: 1,
                bias: layer.flag("use_bias", true)), name: name, inputs: [x])
        return try activated(layer, name, result)
    }

    private func pool(_ layer: KerasLayerConfig) throws -> Window {
        let size = try layer.extent("pool_size", 2)
        return Window(
            kernel: size, stride: try layer.extent("strides", size), padding: try layer.border())
    }

    private mutating func separable(
        _ layer: KerasLayerConfig, _ name: String, _ x: Int, _ shape: Shape
    ) throws -> Int {
        let (outputs, overflow) = shape[1].multipliedReportingOverflow(
            by: try layer.integer("depth_multiplier", 1))
        guard !overflow else { throw layer.fail("its `depth_multiplier` is too large") }
        let depthwise = try builder.add(
            .conv2d(outputs: outputs, window: try window(layer), groups: shape[1], bias: false),
            name: name + "_depthwise", inputs: [x])
        for variable in ["depthwise_kernel", "kernel"] {
            renames["\(name)_depthwise/\(variable)"] = "\(name)/depthwise_kernel"
        }
        let result = try builder.add(
            .conv2d(
                outputs: try layer.integer("filters", 0), window: Window(kernel: 1), groups: 1,
                bias: layer.flag("use_bias", true)), name: name, inputs: [depthwise])
        renames["\(name)/kernel"] = "\(name)/pointwise_kernel"
        return try activated(layer, name, result)
    }

    private mutating func reshape(
        _ layer: KerasLayerConfig, _ name: String, _ x: Int, _ shape: Shape
    ) throws -> Int {
        guard var sizes = layer.config["target_shape"]?.array?.map({ $0.integer ?? 0 }),
            let total = Shape(Array(shape.dimensions.dropFirst())).checkedCount
        else { throw layer.fail("its `target_shape` is no shape") }
        if let open = sizes.firstIndex(of: -1) {
            sizes[open] = 1
            guard let known = Shape(sizes).checkedCount, known > 0, total % known == 0 else {
                throw layer.fail("its `target_shape` does not fit \(shape)")
            }
            sizes[open] = total / known
        }
        guard Shape(sizes).checkedCount == total, sizes.count == 1 || sizes.count == 3 else {
            throw layer.fail("cannot give \(shape) the shape \(Shape(sizes))")
        }
        var vector = x
        if shape.rank == 4 {
            let isLast = sizes.count == 1
            vector = try builder.add(
                .flatten(channelsLast: true), name: isLast ? name : name + "_flat", inputs: [x])
        }
        guard sizes.count == 3 else { return vector }
        return try builder.add(
            .reshape(channels: sizes[2], height: sizes[0], width: sizes[1], channelsLast: true),
            name: name, inputs: [vector])
    }

    private func constants(_ layer: KerasLayerConfig, _ key: String, _ usual: Float) throws
        -> [Float]
    {
        let value = layer.config[key] ?? .null
        if value == .null { return [usual] }
        if let number = value.number { return [Float(number)] }
        let flat = Self.flat(value, depth: 0)
        guard let flat, !flat.isEmpty else { throw layer.fail("its `\(key)` is no number") }
        return flat
    }

    static func flat(_ value: JSONTree, depth: Int) -> [Float]? {
        if let number = value.number { return [Float(number)] }
        guard depth < 8, let values = value.array ?? value["config"]?["value"]?.array else {
            return nil
        }
        var result: [Float] = []
        for value in values {
            guard let part = flat(value, depth: depth + 1) else { return nil }
            result += part
        }
        return result
    }

    private mutating func normalization(
        _ layer: KerasLayerConfig, _ name: String, _ x: Int, _ shape: Shape
    ) throws -> Int {
        try layer.requireLastAxis(shape.rank)
        guard !layer.flag("invert", false) else { throw layer.fail("it is inverted") }
        func setting(_ key: String) -> [Float]? {
            layer.config[key].flatMap { Self.flat($0, depth: 0) }
        }
        guard
            let mean = try setting("mean") ?? constant("mean", of: layer, name),
            let variance = try setting("variance") ?? constant("variance", of: layer, name),
            mean.count == variance.count
        else {
            throw layer.fail("its mean and variance are neither in the file nor in its settings")
        }
        // Keras divides by the deviation, and by 1e-7 where that is smaller.
        let scale = variance.map { 1 / max($0.squareRoot(), 1e-7) }
        return try builder.add(
            .affine(scale: scale, shift: zip(mean, scale).map { -$0 * $1 }), name: name, inputs: [x]
        )
    }
}
