// Convolutions, pools, resizing and borders of ATen.

internal import GraftSchemas
import GraftTensors

extension ATenOperator {
    static let windows: [String: ATenOperator] = [
        "conv2d.default": .value(convolution),
        "conv2d.padding": .value(convolution),
        "conv1d.default": .value(convolution),
        "convolution.default": .value { call, reader in
            try call.flag("transposed")
                ? transposed(call, in: &reader) : convolution(call, in: &reader)
        },
        "conv_transpose2d.input": .value(transposed),
        "max_pool2d.default": .value(maximum),
        "max_pool2d_with_indices.default": .value(maximum),
        "avg_pool2d.default": .value { call, reader in
            guard !call.has("divisor_override") else {
                throw call.fail(.divisor)
            }
            let kernel = try call.pair("kernel_size", or: 1, in: reader)
            return reader.draft.emit(
                "AveragePool", name: call.path,
                inputs: [try reader.value(try call.tensor("self"), for: call)],
                attributes: try pool(call, kernel: kernel, in: reader) + [
                    "count_include_pad": .integer(
                        call.flag("count_include_pad", or: true) ? 1 : 0)
                ])
        },
        "adaptive_avg_pool2d.default": .value(adaptive),
        "_adaptive_avg_pool2d.default": .value(adaptive),
        "adaptive_max_pool2d.default": .value { call, reader in
            guard try call.pair("output_size", or: 1, in: reader) == [1, 1] else {
                throw call.fail(.adaptiveMaximum)
            }
            let x = try reader.value(try call.tensor("self"), for: call)
            return reader.draft.emit("GlobalMaxPool", name: call.path, inputs: [x])
        },
        "upsample_nearest2d.vec": .value {
            try resized("nearest", by: "asymmetric", of: $0, in: &$1)
        },
        "upsample_nearest2d.default": .value {
            try resized("nearest", by: "asymmetric", of: $0, in: &$1)
        },
        "upsample_bilinear2d.vec": .value {
            try resized("linear", by: "pytorch_half_pixel", of: $0, in: &$1)
        },
        "upsample_bilinear2d.default": .value {
            try resized("linear", by: "pytorch_half_pixel", of: $0, in: &$1)
        },
        "_upsample_bilinear2d_aa.vec": .value {
            try resized("linear", by: "half_pixel", antialiases: true, of: $0, in: &$1)
        },
        "upsample_bicubic2d.vec": .value {
            try resized("cubic", by: "pytorch_half_pixel", of: $0, in: &$1)
        },
        "_upsample_bicubic2d_aa.vec": .value {
            try resized("cubic", by: "half_pixel", antialiases: true, of: $0, in: &$1)
        },
        "upsample_linear1d.vec": .value {
            try resized("linear", by: "pytorch_half_pixel", of: $0, in: &$1)
        },
        "pad.default": .value { try padded($0, mode: $0.text("mode") ?? "constant", in: &$1) },
        "constant_pad_nd.default": .value { try padded($0, mode: "constant", in: &$1) },
        "reflection_pad2d.default": .value { try padded($0, mode: "reflect", in: &$1) },
        "replication_pad2d.default": .value { try padded($0, mode: "replicate", in: &$1) },
        "pixel_shuffle.default": .value { call, reader in
            let x = try reader.value(try call.tensor("self"), for: call)
            return reader.draft.emit(
                "DepthToSpace", name: call.path, inputs: [x],
                attributes: [
                    "blocksize": .integer(try call.integer("upscale_factor", in: reader) ?? 0),
                    "mode": "CRD",
                ])
        },
        "pixel_unshuffle.default": .value { call, reader in
            let x = try reader.value(try call.tensor("self"), for: call)
            return reader.draft.emit(
                "SpaceToDepth", name: call.path, inputs: [x],
                attributes: [
                    "blocksize": .integer(try call.integer("downscale_factor", in: reader) ?? 0),
                    "mode": "CRD",
                ])
        },
        "grid_sampler.default": .value(sampled),
        "grid_sampler_2d.default": .value(sampled),
    ]

