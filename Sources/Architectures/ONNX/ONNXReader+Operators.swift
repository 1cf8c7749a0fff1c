// What each ONNX operator is in a graph.

import GraftNetworks
internal import GraftSchemas
import GraftTensors

extension ONNXReader {
    /// Adds a node of the model.
    mutating func add(_ node: Onnx_NodeProto) throws {
        guard node.domain.isEmpty || node.domain == "ai.onnx" else {
            throw fail(node, "graft does not know the operators of `\(node.domain)`")
        }
        if try fold(node) { return }
        switch node.opType {
        case "Constant":
            // The file's reader has found it, wherever its numbers lie.
            if let name = node.output.first, values[name] != nil { return }
            try result(node, .constant(try constant(node)))
        case "Identity", "Dropout", "Cast":
            guard let input = node.input.first, let value = values[input] else {
                throw fail(node, "its input is missing")
            }
            try result(node, value)
        case "Conv": try convolution(node)
        case "ConvTranspose": try transposedConvolution(node)
        case "Gemm", "MatMul": try matrix(node)
        case "BatchNormalization": try normalization(node)
        case "LayerNormalization": try layerNormalization(node)
        case "Relu": try activation(node, .relu)
        case "Sigmoid": try activation(node, .sigmoid)
        case "Tanh": try activation(node, .tanh)
        case "HardSwish": try activation(node, .hardSwish)
        case "Exp": try activation(node, .exponential)
        case "Softplus": try activation(node, .softplus)
        case "Mish": try activation(node, .mish)
        case "Gelu": try activation(node, text(node, "approximate") == "tanh" ? .geluTanh : .gelu)
        case "Elu", "Selu", "HardSigmoid", "LeakyRelu", "PRelu", "Clip": try bend(node)
        case "MaxPool", "AveragePool":
            let x = try map(node)
            let window = try self.window(node, integers(node, "kernel_shape") ?? [])
            let counts = integer(node, "count_include_pad", 0) == 1
            let op: Op =
                node.opType == "MaxPool"
                ? .maxPool(window) : .averagePool(window, countsPadding: counts)
            try result(node, .node(try emit(node, op, [x])))
        case "GlobalAveragePool":
            let x = try map(node)
            try result(node, .node(try emit(node, .globalAveragePool(keepsDimensions: true), [x])))
        case "GlobalMaxPool":
            let x = try map(node)
            try result(node, .node(try emit(node, .globalMaxPool(keepsDimensions: true), [x])))
        case "ReduceMean":
            try reduce(node, { .globalAveragePool(keepsDimensions: $0) })
        case "ReduceMax":
            try reduce(node, { .globalMaxPool(keepsDimensions: $0) })
        case "Add", "Sub", "Mul", "Div": try arithmetic(node)
        case "Sum", "Mean":
            let inputs = try node.input.indices.map { try map(node, $0) }
            guard let first = inputs.first else { throw fail(node, "it reads nothing") }
            var sum = first
            if inputs.count > 1 {
                sum = try emit(
                    node, .add, inputs, suffix: node.opType == "Sum" ? "" : ".sum")
            }
            guard node.opType == "Mean", inputs.count > 1 else {
                return try result(node, .node(sum))
            }
            try affine(node, sum, [1 / Float(inputs.count)], [0])
        case "Concat":
            let inputs = try node.input.indices.map { try map(node, $0) }
            guard let first = inputs.first,
                [1, 1 - builder.shapes[first].rank].contains(integer(node, "axis", 1))
            else { throw fail(node, "it joins along an axis other than the channels'") }
            try result(
                node, .node(inputs.count == 1 ? first : try emit(node, .concatenate, inputs)))
        case "Softmax":
            let x = try map(node)
            let shape = builder.shapes[x]
            // Before opset 13 it was over all axes from this one on.
            let axis = integer(node, "axis", opset < 13 ? 1 : -1)
            guard [1, 1 - shape.rank].contains(axis),
                opset >= 13 || shape[1] == shape.count / shape[0]
            else { throw fail(node, "it is not over the channels") }
            try result(node, .node(try emit(node, .softmax, [x])))
        case "LpNormalization":
            let x = try map(node)
            guard integer(node, "p", 2) == 2,
                [1, 1 - builder.shapes[x].rank].contains(integer(node, "axis", -1))
            else { throw fail(node, "it is not of Euclidean length over the channels") }
            try result(node, .node(try emit(node, .unitNorm, [x])))
        case "Flatten": try flatten(node)
        case "Reshape", "Squeeze", "Unsqueeze", "Transpose": try rearrange(node)
        case "Pad":
            let x = try map(node)
            guard let pads = try integers(node, "pads") ?? integers(node, 1), pads.count == 8,
                pads[0] == 0, pads[1] == 0, pads[4] == 0, pads[5] == 0,
                (text(node, "mode") ?? "constant") == "constant"
            else { throw fail(node, "it pads other than around the map, with a constant") }
            let value = try tensor(node, 2)?.floats.first ?? number(node, "value", 0)
            let padding = Padding(top: pads[2], left: pads[3], bottom: pads[6], right: pads[7])
            try result(node, .node(try emit(node, .pad(padding, value: value), [x])))
        case "Slice":
            try slice(node)
        case "Split": try split(node)
        case "Resize", "Upsample": try resize(node)
        default: throw fail(node, "graft does not know the operator `\(node.opType)`")
        }
    }

