// Convolutions, products, pools and normalisations of TFLite.

internal import GraftSchemas
import GraftTensors

extension TFLiteOperator {
    /// The settings of a convolution.
    private static func window(
        _ call: TFLiteCall, groups: Int
    ) throws -> ONNXGraph.Attributes {
        let dilations = [call.integer("dilation_h"), call.integer("dilation_w")]
        guard dilations.allSatisfy((1...65536).contains) else {
            throw call.fail(.extents(dilations))
        }
        return [
            "strides": .integers(try call.strides()), "dilations": .integers(dilations),
            "auto_pad": try call.padding(), "group": .integer(groups),
        ]
    }

    /// The name of a bias, if the step has one.
    private static func bias(
        _ call: TFLiteCall, at index: Int = 2, in reader: inout TFLiteReader
    ) throws -> [String] {
        try call.optionalInput(index).map { [try reader.plain($0, for: call)] } ?? []
    }

    /// `CONV_2D`: its kernel is (outputs, H, W, inputs of a group).
    static func readConvolution(_ call: TFLiteCall, in reader: inout TFLiteReader) throws {
        let (map, kernel) = (try call.shape(ofInput: 0), try call.shape(ofInput: 1))
        guard map.count == 4, kernel.count == 4, kernel[3] > 0, map[3] % kernel[3] == 0 else {
            throw call.fail(.kernel(kernel, over: map))
        }
        let x = try reader.first(try call.input(), for: call)
        let weight = try reader.weight(try call.input(1), order: [0, 3, 1, 2], for: call)
        let y = reader.draft.emit(
            "Conv", name: call.name, inputs: [x, weight] + (try bias(call, in: &reader)),
            attributes: try window(call, groups: map[3] / kernel[3]))
        try reader.finish(y, isFirst: true, for: call)
    }

    /// `DEPTHWISE_CONV_2D`: its kernel is (1, H, W, outputs).
    static func readDepthwise(_ call: TFLiteCall, in reader: inout TFLiteReader) throws {
        let (map, kernel) = (try call.shape(ofInput: 0), try call.shape(ofInput: 1))
        guard map.count == 4, kernel.count == 4, kernel[0] == 1, map[3] > 0,
            kernel[3] % map[3] == 0
        else { throw call.fail(.kernel(kernel, over: map)) }
        let x = try reader.first(try call.input(), for: call)
        let weight = try reader.weight(try call.input(1), order: [3, 0, 1, 2], for: call)
        let y = reader.draft.emit(
            "Conv", name: call.name, inputs: [x, weight] + (try bias(call, in: &reader)),
            attributes: try window(call, groups: map[3]))
        try reader.finish(y, isFirst: true, for: call)
    }

    /// `TRANSPOSE_CONV`, whose inputs are the sizes of its value, the kernel and the map; and
    /// MediaPipe's, whose inputs are the map, the kernel and the bias at `bias`. Kernels are
    /// (outputs, H, W, inputs).
    static func readTransposedConvolution(
        _ call: TFLiteCall, bias custom: Int? = nil, in reader: inout TFLiteReader
    ) throws {
        let mapIndex = custom == nil ? 2 : 0
        let map = try call.shape(ofInput: mapIndex)
        let kernel = try call.shape(ofInput: 1)
        let after = try call.shape(ofOutput: 0)
        guard map.count == 4, kernel.count == 4, after.count == 4, kernel[3] == map[3] else {
            throw call.fail(.kernel(kernel, over: map))
        }
        let strides = try custom == nil ? call.strides() : customStrides(call)
        // What the windows reach beyond the value is cut off, the odd row at the end.
        var (pads, extra) = ([0, 0, 0, 0], [0, 0])
        for axis in 0..<2 {
            let reach = (map[axis + 1] - 1) * strides[axis] + kernel[axis + 1]
            let cut = reach - after[axis + 1]
            guard cut < kernel[axis + 1], cut > -max(strides[axis], 1) || cut == 0 else {
                throw call.fail(.sizes(after, of: map))
            }
            if cut >= 0 {
                (pads[axis], pads[axis + 2]) = (cut / 2, cut - cut / 2)
            } else {
                extra[axis] = -cut
            }
        }
        let x = try reader.first(try call.input(mapIndex), for: call)
        let weight = try reader.weight(try call.input(1), order: [3, 0, 1, 2], for: call)
        let y = reader.draft.emit(
            "ConvTranspose", name: call.name,
            inputs: [x, weight] + (try bias(call, at: custom ?? 3, in: &reader)),
            attributes: [
                "strides": .integers(strides), "pads": .integers(pads),
                "output_padding": .integers(extra),
            ])
        try reader.finish(y, isFirst: true, for: call)
    }

