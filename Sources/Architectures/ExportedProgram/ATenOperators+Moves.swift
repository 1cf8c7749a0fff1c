// What moves, joins, cuts and makes values in ATen.

internal import GraftSchemas
import GraftTensors

extension ATenOperator {
    /// An operator that only gives its operand other sizes.
    private static let viewing = ATenOperator.value(isView: true) { call, reader in
        guard let name = call.operand else { throw call.fail(.readsNothing) }
        return reader.view(
            try reader.value(name, for: call), from: try reader.shape(of: name, for: call),
            to: try reader.shape(ofResult: call), name: call.path)
    }

    static let moves: [String: ATenOperator] = [
        "view.default": viewing, "reshape.default": viewing, "_unsafe_view.default": viewing,
        "flatten.using_ints": viewing, "unflatten.int": viewing, "reshape_as.default": viewing,
        "view_as.default": viewing, "unsqueeze.default": viewing, "squeeze.dim": viewing,
        "squeeze.dims": viewing, "squeeze.default": viewing,
        "copy.default": .value(copied),
        "transpose.int": .value(isView: true) { call, reader in
            let name = try call.tensor("self")
            let rank = try reader.shape(of: name, for: call).count
            var order = Array(0..<rank)
            let axes = try ["dim0", "dim1"].map {
                try call.axis(try call.integer($0, in: reader) ?? 0, rank: rank)
            }
            guard rank > 0 else { return try reader.value(name, for: call) }
            order.swapAt(axes[0], axes[1])
            return try turned(name, to: order, for: call, in: &reader)
        },
        "t.default": .value(isView: true) { call, reader in
            let name = try call.tensor("self")
            let rank = try reader.shape(of: name, for: call).count
            return try turned(name, to: Array((0..<rank).reversed()), for: call, in: &reader)
        },
        "permute.default": .value(isView: true) { call, reader in
            let name = try call.tensor("self")
            let rank = try reader.shape(of: name, for: call).count
            let order = try (call.integers("dims", in: reader) ?? []).map {
                try call.axis($0, rank: rank)
            }
            guard order.sorted() == Array(0..<rank) else { throw call.fail(.order(order)) }
            return try turned(name, to: order, for: call, in: &reader)
        },
        "cat.default": .value(joined), "concat.default": .value(joined),
        "stack.default": .value { call, reader in
            let names = try call.tensors("tensors").compactMap { $0 }
            let after = try reader.shape(ofResult: call)
            let axis = try call.axis(
                try call.integer("dim", in: reader) ?? 0, rank: after.count)
            let values = try names.map { try reader.value($0, for: call) }
            reader.setStack(call, axis: axis, parts: values)
            let place = reader.draft.constant([axis], name: call.path + ".axis")
            let parts = values.enumerated().map { index, x in
                reader.draft.emit(
                    "Unsqueeze", name: "\(call.path).part\(index)", inputs: [x, place])
            }
            return reader.draft.emit(
                "Concat", name: call.path, inputs: parts, attributes: ["axis": .integer(axis)])
        },
        "chunk.default": ATenOperator(isView: true, read: split),
        "split.Tensor": ATenOperator(isView: true, read: split),
        "split_with_sizes.default": ATenOperator(isView: true, read: split),
        "tensor_split.sections": ATenOperator(isView: true, read: split),
        "unbind.int": ATenOperator(isView: true) { call, reader in
            let name = try call.tensor("self")
            let shape = try reader.shape(of: name, for: call)
            let axis = try call.axis(try call.integer("dim", in: reader) ?? 0, rank: shape.count)
            guard call.node.outputs.count == shape[axis] else {
                throw call.fail(.values(call.node.outputs.count, of: shape[axis]))
            }
            var part = shape
            part[axis] = 1
            let sizes = [Int](repeating: 1, count: shape[axis])
            let parts = try cut(name, along: axis, into: sizes, for: call, in: &reader)
            let after = Array(part[..<axis] + part[(axis + 1)...])
            return parts.enumerated().map { index, x in
                reader.view(x, from: part, to: after, name: "\(call.path).part\(index)")
            }
        },
        "select.int": .value(isView: true) { call, reader in
            let name = try call.tensor("self")
            let shape = try reader.shape(of: name, for: call)
            let axis = try call.axis(try call.integer("dim", in: reader) ?? 0, rank: shape.count)
            let own = try call.integer("index", in: reader) ?? 0
            let index = own < 0 ? own + shape[axis] : own
            guard 0..<shape[axis] ~= index else {
                throw call.fail(.place(own, of: shape[axis]))
            }
            reader.setPlace(call, base: name, axis: axis, index: index)
            let place = reader.draft.constant(integer: index, name: call.path + ".index")
            return reader.draft.emit(
                "Gather", name: call.path, inputs: [try reader.value(name, for: call), place],
                attributes: ["axis": .integer(axis)])
        },
        "slice.Tensor": .value(isView: true) { call, reader in
            let name = try call.tensor("self")
            let shape = try reader.shape(of: name, for: call)
            let axis = try call.axis(try call.integer("dim", in: reader) ?? 0, rank: shape.count)
            let step = try call.integer("step", in: reader) ?? 1
            let size = shape[axis]
            func place(_ value: Int) -> Int { min(max(value < 0 ? value + size : value, 0), size) }
            let start = place(try call.integer("start", in: reader) ?? 0)
            let end = place(try call.integer("end", in: reader) ?? .max)
            let x = try reader.value(name, for: call)
            if start == 0, end == size, step == 1 { return x }
            guard start < end, step > 0 else {
                throw call.fail(.cut(from: [start], to: [end], of: shape))
            }
            let inputs = [("start", start), ("end", end), ("axis", axis), ("step", step)].map {
                reader.draft.constant([$0.1], name: "\(call.path).\($0.0)")
            }
            return reader.draft.emit("Slice", name: call.path, inputs: [x] + inputs)
        },
        "expand.default": .value(isView: true, expanded),
        "expand_as.default": .value(isView: true, expanded),
        "repeat.default": .value { call, reader in
            let name = try call.tensor("self")
            let shape = try reader.shape(of: name, for: call)
            let counts = try call.integers("repeats", in: reader) ?? []
            guard counts.count >= shape.count else { throw call.fail(.counts(counts)) }
            let lead = [Int](repeating: 1, count: counts.count - shape.count)
            let x = reader.view(
                try reader.value(name, for: call), from: shape, to: lead + shape,
                name: call.path + ".wide")
            let repeats = reader.draft.constant(counts, name: call.path + ".counts")
            return reader.draft.emit("Tile", name: call.path, inputs: [x, repeats])
        },
        "repeat_interleave.self_int": .value { call, reader in
            let name = try call.tensor("self")
            let shape = try reader.shape(of: name, for: call)
            guard let own = try call.integer("dim", in: reader),
                let count = try call.integer("repeats", in: reader), (1...65536).contains(count)
            else { throw call.fail(.noAxis) }
            let axis = try call.axis(own, rank: shape.count)
            let wide = Array(shape[...axis]) + [1] + Array(shape[(axis + 1)...])
            var counts = [Int](repeating: 1, count: wide.count)
            counts[axis + 1] = count
            let x = reader.view(
                try reader.value(name, for: call), from: shape, to: wide,
                name: call.path + ".wide")
            let repeats = reader.draft.constant(counts, name: call.path + ".counts")
            let y = reader.draft.emit(
                "Tile", name: call.path + ".repeated", inputs: [x, repeats])
            var all = wide
            all[axis + 1] = count
            return reader.view(
                y, from: all, to: try reader.shape(ofResult: call), name: call.path)
        },
        "roll.default": .value { call, reader in
            let name = try call.tensor("self")
            let shape = try reader.shape(of: name, for: call)
            let shifts = try call.integers("shifts", in: reader) ?? []
            let axes = try call.integers("dims", in: reader) ?? []
            guard shifts.count == axes.count, !axes.isEmpty else {
                throw call.fail(.noAxis)
            }
            var x = try reader.value(name, for: call)
            for (index, (shift, own)) in zip(shifts, axes).enumerated() {
                let axis = try call.axis(own, rank: shape.count)
                let size = shape[axis]
                guard size > 0 else { continue }
                let moved = ((shift % size) + size) % size
                guard moved > 0 else { continue }
                let path = "\(call.path).axis\(index)"
                let sizes = reader.draft.constant([size - moved, moved], name: path + ".sizes")
                let parts = reader.draft.emit(
                    "Split", name: path + ".parts", inputs: [x, sizes],
                    attributes: ["axis": .integer(axis)], valueCount: 2)
                x = reader.draft.emit(
                    "Concat", name: path, inputs: parts.reversed(),
                    attributes: ["axis": .integer(axis)])
            }
            return x
        },
        "where.self": .value { call, reader in
            let inputs = try ["condition", "self", "other"].map {
                try reader.value(try call.tensor($0), for: call)
            }
            return reader.draft.emit("Where", name: call.path, inputs: inputs)
        },
        "where.ScalarOther": .value { call, reader in
            let name = try call.tensor("self")
            let other = try reader.constant(
                try reader.number(call, argument: "other"), isReal: reader.isReal(name), for: call)
            let inputs = [
                try reader.value(try call.tensor("condition"), for: call),
                try reader.value(name, for: call), other,
            ]
            return reader.draft.emit("Where", name: call.path, inputs: inputs)
        },
        "masked_fill.Scalar": .value { call, reader in
            let name = try call.tensor("self")
            let number = try reader.constant(
                max(
                    try reader.number(call, argument: "value"),
                    -Double(Float.greatestFiniteMagnitude)),
                isReal: reader.isReal(name), for: call)
            let inputs = [
                try reader.value(try call.tensor("mask"), for: call), number,
                try reader.value(name, for: call),
            ]
            return reader.draft.emit("Where", name: call.path, inputs: inputs)
        },
        "embedding.default": .value { call, reader in
            let inputs = try ["weight", "indices"].map {
                try reader.value(try call.tensor($0), for: call)
            }
            return reader.draft.emit(
                "Gather", name: call.path, inputs: inputs, attributes: ["axis": 0])
        },
        "index_select.default": .value { try named("Gather", by: $0, in: &$1) },
        "gather.default": .value { try named("GatherElements", by: $0, in: &$1) },
        "index.Tensor": .value { call, reader in
            try taken(call, in: &reader)
        },
        "meshgrid.indexing": ATenOperator { call, reader in
            let names = try call.tensors("tensors").compactMap { $0 }
            let isMatrix = (call.text("indexing") ?? "ij") == "ij"
            let after = try reader.shape(ofResult: call)
            guard names.count == after.count, isMatrix || names.count == 2 else {
                throw call.fail(.values(names.count, of: after.count))
            }
            return try names.enumerated().map { place, name in
                let axis = isMatrix ? place : 1 - place
                var sizes = [Int](repeating: 1, count: after.count)
                sizes[axis] = after[axis]
                let x = reader.view(
                    try reader.value(name, for: call),
                    from: try reader.shape(of: name, for: call), to: sizes,
                    name: "\(call.path).axis\(place)")
                let full = reader.draft.constant(after, name: "\(call.path).sizes\(place)")
                return reader.draft.emit(
                    "Expand", name: "\(call.path).\(place)", inputs: [x, full])
            }
        },
        "to.dtype": .value(typed), "to.dtype_layout": .value(typed), "to.other": .value(typed),
        "_to_copy.default": .value(typed), "type_as.default": .value(typed),
        "sym_size.int": ATenOperator { call, reader in
            let name = try call.tensor("self")
            let shape = try reader.shape(of: name, for: call)
            let axis = try call.axis(try call.integer("dim", in: reader) ?? 0, rank: shape.count)
            for result in call.node.outputs { reader.set(result, to: shape[axis]) }
            return []
        },
    ]