    private mutating func activation(_ node: Onnx_NodeProto, _ activation: Activation) throws {
        let x = try map(node)
        try result(node, .node(try emit(node, .activation(activation), [x])))
    }

    /// The numbers of a `Constant`, in whichever of its attributes.
    private func constant(_ node: Onnx_NodeProto) throws -> Tensor {
        for attribute in node.attribute {
            switch attribute.name {
            case "value" where attribute.hasT: return try attribute.t.tensorOrFailure(self, node)
            case "value_float": return Tensor([attribute.f], shape: [])
            case "value_floats":
                return Tensor(attribute.floats, shape: [attribute.floats.count])
            case "value_int": return Tensor(.i64, [], storage: Storage([attribute.i]))
            case "value_ints":
                return Tensor(
                    .i64, [attribute.ints.count], storage: Storage(attribute.ints))
            default: continue
            }
        }
        throw fail(node, "its constant is no tensor")
    }

    /// Non-linearities with constants of their own.
    private mutating func bend(_ node: Onnx_NodeProto) throws {
        let x = try map(node)
        let name = name(node)
        let value: Int
        switch node.opType {
        case "Elu": value = try builder.elu(name, x, below: number(node, "alpha", 1), above: 1)
        case "Selu":
            let gamma = number(node, "gamma", 1.050701)
            value = try builder.elu(
                name, x, below: gamma * number(node, "alpha", 1.6732632), above: gamma)
        case "HardSigmoid":
            let (alpha, beta) = (number(node, "alpha", 0.2), number(node, "beta", 0.5))
            if abs(alpha - 1.0 / 6) < 1e-6, beta == 0.5 {
                return try activation(node, .hardSigmoid)
            }
            let sloped = try emit(
                node, .affine(scale: [alpha], shift: [beta]), [x], suffix: ".sloped")
            value = try builder.clipped(name, sloped, from: 0, to: 1)
        case "LeakyRelu":
            let alpha = number(node, "alpha", 0.01)
            value = try builder.leaky(name, x, abs(alpha - 0.01) < 1e-7 ? 0.01 : alpha)
        case "PRelu":
            guard let slopes = try tensor(node, 1) else { throw fail(node, "it has no slopes") }
            if slopes.count == 1 {
                value = try builder.leaky(name, x, slopes.floats[0])
                break
            }
            // Before opset 7 a list was one for each channel.
            if opset >= 7 || slopes.shape != [builder.channels(of: x)] {
                _ = try constants(node, slopes, x)
            }
            let found = try builder.parametric(name, x)
            try bind(node, [(node.input[1], slopes)], to: found.slopes)
            value = found.value
        default:
            let low = try tensor(node, 1)?.floats.first ?? number(node, "min", -.infinity)
            let high = try tensor(node, 2)?.floats.first ?? number(node, "max", .infinity)
            // Exporters write the ends of a type's range where there is no bound.
            let limit = Float.greatestFiniteMagnitude
            guard low < high else { throw fail(node, "it clips to \(low)…\(high)") }
            value = try builder.clipped(
                name, x, from: low <= -limit ? -.infinity : low,
                to: high >= limit ? .infinity : high)
        }
        try result(node, .node(value))
    }

