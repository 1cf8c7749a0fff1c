// What moves, joins, cuts and reduces values in TFLite.

internal import GraftSchemas
import GraftTensors

extension TFLiteOperator {
    static func readBounded(
        _ bounds: ClosedRange<Float>, of call: TFLiteCall, in reader: inout TFLiteReader
    ) throws {
        let operands = try reader.operands(call, at: [0])
        let y = reader.draft.clip(operands.x, to: bounds, name: call.name)
        try reader.finish(y, isFirst: operands.isFirst, for: call)
    }

    /// `QUANTIZE`: the value stays what it is, within what the integers can hold.
    static func readQuantization(_ call: TFLiteCall, in reader: inout TFLiteReader) throws {
        let source = try call.input()
        if reader.isConstant(source) { return reader.alias(try call.output(), of: source) }
        let operands = try reader.operands(call, at: [0])
        try reader.finish(operands.x, isFirst: operands.isFirst, for: call)
    }

    /// `CAST`: to integers what follows the point is left out.
    static func readCast(_ call: TFLiteCall, in reader: inout TFLiteReader) throws {
        // FLOAT32, INT32, INT64, BOOL, FLOAT64 of TFLite and of ONNX.
        let types = [0: 1, 2: 6, 4: 7, 6: 9, 10: 11, 1: 10, 3: 2, 9: 3]
        let code = call.integer("to")
        guard let type = types[code] else {
            throw call.fail(.type(code))
        }
        try reader.elementwise(
            "Cast", of: call, attributes: ["to": .integer(type)], movesOnly: true)
    }

    static func readConcatenation(_ call: TFLiteCall, in reader: inout TFLiteReader) throws {
        let operands = try reader.operands(call)
        let rank = try call.shape(ofOutput: 0).count
        let axis = try call.axis(call.integer("axis"), rank: rank)
        let y = reader.draft.emit(
            "Concat", name: call.name, inputs: operands.names,
            attributes: ["axis": .integer(operands.place(axis))])
        try reader.finish(y, isFirst: operands.isFirst, movesOnly: true, for: call)
    }

    static func readPad(_ call: TFLiteCall, in reader: inout TFLiteReader) throws {
        let amounts = try reader.integers(of: try call.input(1), for: call)
        let rank = try call.shape(ofInput: 0).count
        guard amounts.count == 2 * rank, amounts.allSatisfy((0...65536).contains) else {
            throw call.fail(.amounts(amounts, rank: rank))
        }
        let operands = try reader.operands(call, at: [0])
        let before = operands.ordered((0..<rank).map { amounts[2 * $0] })
        let after = operands.ordered((0..<rank).map { amounts[2 * $0 + 1] })
        var inputs = [
            operands.x, reader.draft.constant(before + after, name: call.name + ".pads"),
        ]
        var mode = "constant"
        switch call.step.type {
        case "PADV2": inputs.append(try reader.plain(try call.input(2), for: call))
        case "MIRROR_PAD":
            guard call.integer("mode") == 0 else { throw call.fail(.symmetricBorder) }
            mode = "reflect"
        default: break
        }
        let y = reader.draft.emit(
            "Pad", name: call.name, inputs: inputs, attributes: ["mode": .text(mode)])
        try reader.finish(y, isFirst: operands.isFirst, movesOnly: true, for: call)
    }

    static func readBlocks(
        _ type: String, of call: TFLiteCall, in reader: inout TFLiteReader
    ) throws {
        let x = try reader.first(try call.input(), for: call)
        let y = reader.draft.emit(
            type, name: call.name, inputs: [x],
            attributes: ["blocksize": .integer(call.integer("block_size"))])
        try reader.finish(y, isFirst: true, movesOnly: true, for: call)
    }

