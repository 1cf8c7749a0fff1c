// TensorFlow's checkpoints and SavedModels: a table of what there is, and shards of numbers.

internal import GraftSchemas
import GraftTensors
import OrderedCollections
internal import SwiftProtobuf

/// Reads `<prefix>.index` and `<prefix>.data-00000-of-00001`… (tensor_bundle.proto).
///
/// Variables have the names that their authors gave them; where the checkpoint knows objects and
/// not names, the object graph in it says which is which. Text and optimiser slots that are no
/// numbers are passed over.
enum TensorBundle {
    static let graphKey = "_CHECKPOINTABLE_OBJECT_GRAPH"

    static func read(_ index: Storage, _ source: Source) throws -> StateDict {
        let source = Source(path: source.path, format: "TensorFlow checkpoint")
        guard source.path.hasSuffix(".index") else {
            throw source.unsupported(.renamedIndex)
        }
        var bundle = try Bundle(index, source)
        var state = StateDict(axes: .keras)
        for variable in try bundle.variables() {
            state[variable.name] = try bundle.tensor(variable)
        }
        guard !state.tensors.isEmpty else { throw source.unsupported(.emptyCheckpoint) }
        return state
    }

    /// The type of a `DataType`; nil for text and what is no number.
    static func dtype(_ code: Int32) -> DType? {
        switch code {
        case 1: .f32
        case 2: .f64
        case 3: .i32
        case 4: .u8
        case 5: .i16
        case 6: .i8
        case 8: .c64
        case 9: .i64
        case 10: .bool
        case 14: .bf16
        case 17: .u16
        case 19: .f16
        case 22: .u32
        case 23: .u64
        case 24: .f8e5m2
        case 25: .f8e4m3
        default: nil
        }
    }
}

/// The entries of a checkpoint and the files that they point into.
private struct Bundle {
    /// A tensor of the checkpoint: what it is called, the key it is under, and what is there.
    struct Variable {
        let name: String
        let key: [UInt8]
        let entry: Tensorflow_BundleEntryProto
    }

    private var entries: OrderedDictionary<[UInt8], Tensorflow_BundleEntryProto> = [:]
    private var shards: [Int32: Storage] = [:]
    private let shardCount: Int32
    private let source: Source

    init(_ index: Storage, _ source: Source) throws {
        self.source = source
        var table = try SortedTable.entries(index, source)
        guard let first = table.first, first.key.isEmpty else {
            throw source.malformed(.tensorFlow(.noHeader))
        }
        table.removeFirst()
        do {
            let header = try Tensorflow_BundleHeaderProto(serializedBytes: first.value)
            guard header.endianness == .little else {
                throw source.unsupported(.bigEndian)
            }
            shardCount = header.numShards
            for (key, value) in table {
                let entry = try Tensorflow_BundleEntryProto(serializedBytes: value)
                guard entries.updateValue(entry, forKey: key) == nil else {
                    throw source.malformed(
                        .tensorFlow(.duplicateKey(String(decoding: key, as: UTF8.self))))
                }
            }
        } catch let error as FormatError {
            throw error
        } catch {
            throw source.malformed(.tensorFlow(.brokenEntry))
        }
    }

    /// What is a tensor of numbers, under its author's name.
    mutating func variables() throws -> [Variable] {
        let named = try names()
        var keys: [(key: String, entry: Tensorflow_BundleEntryProto)] = []
        for (bytes, entry) in entries where bytes.first != 0 {
            guard let key = String(validating: bytes, as: UTF8.self) else {
                throw source.malformed(.tensorFlow(.nameNotText))
            }
            // 7 is text, 20 and 21 are handles: nothing that a network computes with.
            guard ![7, 20, 21].contains(entry.dtype), key != TensorBundle.graphKey else { continue }
            guard TensorBundle.dtype(entry.dtype) != nil else {
                throw source.unsupported(.numberType(tensor: key, code: Int(entry.dtype)))
            }
            keys.append((key, entry))
        }
        var owners: [String: [Int]] = [:]
        for (index, it) in keys.enumerated() {
            owners[named[it.key] ?? stem(it.key), default: []].append(index)
        }
        var result: [Variable] = []
        for (index, it) in keys.enumerated() {
            let name = named[it.key] ?? stem(it.key)
            let others = owners[name, default: []].filter { $0 != index }
            // Keras' export keeps every variable twice.
            let isCopy =
                it.key.hasPrefix("_all_variables/")
                && others.contains { keys[$0].entry.crc32C == it.entry.crc32C }
            if isCopy { continue }
            let rivals = others.filter { !keys[$0].key.hasPrefix("_all_variables/") }
            result.append(
                Variable(
                    name: rivals.isEmpty ? name : stem(it.key), key: Array(it.key.utf8),
                    entry: it.entry))
        }
        guard Set(result.map(\.name)).count == result.count else {
            throw source.malformed(.tensorFlow(.duplicateName))
        }
        return result
    }