    /// The steps of MediaPipe's operator: 32-bit integers, padding, width and height.
    private static func customStrides(_ call: TFLiteCall) throws -> [Int] {
        let bytes = call.step.customOptions
        guard bytes.count >= 12 else { throw call.fail(.settings(byteCount: bytes.count)) }
        let numbers = (0..<3).map { word in
            (0..<4).reduce(0) { $0 | Int(bytes[word * 4 + $1]) << ($1 * 8) }
        }
        guard (1...64).contains(numbers[1]), (1...64).contains(numbers[2]) else {
            throw call.fail(.extents(Array(numbers[1...])))
        }
        return [numbers[2], numbers[1]]
    }

    static func readPool(
        _ type: String, of call: TFLiteCall, in reader: inout TFLiteReader
    ) throws {
        let size = [call.integer("filter_h"), call.integer("filter_w")]
        guard size.allSatisfy((1...65536).contains) else {
            throw call.fail(.extents(size))
        }
        let x = try reader.first(try call.input(), for: call)
        let y = reader.draft.emit(
            type, name: call.name, inputs: [x],
            attributes: [
                "kernel_shape": .integers(size), "strides": .integers(try call.strides()),
                "auto_pad": try call.padding(),
            ])
        try reader.finish(y, isFirst: true, movesOnly: type == "MaxPool", for: call)
    }

    /// `FULLY_CONNECTED`: its kernel is (outputs, inputs).
    static func readFullyConnected(_ call: TFLiteCall, in reader: inout TFLiteReader) throws {
        let (before, kernel) = (try call.shape(ofInput: 0), try call.shape(ofInput: 1))
        guard kernel.count == 2, call.integer("weights_format") == 0 else {
            throw call.fail(.matrix(kernel))
        }
        let source = try call.input()
        let keepsAxes = call.flag("keep_num_dims") && before.count > 2
        guard before.last == kernel[1] || !keepsAxes, let total = Shape(before).checkedCount,
            total % max(kernel[1], 1) == 0
        else { throw call.fail(.kernel(kernel, over: before)) }
        let bias = try bias(call, in: &reader)
        var x: String
        // A map of one pixel is the same vector in either order.
        if before.count == 4, !keepsAxes, before[1] * before[2] == 1, reader.isFirst(source) {
            x = try reader.first(source, for: call)
        } else {
            x = try reader.plain(source, for: call)
        }
        if !keepsAxes, before.count != 2 || before[1] != kernel[1] {
            let rows = total / max(kernel[1], 1)
            let lead = before.first == rows && before.count > 1 ? 0 : rows
            let shape = reader.draft.constant([lead, kernel[1]], name: call.name + ".shape")
            x = reader.draft.emit("Reshape", name: call.name + ".flat", inputs: [x, shape])
        }
        let weights = try call.input(1)
        guard keepsAxes || !reader.isConstant(weights) else {
            let weight = try reader.plain(weights, for: call)
            let y = reader.draft.emit(
                "Gemm", name: call.name, inputs: [x, weight] + bias, attributes: ["transB": 1])
            return try reader.finish(y, isFirst: false, for: call)
        }
        let weight: String
        if reader.isConstant(weights) {
            weight = try reader.weight(weights, order: [1, 0], for: call)
        } else {
            weight = reader.draft.emit(
                "Transpose", name: call.name + ".weight",
                inputs: [try reader.plain(weights, for: call)], attributes: ["perm": [1, 0]])
        }
        var y = reader.draft.emit("MatMul", name: call.name, inputs: [x, weight])
        if let bias = bias.first {
            y = reader.draft.emit("Add", name: call.name + ".bias", inputs: [y, bias])
        }
        try reader.finish(y, isFirst: false, for: call)
    }