    /// A convolution of maps, or of rows as maps of one row.
    private static func convolution(
        _ call: ATenCall, in reader: inout ATenReader
    ) throws -> String {
        let (name, kernel) = (try call.tensor("input"), try call.tensor("weight"))
        let (shape, sizes) = (
            try reader.shape(of: name, for: call), try reader.shape(of: kernel, for: call)
        )
        let isRow = shape.count == 3 && sizes.count == 3
        guard isRow || shape.count == 4 && sizes.count == 4 else {
            throw call.fail(.kernel(sizes, over: shape))
        }
        func amounts(_ name: String, or usual: Int) throws -> [Int] {
            let own = try call.integers(name, in: reader) ?? [usual]
            guard isRow else { return try call.pair(name, or: usual, in: reader) }
            guard own.count == 1 else { throw call.fail(.argument(name, own)) }
            return [usual, own[0]]
        }
        var x = try reader.value(name, for: call)
        var weight = try reader.value(kernel, for: call)
        if isRow {
            x = reader.view(
                x, from: shape, to: [shape[0], shape[1], 1, shape[2]], name: call.path + ".map")
            weight = reader.view(
                weight, from: sizes, to: [sizes[0], sizes[1], 1, sizes[2]],
                name: call.path + ".kernel")
        }
        let bias = try call.optionalTensor("bias").map { [try reader.value($0, for: call)] } ?? []
        var attributes: ONNXGraph.Attributes = [
            "strides": .integers(try amounts("stride", or: 1)),
            "dilations": .integers(try amounts("dilation", or: 1)),
            "group": .integer(try call.integer("groups", in: reader) ?? 1),
        ]
        switch call.text("padding") {
        case "valid": break
        case "same": attributes.append("SAME_UPPER", named: "auto_pad")
        case .some(let other): throw call.fail(.mode(other))
        case nil:
            let pads = try amounts("padding", or: 0)
            attributes.append(.integers(pads + pads), named: "pads")
        }
        let y = reader.draft.emit(
            "Conv", name: isRow ? call.path + ".rows" : call.path, inputs: [x, weight] + bias,
            attributes: attributes)
        guard isRow else { return y }
        let after = try reader.shape(ofResult: call)
        return reader.view(
            y, from: [after[0], after[1], 1, after[2]], to: after, name: call.path)
    }

    private static func transposed(
        _ call: ATenCall, in reader: inout ATenReader
    ) throws -> String {
        let inputs = try ["input", "weight"].map {
            try reader.value(try call.tensor($0), for: call)
        }
        let bias = try call.optionalTensor("bias").map { [try reader.value($0, for: call)] } ?? []
        let pads = try call.pair("padding", or: 0, in: reader)
        return reader.draft.emit(
            "ConvTranspose", name: call.path, inputs: inputs + bias,
            attributes: [
                "strides": .integers(try call.pair("stride", or: 1, in: reader)),
                "dilations": .integers(try call.pair("dilation", or: 1, in: reader)),
                "pads": .integers(pads + pads),
                "output_padding": .integers(try call.pair("output_padding", or: 0, in: reader)),
                "group": .integer(try call.integer("groups", in: reader) ?? 1),
            ])
    }

    private static func pool(
        _ call: ATenCall, kernel: [Int], in reader: ATenReader
    ) throws -> ONNXGraph.Attributes {
        let own = try call.integers("stride", in: reader) ?? []
        let strides = try own.isEmpty ? kernel : call.pair("stride", or: 1, in: reader)
        let pads = try call.pair("padding", or: 0, in: reader)
        return [
            "kernel_shape": .integers(kernel), "strides": .integers(strides),
            "pads": .integers(pads + pads), "ceil_mode": .integer(call.flag("ceil_mode") ? 1 : 0),
        ]
    }

    private static func maximum(
        _ call: ATenCall, in reader: inout ATenReader
    ) throws -> String {
        let kernel = try call.pair("kernel_size", or: 1, in: reader)
        let dilations = try call.pair("dilation", or: 1, in: reader)
        let x = try reader.value(try call.tensor("self"), for: call)
        return reader.draft.emit(
            "MaxPool", name: call.path, inputs: [x],
            attributes: try pool(call, kernel: kernel, in: reader) + [
                "dilations": .integers(dilations)
            ])
    }

    /// Means of the parts of a map, which may be uneven: products with matrices of shares.
    private static func adaptive(
        _ call: ATenCall, in reader: inout ATenReader
    ) throws -> String {
        let name = try call.tensor("self")
        let shape = try reader.shape(of: name, for: call)
        let after = try reader.shape(ofResult: call)
        guard shape.count == 4, after.count == 4 else {
            throw call.fail(.noMap(shape))
        }
        let x = try reader.value(name, for: call)
        if after[2] == 1, after[3] == 1 {
            return reader.draft.emit("GlobalAveragePool", name: call.path, inputs: [x])
        }
        if after == shape { return x }
        if shape[2] % after[2] == 0, shape[3] % after[3] == 0 {
            let kernel = [shape[2] / after[2], shape[3] / after[3]]
            return reader.draft.emit(
                "AveragePool", name: call.path, inputs: [x],
                attributes: ["kernel_shape": .integers(kernel), "strides": .integers(kernel)])
        }
        func shares(_ parts: Int, of size: Int) -> [[Float]] {
            (0..<parts).map { part in
                let start = part * size / parts
                let end = ((part + 1) * size + parts - 1) / parts
                return (0..<size).map { start..<end ~= $0 ? 1 / Float(end - start) : 0 }
            }
        }
        guard shape[2] * after[2] + shape[3] * after[3] <= ONNXConstants.maximumCount else {
            throw call.fail(.large(shape))
        }
        let rows = reader.draft.constant(
            Tensor(shares(after[2], of: shape[2]).flatMap(\.self), shape: [after[2], shape[2]]),
            name: call.path + ".rows")
        let columns = shares(after[3], of: shape[3])
        let turned = (0..<shape[3]).flatMap { place in columns.map { $0[place] } }
        let right = reader.draft.constant(
            Tensor(turned, shape: [shape[3], after[3]]), name: call.path + ".columns")
        let half = reader.draft.emit("MatMul", name: call.path + ".half", inputs: [rows, x])
        return reader.draft.emit("MatMul", name: call.path, inputs: [half, right])
    }