    private func stem(_ key: String) -> String {
        let suffix = "/.ATTRIBUTES/VARIABLE_VALUE"
        return key.hasSuffix(suffix) ? String(key.dropLast(suffix.count)) : key
    }

    /// The names that the object graph gives to keys.
    private mutating func names() throws -> [String: String] {
        guard let entry = entries[Array(TensorBundle.graphKey.utf8)], entry.dtype == 7 else {
            return [:]
        }
        let storage = try shard(entry.shardID)
        let text: [UInt8] = try storage.withBytes { bytes in
            var cursor = try ByteCursor(
                try slice(bytes, entry, TensorBundle.graphKey), in: source)
            // One text: its length, a checksum of that, and its bytes; the checksum of all counts
            // the length as 32 bits.
            let count = try cursor.varint()
            let middle = try cursor.take(4)
            let text = try cursor.take(count)
            var checksum = CRC32C()
            withUnsafeBytes(of: UInt32(truncatingIfNeeded: count).littleEndian) {
                checksum.update($0)
            }
            checksum.update(middle)
            checksum.update(text)
            guard checksum.masked == entry.crc32C else {
                throw source.malformed(.tensorFlow(.graphChecksum))
            }
            return Array(text)
        }
        let graph: Tensorflow_TrackableObjectGraph
        do {
            graph = try Tensorflow_TrackableObjectGraph(serializedBytes: text)
        } catch {
            throw source.malformed(.tensorFlow(.brokenGraph))
        }
        var names: [String: String] = [:]
        for attribute in graph.nodes.lazy.flatMap(\.attributes) where !attribute.fullName.isEmpty {
            names[attribute.checkpointKey] = attribute.fullName
        }
        return names
    }

    private mutating func shard(_ number: Int32) throws -> Storage {
        if let shard = shards[number] { return shard }
        guard (0..<shardCount).contains(number), shardCount <= 99_999 else {
            throw source.malformed(.tensorFlow(.noFile(Int(number), count: Int(shardCount))))
        }
        func padded(_ number: Int32) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
        }
        let prefix = source.path.dropLast("index".count)
        let shard = try Storage(mapping: "\(prefix)data-\(padded(number))-of-\(padded(shardCount))")
        shards[number] = shard
        return shard
    }

    private func range(_ entry: Tensorflow_BundleEntryProto, in count: Int, _ name: String) throws
        -> Range<Int>
    {
        let (start, size) = (Int(entry.offset), Int(entry.size))
        guard start >= 0, size >= 0, start <= count, size <= count - start else {
            throw source.malformed(.tensorFlow(.outside(variable: name, byteCount: count)))
        }
        return start..<(start + size)
    }

    private func slice(
        _ bytes: UnsafeRawBufferPointer, _ entry: Tensorflow_BundleEntryProto, _ name: String
    ) throws -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[try range(entry, in: bytes.count, name)])
    }

    private func shape(_ entry: Tensorflow_BundleEntryProto) -> Shape {
        Shape(entry.shape.dim.map { Int(clamping: $0.size) })
    }

    mutating func tensor(_ variable: Variable) throws -> LazyTensor {
        let (name, entry) = (variable.name, variable.entry)
        guard let dtype = TensorBundle.dtype(entry.dtype) else {
            throw source.unsupported(.numberType(tensor: name, code: Int(entry.dtype)))
        }
        guard entry.slices.isEmpty else { return try joined(variable, dtype) }
        let shape = shape(entry)
        let storage = try shard(entry.shardID)
        let range = try range(entry, in: storage.byteCount, name)
        guard shape.checkedByteCount(dtype) == range.count else {
            throw source.malformed(
                .tensorFlow(
                    .wrongSize(
                        variable: name, shape, expected: shape.checkedByteCount(dtype),
                        found: range.count)))
        }
        let (source, expected) = (source, entry.crc32C)
        return LazyTensor(dtype, shape) {
            let tensor = Tensor(dtype, shape, storage: storage, byteOffset: range.lowerBound)
            var checksum = CRC32C()
            try LazyTensor(tensor).stream { checksum.update($0) }
            guard checksum.masked == expected else {
                throw source.malformed(.tensorFlow(.checksum(variable: name)))
            }
            return tensor
        }
    }

    /// A variable of TensorFlow 1 that was saved in parts.
    private mutating func joined(_ variable: Variable, _ dtype: DType) throws -> LazyTensor {
        let (name, entry) = (variable.name, variable.entry)
        let shape = shape(entry)
        guard let count = shape.checkedCount, shape.checkedByteCount(dtype) != nil,
            entry.slices.count <= 4096
        else { throw source.malformed(.tensorFlow(.impossibleShape(variable: name, shape))) }
        var parts: [(box: [Range<Int>], tensor: LazyTensor)] = []
        var covered = 0
        for slice in entry.slices {
            guard slice.extent.count == shape.rank else {
                throw source.malformed(.tensorFlow(.part(of: name, .axes(shape))))
            }
            var box: [Range<Int>] = []
            for (extent, size) in zip(slice.extent, shape.dimensions) {
                let isWhole = extent.hasLengthHack_p == nil
                let (start, length) = (Int(extent.start), isWhole ? size : Int(extent.length))
                guard start >= 0, length >= 0, start <= size, length <= size - start else {
                    throw source.malformed(.tensorFlow(.part(of: name, .outside(shape))))
                }
                guard length > 0 || size == 0 else {
                    throw source.malformed(.tensorFlow(.part(of: name, .empty)))
                }
                box.append(start..<(start + length))
            }
            let key = OrderedCode.key(name: variable.key, slice)
            guard let found = entries[key],
                found.slices.isEmpty, found.dtype == entry.dtype
            else { throw source.malformed(.tensorFlow(.part(of: name, .missing))) }
            let tensor = try tensor(Variable(name: name, key: key, entry: found))
            guard tensor.shape.dimensions == box.map(\.count) else {
                throw source.malformed(.tensorFlow(.part(of: name, .shape(tensor.shape))))
            }
            for other in parts where zip(other.box, box).allSatisfy({ $0.overlaps($1) }) {
                throw source.malformed(.tensorFlow(.part(of: name, .overlap)))
            }
            covered += tensor.count
            parts.append((box, tensor))
        }
        guard covered == count else {
            throw source.malformed(.tensorFlow(.part(of: name, .missing)))
        }
        let pieces = parts
        return LazyTensor(dtype, shape) { try assemble(dtype, shape, pieces) }
    }
}

