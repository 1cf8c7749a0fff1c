// The weights of ONNX models, mapped where they lie.

internal import GraftSchemas
import GraftTensors
import OrderedCollections
internal import SwiftProtobuf

/// Reads the initializers and constants of an ONNX model (onnx.proto3), also those in other files.
///
/// The fields of the model are walked and only the small ones parsed, so that weights of gigabytes
/// are never copied.
enum ONNXFile {
    private enum Field {
        static let (modelGraph, modelOpset) = (7, 8)
        static let (node, initializer) = (1, 5)
        static let (nodeOutput, nodeType, nodeAttribute) = (2, 4, 5)
        static let (attributeName, attributeTensor) = (1, 5)
        static let raw = 9
        /// Numbers that are no `raw_data`: floats, int32s, strings, int64s, doubles, uint64s.
        static let numbers: Set<Int> = [4, 5, 6, 7, 10, 11]
    }
    /// Of `ModelProto`: fields that are numbers, and fields that are messages or text.
    private static let (numbers, messages): (Set<Int>, Set<Int>) =
        ([1, 5], [2, 3, 4, 6, 7, 8, 14, 20, 25, 26])

    /// Whether the bytes are a protobuf with the fields of a model.
    static func isModel(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var found: Set<Int> = []
        do {
            let source = Source(path: "", format: "ONNX")
            for field in try ProtobufField.list(bytes, 0..<bytes.count, source, limit: 10_000) {
                guard (field.isBytes ? messages : numbers).contains(field.number) else {
                    return false
                }
                found.insert(field.number)
            }
        } catch { return false }
        return found.isSuperset(of: [Field.modelGraph, Field.modelOpset])
    }

    static func read(_ storage: Storage, _ source: Source) throws -> StateDict {
        let source = Source(path: source.path, format: "ONNX")
        var files: [String: Storage] = [:]
        var state = StateDict()
        try storage.withBytes { bytes in
            let model = try ProtobufField.list(bytes, 0..<bytes.count, source)
            let graphs = model.filter { $0.number == Field.modelGraph && $0.isBytes }
            guard graphs.count == 1, let graph = graphs.first else {
                throw source.malformed(.onnx(.graphCount(graphs.count)))
            }
            func add(_ range: Range<Int>, as output: String? = nil) throws {
                let (name, tensor) = try tensor(storage, bytes, range, &files, source)
                guard state.tensors.updateValue(tensor, forKey: output ?? name) == nil else {
                    throw source.malformed(.onnx(.duplicate(weight: output ?? name)))
                }
            }
            for field in try ProtobufField.list(bytes, graph.range, source) where field.isBytes {
                if field.number == Field.initializer { try add(field.range) }
                // Some exporters keep the weights in the graph, in nodes that yield them.
                guard field.number == Field.node,
                    let constant = try constant(bytes, field.range, source)
                else { continue }
                try add(constant.tensor, as: constant.name)
            }
        }
        return state
    }

    /// What the node at `range` yields and where its tensor lies, if it is a `Constant` of one.
    private static func constant(
        _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, _ source: Source
    ) throws -> (name: String, tensor: Range<Int>)? {
        func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
        let fields = try ProtobufField.list(bytes, range, source).filter(\.isBytes)
        guard let type = fields.first(where: { $0.number == Field.nodeType }),
            text(type.range) == "Constant",
            let output = fields.first(where: { $0.number == Field.nodeOutput })
        else { return nil }
        for attribute in fields where attribute.number == Field.nodeAttribute {
            let parts = try ProtobufField.list(bytes, attribute.range, source).filter(\.isBytes)
            guard
                let name = parts.first(where: { $0.number == Field.attributeName }),
                text(name.range) == "value",
                let tensor = parts.first(where: { $0.number == Field.attributeTensor })
            else { continue }
            return (text(output.range), tensor.range)
        }
        return nil
    }

