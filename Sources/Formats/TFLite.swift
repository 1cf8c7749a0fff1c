// The weights of TensorFlow Lite models.

import GraftTensors

/// Reads the tensors of a `.tflite` file that have numbers in it (schema version 3).
///
/// Quantised weights are integers; their scales and zero points are the tensors `name/scale` and
/// `name/zero_point`.
enum TFLite {
    static let identifier = Array("TFL3".utf8)

    /// Numbers of fields in tensorflow/compiler/mlir/lite/schema/schema.fbs.
    enum Field {
        static let subgraphs = 2
        static let description = 3
        static let buffers = 4
        static let tensors = 0
        static let (shape, type, buffer, name, quantization, sparsity) = (0, 1, 2, 3, 4, 6)
        static let (data, offset, size) = (0, 1, 2)
        static let (scale, zeroPoint) = (2, 3)
    }

    static func read(_ storage: Storage, _ source: Source) throws -> StateDict {
        let source = Source(path: source.path, format: "TFLite")
        return try storage.withBytes { bytes in
            let model = try FlatTable(root: bytes, source)
            var state = StateDict(axes: .tflite)
            state.metadata["description"] = try model.text(Field.description)
            try walk(model, byteCount: bytes.count, in: source) { place in
                guard !place.range.isEmpty else { return }
                try add(place.table, place.name, storage, place.range, source, &state)
            }
            return state
        }
    }

    /// A tensor of a model, under the name that its numbers have in a state dict.
    struct Place {
        let subgraph: Int
        let table: FlatTable
        let name: String
        /// The bytes of its numbers; empty if it is computed.
        let range: Range<Int>
    }

    /// Calls `body` with each tensor of each graph.
    static func walk(
        _ model: FlatTable, byteCount: Int, in source: Source, body: (Place) throws -> Void
    ) throws {
        let buffers = try model.tables(Field.buffers)
        // Tables may be named from many places, and so be more than the file.
        var budget = byteCount &* 8 + 1 << 16
        var taken: Set<String> = []
        for (number, subgraph) in try model.tables(Field.subgraphs).enumerated() {
            for (index, tensor) in try subgraph.tables(Field.tensors).enumerated() {
                budget -= try cost(tensor)
                guard budget > 0 else { throw source.malformed(.tflite(.largeTables)) }
                let buffer = Int(try tensor.integer(Field.buffer, UInt32(0)))
                guard buffer < buffers.count else {
                    throw source.malformed(.tflite(.noBuffer(buffer, count: buffers.count)))
                }
                let range = try range(buffers[buffer], byteCount: byteCount, in: source)
                var name = try tensor.text(Field.name) ?? ""
                if name.isEmpty { name = "tensor_\(index)" }
                if number > 0 { name = "subgraph_\(number)/\(name)" }
                if !range.isEmpty {
                    // Names need not be unique.
                    if taken.contains(name) { name += "#\(index)" }
                    taken.formUnion([name, name + "/scale", name + "/zero_point"])
                }
                try body(Place(subgraph: number, table: tensor, name: name, range: range))
            }
        }
    }

    /// The bytes that a tensor's description takes in memory, about.
    private static func cost(_ tensor: FlatTable) throws -> Int {
        let quantization = try tensor.table(Field.quantization)
        let lists = [
            try tensor.bytes(Field.name)?.count, try tensor.count(Field.shape).map { $0 * 8 },
            try quantization?.count(Field.scale).map { $0 * 4 },
            try quantization?.count(Field.zeroPoint).map { $0 * 8 },
        ]
        return lists.reduce(32) { $0 + ($1 ?? 0) }
    }

    /// Where the numbers of a buffer lie; empty for what is computed. Models over 2 GB keep them
    /// behind the flatbuffer.
    static func range(_ buffer: FlatTable, byteCount count: Int, in source: Source) throws
        -> Range<Int>
    {
        let offset = try buffer.integer(Field.offset, UInt64(0))
        guard offset > 1 else { return try buffer.bytes(Field.data) ?? 0..<0 }
        let size = try buffer.integer(Field.size, UInt64(0))
        guard offset <= count, size <= UInt64(count) - offset else {
            throw source.malformed(.tflite(.outside))
        }
        return Int(offset)..<Int(offset + size)
    }

    private static func add(
        _ tensor: FlatTable, _ name: String, _ storage: Storage, _ range: Range<Int>,
        _ source: Source, _ state: inout StateDict
    ) throws {
        let code = try tensor.integer(Field.type, Int8(0))
        // Text, such as labels: no numbers.
        guard code != 5 else { return }
        guard let dtype = dtype(code) else {
            throw source.unsupported(.numberType(tensor: name, code: Int(code)))
        }
        let shape = Shape(try tensor.integers(Field.shape, Int32.self).map { Int($0) })
        if let sparsity = try tensor.table(Field.sparsity) {
            let sparse = try TFLiteSparsity(sparsity, name, dtype, shape, source)
            guard let byteCount = shape.checkedByteCount(dtype),
                byteCount / 1000 <= storage.byteCount
            else { throw source.malformed(.tflite(.impossibleShape(tensor: name, shape))) }
            state[name] = LazyTensor(dtype, shape) { try sparse.dense(storage, range) }
        } else {
            guard shape.checkedByteCount(dtype) == range.count else {
                throw source.malformed(
                    .tflite(.wrongSize(tensor: name, dtype, shape, found: range.count)))
            }
            state[name] = LazyTensor(dtype, shape) {
                Tensor(dtype, shape, storage: storage, byteOffset: range.lowerBound)
            }
        }
        guard let quantization = try tensor.table(Field.quantization) else { return }
        let scale = try quantization.integers(Field.scale, UInt32.self)
        guard !scale.isEmpty else { return }
        let zero = try quantization.integers(Field.zeroPoint, Int64.self)
        for (suffix, tensor) in [
            ("scale", Tensor(.f32, [scale.count], storage: Storage(scale))),
            ("zero_point", Tensor(.i64, [zero.count], storage: Storage(zero))),
        ] where state["\(name)/\(suffix)"] == nil {
            state["\(name)/\(suffix)"] = LazyTensor(tensor)
        }
    }

    static func dtype(_ code: Int8) -> DType? {
        switch code {
        case 0: .f32
        case 1: .f16
        case 2: .i32
        case 3: .u8
        case 4: .i64
        case 6: .bool
        case 7: .i16
        case 8: .c64
        case 9: .i8
        case 10: .f64
        case 12: .u64
        case 15: .u32
        case 16: .u16
        case 18: .bf16
        default: nil
        }
    }
}