    private static func resized(
        _ mode: String, by rule: String, antialiases: Bool = false, of call: ATenCall,
        in reader: inout ATenReader
    ) throws -> String {
        let name = call.optionalTensor("input") ?? call.optionalTensor("self")
        guard let name else { throw call.fail(.readsNothing) }
        let shape = try reader.shape(of: name, for: call)
        let after = try reader.shape(ofResult: call)
        let isRow = shape.count == 3
        guard isRow || shape.count == 4 else { throw call.fail(.noMap(shape)) }
        var x = try reader.value(name, for: call)
        if isRow {
            x = reader.view(
                x, from: shape, to: [shape[0], shape[1], 1, shape[2]], name: call.path + ".map")
        }
        let whole = isRow ? [after[0], after[1], 1, after[2]] : after
        let isAligned = call.flag("align_corners")
        var attributes: ONNXGraph.Attributes = [
            "mode": .text(mode),
            "coordinate_transformation_mode": .text(isAligned ? "align_corners" : rule),
            "nearest_mode": "floor", "cubic_coeff_a": .number(antialiases ? -0.5 : -0.75),
        ]
        if antialiases {
            attributes.append(1, named: "antialias")
            attributes.append(1, named: "exclude_outside")
        }
        var inputs = [x, ""]
        // Where factors are given, positions are those of the factors and not of the sizes.
        if let factors = call.numbers("scale_factors"), !isAligned {
            let values = [1, 1] + (isRow ? [1] : []) + factors.map { Float($0) }
            guard values.count == 4, values.allSatisfy({ $0.isFinite && $0 > 0 }) else {
                throw call.fail(.factors(factors))
            }
            inputs.append(
                reader.draft.constant(Tensor(values, shape: [4]), name: call.path + ".scales"))
        } else {
            inputs += ["", reader.draft.constant(whole, name: call.path + ".sizes")]
        }
        let y = reader.draft.emit(
            "Resize", name: isRow ? call.path + ".rows" : call.path, inputs: inputs,
            attributes: attributes)
        return isRow ? reader.view(y, from: whole, to: after, name: call.path) : y
    }

    /// A border: amounts for the last axis first.
    private static func padded(
        _ call: ATenCall, mode: String, in reader: inout ATenReader
    ) throws -> String {
        let name = call.optionalTensor("self") ?? call.optionalTensor("input")
        guard let name else { throw call.fail(.readsNothing) }
        let rank = try reader.shape(of: name, for: call).count
        let amounts =
            try call.integers("pad", in: reader) ?? call.integers("padding", in: reader) ?? []
        guard amounts.count % 2 == 0, amounts.count <= 2 * rank else {
            throw call.fail(.amounts(amounts, rank: rank))
        }
        let modes = [
            "constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap",
        ]
        guard let own = modes[mode] else { throw call.fail(.mode(mode)) }
        var (before, after) = ([Int](repeating: 0, count: rank), [Int](repeating: 0, count: rank))
        for index in 0..<(amounts.count / 2) {
            before[rank - 1 - index] = amounts[2 * index]
            after[rank - 1 - index] = amounts[2 * index + 1]
        }
        let x = try reader.value(name, for: call)
        let pads = reader.draft.constant(before + after, name: call.path + ".pads")
        let value = reader.draft.constant(
            Float(call.number("value") ?? 0), name: call.path + ".value")
        return reader.draft.emit(
            "Pad", name: call.path, inputs: own == "constant" ? [x, pads, value] : [x, pads],
            attributes: ["mode": .text(own)])
    }

    private static func sampled(
        _ call: ATenCall, in reader: inout ATenReader
    ) throws -> String {
        let modes = ["linear", "nearest", "cubic"]
        let borders = ["zeros", "border", "reflection"]
        let mode = try call.integer("interpolation_mode", in: reader) ?? 0
        let border = try call.integer("padding_mode", in: reader) ?? 0
        guard modes.indices.contains(mode), borders.indices.contains(border) else {
            throw call.fail(.sampling(mode, border: border))
        }
        let inputs = try ["input", "grid"].map {
            try reader.value(try call.tensor($0), for: call)
        }
        return reader.draft.emit(
            "GridSample", name: call.path, inputs: inputs,
            attributes: [
                "mode": .text(modes[mode]), "padding_mode": .text(borders[border]),
                "align_corners": .integer(call.flag("align_corners") ? 1 : 0),
            ])
    }
}