    private static func turned(
        _ name: String, to order: [Int], for call: ATenCall, in reader: inout ATenReader
    ) throws -> String {
        let x = try reader.value(name, for: call)
        guard order != Array(0..<order.count) else { return x }
        return reader.draft.emit(
            "Transpose", name: call.path, inputs: [x], attributes: ["perm": .integers(order)])
    }

    private static func joined(
        _ call: ATenCall, in reader: inout ATenReader
    ) throws -> String {
        let names = try call.tensors("tensors").compactMap { $0 }
        let rank = try reader.shape(ofResult: call).count
        let axis = try call.axis(try call.integer("dim", in: reader) ?? 0, rank: rank)
        // PyTorch leaves out what has no elements.
        let parts = try names.filter { name in
            try !reader.shape(of: name, for: call).contains(0)
        }
        let inputs = try parts.map { try reader.value($0, for: call) }
        guard inputs.count != 1 else { return inputs[0] }
        return reader.draft.emit(
            "Concat", name: call.path, inputs: inputs, attributes: ["axis": .integer(axis)])
    }

    /// The parts of a value along an axis.
    private static func cut(
        _ name: String, along axis: Int, into sizes: [Int], for call: ATenCall,
        in reader: inout ATenReader
    ) throws -> [String] {
        let x = try reader.value(name, for: call)
        guard sizes.count > 1 else { return [x] }
        let counts = reader.draft.constant(sizes, name: call.path + ".sizes")
        return reader.draft.emit(
            "Split", name: call.path, inputs: [x, counts], attributes: ["axis": .integer(axis)],
            valueCount: sizes.count)
    }