    static func readReduction(
        _ type: String, of call: TFLiteCall, in reader: inout TFLiteReader
    ) throws {
        let rank = try call.shape(ofInput: 0).count
        let axes = try reader.integers(of: try call.input(1), for: call).map {
            try call.axis($0, rank: rank)
        }
        let keepsAxes = call.flag("keep_dims")
        var operands = try reader.operands(call, at: [0])
        // What is left has one order where the channels go, or both the rows and the columns.
        if operands.isFirst, !keepsAxes, !axes.contains(3), !Set(axes).isSuperset(of: [1, 2]) {
            operands = TFLiteOperands(
                names: [try reader.plain(try call.input(), for: call)], isFirst: false)
        }
        let y = reader.draft.emit(
            type, name: call.name, inputs: [operands.x],
            attributes: [
                "axes": .integers(axes.map { operands.place($0) }.sorted()),
                "keepdims": .integer(keepsAxes ? 1 : 0),
            ])
        try reader.finish(y, isFirst: operands.isFirst && keepsAxes, for: call)
    }

    static func readArgument(
        _ type: String, of call: TFLiteCall, in reader: inout TFLiteReader
    ) throws {
        let rank = try call.shape(ofInput: 0).count
        guard let named = try reader.integers(of: try call.input(1), for: call).first else {
            throw call.fail(.noAxis)
        }
        let x = try reader.plain(try call.input(), for: call)
        let y = reader.draft.emit(
            type, name: call.name, inputs: [x],
            attributes: ["axis": .integer(try call.axis(named, rank: rank)), "keepdims": 0])
        try reader.finish(y, isFirst: false, movesOnly: true, for: call)
    }

    static func readTopK(_ call: TFLiteCall, in reader: inout TFLiteReader) throws {
        let count = try reader.integers(of: try call.input(1), for: call)
        guard count.count == 1, count[0] > 0 else { throw call.fail(.counts(count)) }
        let x = try reader.plain(try call.input(), for: call)
        let k = reader.draft.constant(count, name: call.name + ".count")
        let names = reader.draft.emit(
            "TopK", name: call.name, inputs: [x, k], attributes: ["axis": -1], valueCount: 2)
        for (index, name) in names.enumerated() where index < call.step.outputs.count {
            try reader.finish(name, isFirst: false, output: index, movesOnly: true, for: call)
        }
    }

    /// `TRANSPOSE`: the value is in the order that the file asks for.
    static func readTranspose(_ call: TFLiteCall, in reader: inout TFLiteReader) throws {
        let named = try reader.integers(of: try call.input(1), for: call)
        let source = try call.input()
        let rank = try call.shape(ofInput: 0).count
        let axes = try named.map { try call.axis($0, rank: rank) }
        guard axes.sorted() == Array(0..<rank) else { throw call.fail(.order(named)) }
        let target = try call.output()
        guard reader.isFirst(source) else {
            let y = reader.draft.emit(
                "Transpose", name: call.name, inputs: [try reader.plain(source, for: call)],
                attributes: ["perm": .integers(axes)])
            return reader.set(target, plain: y)
        }
        let x = try reader.first(source, for: call)
        let order = axes.map { TFLiteReader.places[$0] }
        guard order != [0, 1, 2, 3] else { return reader.set(target, plain: x) }
        let y = reader.draft.emit(
            "Transpose", name: call.name, inputs: [x], attributes: ["perm": .integers(order)])
        reader.set(target, plain: y)
    }

    static func readGather(_ call: TFLiteCall, in reader: inout TFLiteReader) throws {
        let rank = try call.shape(ofInput: 0).count
        guard call.integer("batch_dims") == 0 else { throw call.fail(.gathersBySample) }
        let inputs = [
            try reader.plain(try call.input(), for: call),
            try reader.plain(try call.input(1), for: call),
        ]
        let y = reader.draft.emit(
            "Gather", name: call.name, inputs: inputs,
            attributes: ["axis": .integer(try call.axis(call.integer("axis"), rank: rank))])
        try reader.finish(y, isFirst: false, movesOnly: true, for: call)
    }

    static func readTile(_ call: TFLiteCall, in reader: inout TFLiteReader) throws {
        let counts = try reader.integers(of: try call.input(1), for: call)
        guard counts.count == (try call.shape(ofInput: 0).count) else {
            throw call.fail(.counts(counts))
        }
        let operands = try reader.operands(call, at: [0])
        let repeats = reader.draft.constant(
            operands.ordered(counts), name: call.name + ".counts")
        let y = reader.draft.emit("Tile", name: call.name, inputs: [operands.x, repeats])
        try reader.finish(y, isFirst: operands.isFirst, movesOnly: true, for: call)
    }