    /// A mean or maximum over the map.
    private mutating func reduce(_ node: Onnx_NodeProto, _ op: (Bool) -> Op) throws {
        let x = try map(node)
        let axes = try integers(node, "axes") ?? integers(node, 1)
        guard let axes, builder.shapes[x].rank == 4,
            Set(axes.map { $0 < 0 ? $0 + 4 : $0 }) == [2, 3], axes.count == 2
        else { throw fail(node, "it is over other axes than those of the map") }
        try result(node, .node(try emit(node, op(integer(node, "keepdims", 1) == 1), [x])))
    }

    /// Some channels, or a part of the map.
    private mutating func slice(_ node: Onnx_NodeProto) throws {
        var x = try map(node)
        let shape = builder.shapes[x]
        var crop = Padding.zero
        for (axis, range) in try cuts(node, shape) where range != 0..<shape[axis] {
            guard !range.isEmpty else { throw fail(node, "it cuts out nothing") }
            switch axis {
            case 1:
                x = try emit(
                    node, .slice(start: range.lowerBound, count: range.count), [x],
                    suffix: ".channels")
            case 2:
                (crop.top, crop.bottom) = (-range.lowerBound, range.upperBound - shape[2])
            case 3:
                (crop.left, crop.right) = (-range.lowerBound, range.upperBound - shape[3])
            default: throw fail(node, "it cuts the batch")
            }
        }
        if crop != .zero { x = try emit(node, .pad(crop, value: 0), [x]) }
        try result(node, .node(x))
    }

    /// The channels in parts.
    private mutating func split(_ node: Onnx_NodeProto) throws {
        let x = try map(node)
        let shape = builder.shapes[x]
        guard [1, 1 - shape.rank].contains(integer(node, "axis", 0)), !node.output.isEmpty else {
            throw fail(node, "it splits along an axis other than the channels'")
        }
        // Equal parts, the last one smaller if need be.
        let usual = (shape[1] + node.output.count - 1) / node.output.count
        let sizes =
            try integers(node, "split") ?? integers(node, 1)
            ?? node.output.indices.map { max(0, min(usual, shape[1] - $0 * usual)) }
        guard sizes.count == node.output.count, sizes.allSatisfy({ (1...shape[1]).contains($0) }),
            sizes.reduce(0, +) == shape[1]
        else { throw fail(node, "its parts \(sizes) do not make \(shape[1]) channels") }
        var start = 0
        for (index, (name, size)) in zip(node.output, sizes).enumerated() {
            let part = try emit(
                node, .slice(start: start, count: size), [x], suffix: ".part\(index)")
            values[name] = .node(part)
            start += size
        }
    }