    /// `BATCH_MATMUL`: products of the last two axes.
    static func readProduct(_ call: TFLiteCall, in reader: inout TFLiteReader) throws {
        var names: [String] = []
        for (index, setting) in ["adj_x", "adj_y"].enumerated() {
            var name = try reader.plain(try call.input(index), for: call)
            if call.flag(setting) {
                let rank = try call.shape(ofInput: index).count
                guard rank >= 2 else { throw call.fail(.noMatrix) }
                let order = Array(0..<(rank - 2)) + [rank - 1, rank - 2]
                name = reader.draft.emit(
                    "Transpose", name: "\(call.name).\(setting)", inputs: [name],
                    attributes: ["perm": .integers(order)])
            }
            names.append(name)
        }
        let y = reader.draft.emit("MatMul", name: call.name, inputs: names)
        try reader.finish(y, isFirst: false, for: call)
    }

    static func readSoftmax(
        _ type: String, of call: TFLiteCall, in reader: inout TFLiteReader
    ) throws {
        let operands = try reader.operands(call, at: [0])
        var x = operands.x
        let beta = type == "Softmax" ? call.number("beta") : 1
        if beta != 1 {
            let factor = reader.draft.constant(beta, name: call.name + ".beta")
            x = reader.draft.emit("Mul", name: call.name + ".scaled", inputs: [x, factor])
        }
        let y = reader.draft.emit(
            type, name: call.name, inputs: [x],
            attributes: ["axis": .integer(operands.isFirst ? 1 : -1)])
        try reader.finish(y, isFirst: operands.isFirst, for: call)
    }

    static func readUnitNorm(_ call: TFLiteCall, in reader: inout TFLiteReader) throws {
        let operands = try reader.operands(call, at: [0])
        let y = reader.draft.emit(
            "LpNormalization", name: call.name, inputs: [operands.x],
            attributes: ["axis": .integer(operands.isFirst ? 1 : -1), "p": 2])
        try reader.finish(y, isFirst: operands.isFirst, for: call)
    }

    static func readResponseNorm(_ call: TFLiteCall, in reader: inout TFLiteReader) throws {
        let radius = call.integer("radius")
        guard (0...65536).contains(radius) else { throw call.fail(.extents([radius])) }
        let size = 2 * radius + 1
        let x = try reader.first(try call.input(), for: call)
        let y = reader.draft.emit(
            "LRN", name: call.name, inputs: [x],
            attributes: [
                "size": .integer(size), "alpha": .number(call.number("alpha") * Float(size)),
                "beta": .number(call.number("beta")), "bias": .number(call.number("bias")),
            ])
        try reader.finish(y, isFirst: true, for: call)
    }

    static func readResize(
        _ mode: String, of call: TFLiteCall, in reader: inout TFLiteReader
    ) throws {
        let size = try reader.integers(of: try call.input(1), for: call)
        let map = try call.shape(ofInput: 0)
        guard map.count == 4, size.count == 2, size.allSatisfy((1...65536).contains) else {
            throw call.fail(.sizes(size, of: map))
        }
        let isAligned = call.flag("align_corners")
        let isCentred = call.flag("half_pixel_centers")
        let rule =
            switch (isAligned, isCentred) {
            case (true, _): "align_corners"
            case (false, true): "half_pixel"
            case (false, false): "asymmetric"
            }
        let x = try reader.first(try call.input(), for: call)
        let name = call.name
        let sizes = reader.draft.constant([map[0], map[3]] + size, name: name + ".sizes")
        let y = reader.draft.emit(
            "Resize", name: name, inputs: [x, "", "", sizes],
            attributes: [
                "mode": .text(mode), "coordinate_transformation_mode": .text(rule),
                "nearest_mode": .text(isAligned || isCentred ? "round_prefer_ceil" : "floor"),
            ])
        try reader.finish(y, isFirst: true, for: call)
    }
}