    static func readBroadcast(_ call: TFLiteCall, in reader: inout TFLiteReader) throws {
        let x = try reader.plain(try call.input(), for: call)
        let sizes = reader.draft.constant(try call.shape(ofOutput: 0), name: call.name + ".sizes")
        let y = reader.draft.emit("Expand", name: call.name, inputs: [x, sizes])
        try reader.finish(y, isFirst: false, movesOnly: true, for: call)
    }

    static func readFloorDivision(_ call: TFLiteCall, in reader: inout TFLiteReader) throws {
        let operands = try reader.operands(call, at: [0, 1])
        let quotient = reader.draft.emit(
            "Div", name: call.name + ".quotient", inputs: operands.names)
        let y = reader.draft.emit("Floor", name: call.name, inputs: [quotient])
        try reader.finish(y, isFirst: operands.isFirst, for: call)
    }

    /// `SHAPE`: the sizes for one image.
    static func readShape(_ call: TFLiteCall, in reader: inout TFLiteReader) throws {
        let sizes = reader.draft.constant(try call.shape(ofInput: 0), name: call.name)
        reader.set(try call.output(), plain: sizes)
    }

    /// `PACK`: values joined along a new axis.
    static func readPack(_ call: TFLiteCall, in reader: inout TFLiteReader) throws {
        let rank = try call.shape(ofOutput: 0).count
        let axis = try call.axis(call.integer("axis"), rank: rank)
        let axes = reader.draft.constant([axis], name: call.name + ".axis")
        var parts: [String] = []
        for index in call.step.inputs.indices {
            let x = try reader.plain(try call.input(index), for: call)
            parts.append(
                reader.draft.emit(
                    "Unsqueeze", name: "\(call.name).part\(index)", inputs: [x, axes]))
        }
        let y = reader.draft.emit(
            "Concat", name: call.name, inputs: parts, attributes: ["axis": .integer(axis)])
        try reader.finish(y, isFirst: false, movesOnly: true, for: call)
    }

    /// `UNPACK`: one value for each place of an axis, without it.
    static func readUnpack(_ call: TFLiteCall, in reader: inout TFLiteReader) throws {
        let shape = try call.shape(ofInput: 0)
        let axis = try call.axis(call.integer("axis"), rank: shape.count)
        guard call.step.outputs.count == shape[axis] else {
            throw call.fail(.values(call.step.outputs.count, of: shape[axis]))
        }
        let x = try reader.plain(try call.input(), for: call)
        let axes = reader.draft.constant([axis], name: call.name + ".axis")
        for index in call.step.outputs.indices {
            let part = cut(
                TFLiteOperands(names: [x], isFirst: false), along: axis, from: index,
                to: index + 1, rank: shape.count, name: "\(call.name).cut\(index)", in: &reader)
            let y = reader.draft.emit(
                "Squeeze", name: "\(call.name).\(index)", inputs: [part, axes])
            try reader.finish(y, isFirst: false, output: index, movesOnly: true, for: call)
        }
    }

    /// A cut along one axis of the file.
    private static func cut(
        _ operands: TFLiteOperands, along axis: Int, from start: Int, to end: Int, rank: Int,
        name: String, in reader: inout TFLiteReader
    ) -> String {
        var (starts, ends) = ([Int](repeating: 0, count: rank), [Int](repeating: .max, count: rank))
        starts[axis] = start
        ends[axis] = end
        return reader.slice(
            operands, from: starts, to: ends, by: [Int](repeating: 1, count: rank), name: name)
    }