    private static func tensor(
        _ storage: Storage, _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>,
        _ files: inout [String: Storage], _ source: Source
    ) throws -> (String, LazyTensor) {
        // The message without its numbers.
        var head: [UInt8] = []
        var raw: Range<Int>?
        for field in try ProtobufField.list(bytes, range, source) {
            if field.number == Field.raw {
                raw = field.range
            } else if !Field.numbers.contains(field.number) {
                head += bytes[field.whole]
                guard head.count <= 1 << 20 else {
                    throw source.malformed(.onnx(.longDescription))
                }
            }
        }
        let proto: Onnx_TensorProto
        do {
            proto = try Onnx_TensorProto(serializedBytes: head)
        } catch {
            throw source.malformed(.onnx(.brokenWeight(nil)))
        }
        let name = proto.name
        guard let dtype = proto.graftType else {
            throw source.unsupported(.numberType(tensor: name, code: Int(proto.dataType)))
        }
        let shape = Shape(proto.dims.map { Int(clamping: $0) })
        guard let byteCount = shape.checkedByteCount(dtype) else {
            throw source.malformed(.onnx(.impossibleShape(weight: name, shape)))
        }
        if proto.dataLocation == .external {
            return (name, try external(proto, dtype, shape, &files, source))
        }
        guard let raw else {
            // Numbers one by one, at least a byte each.
            guard byteCount / 16 <= range.count else {
                throw source.malformed(.onnx(.fewNumbers(weight: name, shape)))
            }
            return (
                name,
                LazyTensor(dtype, shape) {
                    try storage.withBytes { bytes in
                        do {
                            return try Onnx_TensorProto(serializedBytes: Array(bytes[range]))
                                .tensor()
                        } catch let problem as ONNXModel.Problem {
                            throw source.malformed(.onnx(.problem(problem.reason)))
                        } catch {
                            throw source.malformed(.onnx(.brokenWeight(name)))
                        }
                    }
                }
            )
        }
        guard raw.count == byteCount else {
            throw source.malformed(
                .onnx(
                    .wrongSize(weight: name, shape, expected: byteCount, found: raw.count)))
        }
        return (
            name,
            LazyTensor(dtype, shape) {
                Tensor(dtype, shape, storage: storage, byteOffset: raw.lowerBound)
            }
        )
    }

    /// A weight in a file beside the model, as models over 2 GB have them.
    private static func external(
        _ proto: Onnx_TensorProto, _ dtype: DType, _ shape: Shape, _ files: inout [String: Storage],
        _ source: Source
    ) throws -> LazyTensor {
        var settings: [String: String] = [:]
        for pair in proto.externalData { settings[pair.key] = pair.value }
        guard let location = settings["location"], Checkpoint.isPlain(location) else {
            throw source.unsupported(
                .notBeside(tensor: proto.name, file: settings["location"] ?? ""))
        }
        let file = try files[location] ?? Storage(mapping: source.sibling(location))
        files[location] = file
        let byteCount = shape.checkedByteCount(dtype) ?? .max
        guard let offset = Int(settings["offset"] ?? "0"), offset >= 0,
            let length = Int(settings["length"] ?? String(byteCount)), length == byteCount,
            offset <= file.byteCount, length <= file.byteCount - offset
        else {
            throw source.malformed(
                .onnx(
                    .outside(
                        weight: proto.name, shape, location: location, byteCount: file.byteCount)))
        }
        return LazyTensor(dtype, shape) {
            Tensor(dtype, shape, storage: file, byteOffset: offset)
        }
    }
}

/// A field of a protobuf message, found by walking over it.
struct ProtobufField {
    let number: Int
    /// Whether it is text, bytes or a message, and not a number.
    let isBytes: Bool
    /// Where its value lies.
    let range: Range<Int>
    /// Where it lies with its tag.
    let whole: Range<Int>

    /// The fields of the message at `range`.
    static func list(
        _ bytes: UnsafeRawBufferPointer, _ range: Range<Int>, _ source: Source,
        limit: Int = 4_000_000
    ) throws -> [ProtobufField] {
        let message = UnsafeRawBufferPointer(rebasing: bytes[range])
        var cursor = try ByteCursor(message, in: source)
        var fields: [ProtobufField] = []
        while cursor.remaining > 0 {
            let start = cursor.offset
            let tag = try cursor.varint()
            var value = cursor.offset
            switch tag & 7 {
            case 0: try cursor.skipVarint()
            case 1: _ = try cursor.take(8)
            case 2:
                let count = try cursor.varint()
                value = cursor.offset
                _ = try cursor.take(count)
            case 5: _ = try cursor.take(4)
            default: throw source.malformed(.bytes(.protobufKind))
            }
            guard fields.count < limit, tag >> 3 > 0 else {
                throw source.malformed(.bytes(.protobufFields(limit: limit)))
            }
            let base = range.lowerBound
            fields.append(
                ProtobufField(
                    number: tag >> 3, isBytes: tag & 7 == 2,
                    range: (base + value)..<(base + cursor.offset),
                    whole: (base + start)..<(base + cursor.offset)))
        }
        return fields
    }
}

extension ByteCursor {
    /// Passes over a number, which may be negative and so have ten bytes.
    fileprivate mutating func skipVarint() throws {
        for _ in 0..<10 where try byte() & 0x80 == 0 { return }
        throw source.malformed(.bytes(.numberTooLarge(at: offset)))
    }
}
