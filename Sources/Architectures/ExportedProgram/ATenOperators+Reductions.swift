// Sums, means, extremes and orders of ATen.

internal import GraftSchemas
import GraftTensors

extension ATenOperator {
    static let reductions: [String: ATenOperator] = [
        "mean.default": .value { try reduced("ReduceMean", of: $0, in: &$1) },
        "mean.dim": .value { try reduced("ReduceMean", of: $0, in: &$1) },
        "sum.default": .value { try reduced("ReduceSum", of: $0, in: &$1) },
        "sum.dim_IntList": .value { call, reader in
            // Values that were stacked to be added are a sum.
            if let name = call.optionalTensor("self"), let stack = reader.stacks[name],
                try call.integers("dim", in: reader) == [stack.axis], !call.flag("keepdim")
            {
                return reader.draft.emit("Sum", name: call.path, inputs: stack.parts)
            }
            return try reduced("ReduceSum", of: call, in: &reader)
        },
        "amax.default": .value { try reduced("ReduceMax", of: $0, in: &$1) },
        "amin.default": .value { try reduced("ReduceMin", of: $0, in: &$1) },
        "prod.dim_int": .value { try reduced("ReduceProd", of: $0, in: &$1) },
        "logsumexp.default": .value { try reduced("ReduceLogSumExp", of: $0, in: &$1) },
        "max.default": .value { try reduced("ReduceMax", of: $0, in: &$1) },
        "min.default": .value { try reduced("ReduceMin", of: $0, in: &$1) },
        "max.dim": ATenOperator {
            [try reduced("ReduceMax", of: $0, in: &$1), try place("ArgMax", of: $0, in: &$1)]
        },
        "min.dim": ATenOperator {
            [try reduced("ReduceMin", of: $0, in: &$1), try place("ArgMin", of: $0, in: &$1)]
        },
        "argmax.default": .value { try place("ArgMax", of: $0, in: &$1) },
        "argmin.default": .value { try place("ArgMin", of: $0, in: &$1) },
        "all.dim": .value { call, reader in
            let name = try call.tensor("self")
            let numbers = reader.cast(
                try reader.value(name, for: call), to: 7, name: call.path + ".numbers")
            let rank = try reader.shape(of: name, for: call).count
            let axis = try call.axis(try call.integer("dim", in: reader) ?? -1, rank: rank)
            let least = reader.draft.emit(
                "ReduceMin", name: call.path + ".least", inputs: [numbers],
                attributes: [
                    "axes": .integers([axis]), "keepdims": .integer(call.flag("keepdim") ? 1 : 0),
                ])
            return reader.cast(least, to: 9, name: call.path)
        },
        "cumsum.default": .value { call, reader in
            let name = try call.tensor("self")
            let rank = try reader.shape(of: name, for: call).count
            let axis = try call.axis(try call.integer("dim", in: reader) ?? 0, rank: rank)
            var x = try reader.value(name, for: call)
            let result = call.node.outputs.first ?? ""
            if reader.isReal(result) != reader.isReal(name)
                || reader.program.values[name]?.type == 12
            {
                x = reader.cast(
                    x, to: reader.isReal(result) ? 1 : 7, name: call.path + ".numbers")
            }
            let place = reader.draft.constant(integer: axis, name: call.path + ".axis")
            return reader.draft.emit("CumSum", name: call.path, inputs: [x, place])
        },
        "topk.default": ATenOperator { call, reader in
            let name = try call.tensor("self")
            let rank = try reader.shape(of: name, for: call).count
            let axis = try call.axis(try call.integer("dim", in: reader) ?? -1, rank: rank)
            let count = try call.integer("k", in: reader) ?? 1
            let k = reader.draft.constant([count], name: call.path + ".count")
            return reader.draft.emit(
                "TopK", name: call.path, inputs: [try reader.value(name, for: call), k],
                attributes: [
                    "axis": .integer(axis),
                    "largest": .integer(call.flag("largest", or: true) ? 1 : 0),
                ], valueCount: 2)
        },
    ]

    /// A reduction over some axes, or over all of them.
    static func reduced(
        _ type: String, of call: ATenCall, in reader: inout ATenReader
    ) throws -> String {
        let name = try call.tensor("self")
        let rank = try reader.shape(of: name, for: call).count
        let own = try call.integers("dim", in: reader) ?? []
        let axes = try (own.isEmpty ? Array(0..<rank) : own).map { try call.axis($0, rank: rank) }
        var x = try reader.value(name, for: call)
        let result = call.node.outputs.first ?? ""
        if reader.isReal(result), !reader.isReal(name) {
            x = reader.cast(x, to: 1, name: call.path + ".numbers")
        } else if reader.program.values[name]?.type == 12 {
            x = reader.cast(x, to: 7, name: call.path + ".numbers")
        }
        return reader.draft.emit(
            type, name: call.path, inputs: [x],
            attributes: [
                "axes": .integers(axes.sorted()),
                "keepdims": .integer(call.flag("keepdim") ? 1 : 0),
            ])
    }

    private static func place(
        _ type: String, of call: ATenCall, in reader: inout ATenReader
    ) throws -> String {
        let name = try call.tensor("self")
        let rank = try reader.shape(of: name, for: call).count
        guard let own = try call.integer("dim", in: reader) else {
            throw call.fail(.noAxis)
        }
        return reader.draft.emit(
            type, name: call.path + ".place", inputs: [try reader.value(name, for: call)],
            attributes: [
                "axis": .integer(try call.axis(own, rank: rank)),
                "keepdims": .integer(call.flag("keepdim") ? 1 : 0),
            ])
    }
}