    private static func split(
        _ call: ATenCall, in reader: inout ATenReader
    ) throws -> [String] {
        let name = try call.tensor("self")
        let shape = try reader.shape(of: name, for: call)
        let axis = try call.axis(try call.integer("dim", in: reader) ?? 0, rank: shape.count)
        // What nothing reads has no name, but is one of the parts.
        var sizes = try call.node.outputs.map { output -> Int? in
            output.isEmpty || reader.program.values[output] == nil
                ? nil : try reader.shape(of: output, for: call)[axis]
        }
        if let given = try call.integers("split_sizes", in: reader) { sizes = given }
        let known = sizes.compactMap { $0 }
        let open = sizes.count - known.count
        let rest = shape[axis] - known.reduce(0, +)
        guard open == 0 ? rest == 0 : rest > 0 && rest % open == 0 else {
            throw call.fail(.parts(known, of: shape[axis]))
        }
        return try cut(
            name, along: axis, into: sizes.map { $0 ?? rest / max(open, 1) }, for: call, in: &reader
        )
    }

    /// The elements along `dim` that `index` names, by an operator of ONNX.
    private static func named(
        _ type: String, by call: ATenCall, in reader: inout ATenReader
    ) throws -> String {
        let name = try call.tensor("self")
        let rank = try reader.shape(of: name, for: call).count
        let axis = try call.axis(try call.integer("dim", in: reader) ?? 0, rank: rank)
        let inputs = [
            try reader.value(name, for: call),
            try reader.value(try call.tensor("index"), for: call),
        ]
        return reader.draft.emit(
            type, name: call.path, inputs: inputs, attributes: ["axis": .integer(axis)])
    }

    private static func expanded(
        _ call: ATenCall, in reader: inout ATenReader
    ) throws -> String {
        let name = try call.tensor("self")
        let shape = try reader.shape(of: name, for: call)
        let after = try reader.shape(ofResult: call)
        let x = try reader.value(name, for: call)
        guard shape != after else { return x }
        let sizes = reader.draft.constant(after, name: call.path + ".sizes")
        return reader.draft.emit("Expand", name: call.path, inputs: [x, sizes])
    }

    private static func typed(
        _ call: ATenCall, in reader: inout ATenReader
    ) throws -> String {
        let name = try call.tensor("self")
        let x = try reader.value(name, for: call)
        let result = call.node.outputs.first.flatMap { reader.program.values[$0]?.type }
        let type = try reader.type(call.type("dtype") ?? result ?? 7, for: call)
        let own = try reader.type(reader.program.values[name]?.type ?? 7, for: call)
        return type == own ? x : reader.cast(x, to: type, name: call.path)
    }
}