    /// `SPLIT` into equal parts, and `SPLIT_V` into parts of these sizes.
    static func readSplit(_ call: TFLiteCall, in reader: inout TFLiteReader) throws {
        let isEqual = call.step.type == "SPLIT"
        let source = isEqual ? 1 : 0
        let shape = try call.shape(ofInput: source)
        let named = try reader.integers(of: try call.input(isEqual ? 0 : 2), for: call)
        let axis = try call.axis(named.first ?? 0, rank: shape.count)
        let count = call.step.outputs.count
        var sizes = [Int](repeating: shape[axis] / max(count, 1), count: count)
        if !isEqual { sizes = try reader.integers(of: try call.input(1), for: call) }
        if let open = sizes.firstIndex(of: -1) {
            sizes[open] = shape[axis] - sizes.reduce(1, +)
        }
        guard sizes.count == count, sizes.allSatisfy({ $0 > 0 }),
            sizes.reduce(0, +) == shape[axis]
        else { throw call.fail(.parts(sizes, of: shape[axis])) }
        let operands = try reader.operands(call, at: [source])
        var start = 0
        for (index, size) in sizes.enumerated() {
            let y = cut(
                operands, along: axis, from: start, to: start + size, rank: shape.count,
                name: "\(call.name).\(index)", in: &reader)
            start += size
            try reader.finish(
                y, isFirst: operands.isFirst, output: index, movesOnly: true, for: call)
        }
    }

    static func readSlice(_ call: TFLiteCall, in reader: inout TFLiteReader) throws {
        let shape = try call.shape(ofInput: 0)
        let start = try reader.integers(of: try call.input(1), for: call)
        let sizes = try reader.integers(of: try call.input(2), for: call)
        guard start.count == shape.count, sizes.count == shape.count else {
            throw call.fail(.sizes(sizes, of: shape))
        }
        var ends: [Int] = []
        for (axis, size) in sizes.enumerated() {
            let end = size == -1 ? shape[axis] : size.addingReportingOverflow(start[axis]).0
            guard 0..<max(shape[axis], 1) ~= start[axis], start[axis] < end, end <= shape[axis]
            else { throw call.fail(.cut(from: start, to: sizes, of: shape)) }
            ends.append(start[axis] == 0 && end == shape[axis] ? .max : end)
        }
        let operands = try reader.operands(call, at: [0])
        let y = reader.slice(
            operands, from: start, to: ends, by: [Int](repeating: 1, count: shape.count),
            name: call.name)
        try reader.finish(y, isFirst: operands.isFirst, movesOnly: true, for: call)
    }

    /// `STRIDED_SLICE` with steps forward, some axes of one place left out.
    static func readStridedSlice(_ call: TFLiteCall, in reader: inout TFLiteReader) throws {
        let shape = try call.shape(ofInput: 0)
        let lists = try (1...3).map { try reader.integers(of: try call.input($0), for: call) }
        let rank = lists[0].count
        guard lists.allSatisfy({ $0.count == rank }), rank <= shape.count,
            call.integer("ellipsis_mask") == 0, call.integer("new_axis_mask") == 0,
            !call.flag("offset"), lists[2].allSatisfy({ (1...65536).contains($0) })
        else { throw call.fail(.backwards) }
        func has(_ mask: String, along axis: Int) -> Bool { call.integer(mask) >> axis & 1 == 1 }
        var (starts, ends, steps, gone) = ([Int](), [Int](), [Int](), [Int]())
        for axis in shape.indices {
            guard axis < rank else {
                starts.append(0)
                ends.append(.max)
                steps.append(1)
                continue
            }
            let size = shape[axis]
            func place(_ value: Int) -> Int { min(max(value < 0 ? value + size : value, 0), size) }
            let start = has("begin_mask", along: axis) ? 0 : place(lists[0][axis])
            var end = has("end_mask", along: axis) ? size : place(lists[1][axis])
            if has("shrink_axis_mask", along: axis) {
                end = start + 1
                gone.append(axis)
            }
            guard start < end, end <= size else {
                throw call.fail(.cut(from: [start], to: [end], of: [size]))
            }
            starts.append(start)
            ends.append(start == 0 && end == size ? .max : end)
            steps.append(lists[2][axis])
        }
        var operands = try reader.operands(call, at: [0])
        if !gone.isEmpty, operands.isFirst {
            operands = TFLiteOperands(
                names: [try reader.plain(try call.input(), for: call)], isFirst: false)
        }
        var y = reader.slice(operands, from: starts, to: ends, by: steps, name: call.name)
        if !gone.isEmpty {
            let axes = reader.draft.constant(gone, name: call.name + ".gone")
            y = reader.draft.emit("Squeeze", name: call.name + ".squeezed", inputs: [y, axes])
        }
        try reader.finish(y, isFirst: operands.isFirst, movesOnly: true, for: call)
    }
}