    private func window(_ node: Onnx_NodeProto, _ kernel: [Int]) throws -> Window {
        let strides = integers(node, "strides") ?? [1, 1]
        let dilations = integers(node, "dilations") ?? [1, 1]
        let pads = integers(node, "pads") ?? [0, 0, 0, 0]
        guard kernel.count == 2, strides.count == 2, dilations.count == 2, pads.count == 4 else {
            throw fail(node, "its window is not two-dimensional")
        }
        let padding: WindowPadding
        switch text(node, "auto_pad") ?? "NOTSET" {
        case "NOTSET", "":
            padding = .explicit(
                Padding(top: pads[0], left: pads[1], bottom: pads[2], right: pads[3]))
        case "VALID": padding = .valid
        case "SAME_UPPER": padding = .same
        case let other: throw fail(node, "its padding is `\(other)`")
        }
        return Window(
            kernel: Extent(kernel[0], kernel[1]), stride: Extent(strides[0], strides[1]),
            dilation: Extent(dilations[0], dilations[1]), padding: padding,
            roundsUp: integer(node, "ceil_mode", 0) == 1)
    }

    private mutating func convolution(_ node: Onnx_NodeProto) throws {
        let x = try map(node)
        guard let kernel = try tensor(node, 1), kernel.shape.rank == 4 else {
            throw fail(node, "its kernel is not two-dimensional")
        }
        let bias = try tensor(node, 2)
        let window = try window(node, Array(kernel.shape.dimensions[2...]))
        _ = try emit(
            node,
            .conv2d(
                outputs: kernel.shape[0], window: window, groups: integer(node, "group", 1),
                bias: bias != nil), [x])
        try bind(node, [(node.input[1], kernel)] + (bias.map { [(node.input[2], $0)] } ?? []))
        try result(node, .node(builder.last))
    }

    private mutating func transposedConvolution(_ node: Onnx_NodeProto) throws {
        let x = try map(node)
        guard let kernel = try tensor(node, 1), kernel.shape.rank == 4,
            attribute(node, "output_shape") == nil
        else {
            throw fail(node, "its kernel is not two-dimensional, or its output's shape is given")
        }
        let bias = try tensor(node, 2)
        let window = try window(node, Array(kernel.shape.dimensions[2...]))
        let extra = integers(node, "output_padding") ?? [0, 0]
        let groups = integer(node, "group", 1)
        let (outputs, overflow) = kernel.shape[1].multipliedReportingOverflow(by: groups)
        guard case .explicit = window.padding, extra.count == 2, !overflow else {
            throw fail(node, "its padding is `\(text(node, "auto_pad") ?? "")`")
        }
        _ = try emit(
            node,
            .convTranspose2d(
                outputs: outputs, window: window, outputPadding: Extent(extra[0], extra[1]),
                groups: groups, bias: bias != nil), [x])
        try bind(node, [(node.input[1], kernel)] + (bias.map { [(node.input[2], $0)] } ?? []))
        try result(node, .node(builder.last))
    }

    private mutating func matrix(_ node: Onnx_NodeProto) throws {
        let x = try map(node)
        guard var matrix = try tensor(node, 1), matrix.shape.rank == 2,
            builder.shapes[x].rank == 2, integer(node, "transA", 0) == 0,
            number(node, "alpha", 1) == 1, number(node, "beta", 1) == 1
        else { throw fail(node, "it is no linear layer over vectors") }
        if node.opType == "MatMul" || integer(node, "transB", 0) == 0 {
            matrix = matrix.permuted([1, 0])
        }
        let bias = try tensor(node, 2)
        _ = try emit(node, .linear(outputs: matrix.shape[0], bias: bias != nil), [x])
        try bind(node, [(node.input[1], matrix)] + (bias.map { [(node.input[2], $0)] } ?? []))
        try result(node, .node(builder.last))
    }

    private mutating func normalization(_ node: Onnx_NodeProto) throws {
        let x = try map(node)
        let weights = try (1...4).map { index in
            guard let tensor = try tensor(node, index) else { throw fail(node, "it lacks weights") }
            return (node.input[index], tensor)
        }
        let momentum = 1 - number(node, "momentum", 0.9)
        _ = try emit(
            node, .batchNorm(epsilon: number(node, "epsilon", 1e-5), momentum: momentum), [x])
        try bind(node, weights)
        try result(node, .node(builder.last))
    }

