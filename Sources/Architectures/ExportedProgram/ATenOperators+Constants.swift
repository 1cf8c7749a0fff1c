// Values that ATen makes of nothing: ranges, zeros and ones.

internal import GraftSchemas
import GraftTensors

extension ATenOperator {
    static let constants: [String: ATenOperator] = [
        "arange.default": .value(range), "arange.start": .value(range),
        "arange.start_step": .value(range),
        "zeros.default": .value { try full($0, of: 0, in: &$1) },
        "ones.default": .value { try full($0, of: 1, in: &$1) },
        "empty.memory_format": .value { try full($0, of: 0, in: &$1) },
        "full.default": .value { try full($0, of: $0.number("fill_value"), in: &$1) },
        "zeros_like.default": .value { try full($0, of: 0, in: &$1) },
        "ones_like.default": .value { try full($0, of: 1, in: &$1) },
        "full_like.default": .value { try full($0, of: $0.number("fill_value"), in: &$1) },
        "new_zeros.default": .value { try full($0, of: 0, in: &$1) },
        "new_ones.default": .value { try full($0, of: 1, in: &$1) },
        "new_full.default": .value { try full($0, of: $0.number("fill_value"), in: &$1) },
        "scalar_tensor.default": .value { try full($0, of: $0.number("s"), in: &$1) },
    ]

    /// The type of what a call yields: whether it is of real numbers, or of truths.
    private static func kind(_ call: ATenCall, in reader: ATenReader) -> (
        isReal: Bool, isTruth: Bool
    ) {
        let name = call.node.outputs.first ?? ""
        return (reader.isReal(name), reader.program.values[name]?.type == 12)
    }

    private static func range(
        _ call: ATenCall, in reader: inout ATenReader
    ) throws -> String {
        let count = try reader.shape(ofResult: call).first ?? 0
        guard (1...ONNXConstants.maximumCount).contains(count) else {
            throw call.fail(.large([count]))
        }
        let start = call.number("start") ?? 0
        let step = call.number("step") ?? 1
        let values = (0..<count).map { start + Double($0) * step }
        return reader.draft.constant(
            ONNXConstants.tensor(
                values, shape: [count], isInteger: !kind(call, in: reader).isReal),
            name: call.path)
    }

    private static func full(
        _ call: ATenCall, of number: Double?, in reader: inout ATenReader
    ) throws -> String {
        let shape = Shape(try reader.shape(ofResult: call))
        guard let number else { throw call.fail(.computedNumber) }
        guard let count = shape.checkedCount, count <= ONNXConstants.maximumCount else {
            throw call.fail(.large(shape.dimensions))
        }
        let values = [Double](repeating: number, count: count)
        return reader.draft.constant(
            ONNXConstants.tensor(
                values, shape: shape, isInteger: !kind(call, in: reader).isReal),
            name: call.path)
    }
}