/// Parts that tile `shape`, put together.
private func assemble(
    _ dtype: DType, _ shape: Shape, _ parts: [(box: [Range<Int>], tensor: LazyTensor)]
) throws -> Tensor {
    let spool = try Spool(byteCount: shape.count * dtype.byteCount)
    for (box, lazy) in parts where lazy.count > 0 {
        try lazy.load().withBytes { bytes in
            try spool.put(bytes, block: box, of: shape, width: dtype.byteCount)
        }
    }
    return Tensor(dtype, shape, storage: try spool.finish())
}

/// TensorFlow's keys for parts of variables, which sort like the names and numbers in them
/// (tensorflow/core/lib/strings/ordered_code.cc).
private enum OrderedCode {
    static func key(name: [UInt8], _ slice: Tensorflow_TensorSliceProto) -> [UInt8] {
        var key = number(0)
        for byte in name {
            switch byte {
            case 0: key += [0, 0xFF]
            case 0xFF: key += [0xFF, 0]
            default: key.append(byte)
            }
        }
        key += [0, 1] + number(UInt64(slice.extent.count))
        for extent in slice.extent {
            key += signed(extent.start)
            key += signed(extent.hasLengthHack_p == nil ? -1 : extent.length)
        }
        return key
    }

    /// The number of bytes, then the bytes, the highest first.
    private static func number(_ value: UInt64) -> [UInt8] {
        let bytes = (0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - $0 * 8)) }
            .drop { $0 == 0 }
        return [UInt8(bytes.count)] + bytes
    }

    /// As many leading ones as there are bytes, then the number; inverted if negative.
    private static func signed(_ value: Int64) -> [UInt8] {
        let magnitude = UInt64(bitPattern: value < 0 ? ~value : value)
        let bits = 64 - magnitude.leadingZeroBitCount
        let count = bits / 7 + 1
        let sign: UInt8 = value < 0 ? 0xFF : 0
        var bytes = [sign, sign]
        bytes += (0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - Int64($0) * 8)) }
        bytes = Array(bytes.suffix(count))
        let header: [(UInt8, UInt8)] = [
            (0, 0), (0x80, 0), (0xC0, 0), (0xE0, 0), (0xF0, 0), (0xF8, 0), (0xFC, 0), (0xFE, 0),
            (0xFF, 0), (0xFF, 0x80), (0xFF, 0xC0),
        ]
        bytes[0] ^= header[count].0
        if count > 1 { bytes[1] ^= header[count].1 }
        return bytes
    }
}