    private mutating func layerNormalization(_ node: Onnx_NodeProto) throws {
        guard let input = node.input.first, let value = values[input],
            let gamma = try tensor(node, 1), let beta = try tensor(node, 2)
        else { throw fail(node, "it lacks weights") }
        let x: Int
        switch value {
        case .channelsLast(let index): x = index
        case .node(let index) where builder.shapes[index].rank == 2: x = index
        default: throw fail(node, "it is not over the channels")
        }
        guard [-1, builder.shapes[x].rank - 1].contains(integer(node, "axis", -1)) else {
            throw fail(node, "it is not over the channels")
        }
        let y = try emit(node, .layerNorm(epsilon: number(node, "epsilon", 1e-5)), [x])
        try bind(node, [(node.input[1], gamma), (node.input[2], beta)])
        if case .channelsLast = value {
            try result(node, .channelsLast(y))
        } else {
            try result(node, .node(y))
        }
    }

    /// Values with values, or a value with constants: one, or one a channel.
    private mutating func arithmetic(_ node: Onnx_NodeProto) throws {
        guard node.input.count == 2, let left = values[node.input[0]],
            let right = values[node.input[1]]
        else { throw fail(node, "its input is missing") }
        let op = node.opType
        switch (left, right) {
        case (.node(let a), .node(let b)):
            switch op {
            case "Add", "Mul":
                // x · sigmoid(x) is one operation.
                for (x, gate) in [(a, b), (b, a)] {
                    if op == "Mul", builder.nodes[gate].op == .activation(.sigmoid),
                        builder.nodes[gate].inputs == [x]
                    {
                        return try result(node, .node(try emit(node, .activation(.swish), [x])))
                    }
                }
                try result(node, .node(try emit(node, op == "Add" ? .add : .multiply, [a, b])))
            case "Sub":
                let negative = try emit(
                    node, .affine(scale: [-1], shift: [0]), [b], suffix: ".negative")
                try result(node, .node(try emit(node, .add, [a, negative])))
            default: throw fail(node, "it divides one value by another")
            }
        case (.node(let x), .constant(let tensor)):
            let values = try constants(node, tensor, x)
            switch op {
            case "Add": try affine(node, x, [1], values)
            case "Sub": try affine(node, x, [1], values.map { -$0 })
            case "Mul": try affine(node, x, values, [0])
            default: try affine(node, x, values.map { 1 / $0 }, [0])
            }
        case (.constant(let tensor), .node(let x)):
            let values = try constants(node, tensor, x)
            switch op {
            case "Add": try affine(node, x, [1], values)
            case "Sub": try affine(node, x, [-1], values)
            case "Mul": try affine(node, x, values, [0])
            default: throw fail(node, "it divides a constant by a value")
            }
        default: throw fail(node, "graft cannot combine these values")
        }
    }

    private mutating func affine(
        _ node: Onnx_NodeProto, _ x: Int, _ scale: [Float], _ shift: [Float]
    ) throws {
        try result(node, .node(try emit(node, .affine(scale: scale, shift: shift), [x])))
    }

    /// The constants of a broadcast over everything or by channel.
    private func constants(_ node: Onnx_NodeProto, _ tensor: Tensor, _ x: Int) throws -> [Float] {
        let shape = builder.shapes[x]
        if tensor.count == 1 { return tensor.floats }
        let kept = tensor.shape.dimensions
        let trailing = shape.rank - 2
        guard tensor.count == shape[1], kept.count >= trailing + 1,
            kept.suffix(trailing).allSatisfy({ $0 == 1 }),
            kept[kept.count - trailing - 1] == shape[1]
        else { throw fail(node, "its constants \(tensor.shape) are not one a channel of \(shape)") }
        return tensor.floats
    }
}
