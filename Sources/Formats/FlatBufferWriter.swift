// FlatBuffers as they are written: tables and vectors first, large runs of bytes after them.

import GraftTensors

/// A value of a flatbuffer.
indirect enum FlatValue {
    case byte(Int8)
    case integer(Int32)
    case long(UInt64)
    case number(Float)
    case text(String)
    case integers([Int32])
    case longs([Int64])
    case numbers([Float])
    case bytes([UInt8])
    /// The numbers of a tensor as a vector of bytes, written behind all else.
    case tensor(LazyTensor)
    /// Fields by their numbers.
    case table([Int: FlatValue])
    case tables([FlatValue])

    /// The size in a table: of the value itself, or of the way to it.
    fileprivate var width: Int {
        switch self {
        case .byte: 1
        case .long: 8
        default: 4
        }
    }
}

/// Lays a flatbuffer out (https://flatbuffers.dev/internals/).
struct FlatBufferWriter {
    /// The largest file that readers with signed offsets take.
    static let maximumByteCount = Int(Int32.max)

    private var bytes: [UInt8] = []
    /// Tensors, written behind the rest, and the places of the offsets to them.
    private var tensors: [(tensor: LazyTensor, place: Int)] = []
    /// The size of everything.
    private(set) var byteCount = 0
    private var places: [Int] = []

    /// A buffer whose root is a table.
    init(root: [Int: FlatValue], identifier: String) {
        bytes = [0, 0, 0, 0] + Array(identifier.utf8)
        let place = put(table: root)
        patch(UInt32(place), at: 0)
        align(to: 16)
        byteCount = bytes.count
        for (tensor, place) in tensors {
            // The numbers stand at a multiple of 16, their count before them.
            let start = (byteCount + 4 + 15) / 16 * 16
            places.append(start)
            patch(UInt32(truncatingIfNeeded: start - 4 - place), at: place)
            byteCount = start + tensor.byteCount
        }
    }

    /// Hands over the bytes in order.
    func write(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        try bytes.withUnsafeBytes(body)
        var end = bytes.count
        for ((tensor, _), start) in zip(tensors, places) {
            let gap = [UInt8](repeating: 0, count: start - 4 - end)
            try (gap + Self.little(UInt32(tensor.byteCount))).withUnsafeBytes(body)
            try tensor.load().withBytes { try body(UnsafeRawBufferPointer($0)) }
            end = start + tensor.byteCount
        }
    }

    /// All bytes at once, of a small buffer.
    func all() throws -> [UInt8] {
        var result: [UInt8] = []
        try write { result += $0 }
        return result
    }

    private static func little(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }

    private mutating func align(to width: Int, before lead: Int = 0) {
        while !(bytes.count + lead).isMultiple(of: width) { bytes.append(0) }
    }

    private mutating func patch(_ value: UInt32, at place: Int) {
        bytes.replaceSubrange(place..<(place + 4), with: Self.little(value))
    }

    /// Adds a table and returns where it is.
    private mutating func put(table fields: [Int: FlatValue]) -> Int {
        let slots = (fields.keys.max() ?? -1) + 1
        // Wide fields first, so that each stands at a multiple of its size.
        let order = fields.sorted { ($1.value.width, $0.key) < ($0.value.width, $1.key) }
        let hasLong = order.first?.value.width == 8
        var offset = hasLong ? 8 : 4
        var offsets: [Int: Int] = [:]
        for (field, value) in order {
            offsets[field] = offset
            offset += value.width
        }
        let start = bytes.count + (bytes.count & 1)
        if bytes.count & 1 == 1 { bytes.append(0) }
        bytes += Self.little(UInt16(4 + 2 * slots)) + Self.little(UInt16(offset))
        for slot in 0..<slots { bytes += Self.little(UInt16(offsets[slot] ?? 0)) }
        align(to: 8)
        let table = bytes.count
        bytes += Self.little(Int32(table - start))
        bytes += [UInt8](repeating: 0, count: offset - 4)
        for (field, value) in order {
            guard let own = offsets[field] else { continue }
            put(value, at: table + own)
        }
        return table
    }

    /// Writes a value into its place, and what it leads to behind.
    private mutating func put(_ value: FlatValue, at place: Int) {
        func set(_ little: [UInt8], in bytes: inout [UInt8]) {
            bytes.replaceSubrange(place..<(place + little.count), with: little)
        }
        switch value {
        case .byte(let value): set(Self.little(value), in: &bytes)
        case .integer(let value): set(Self.little(value), in: &bytes)
        case .long(let value): set(Self.little(value), in: &bytes)
        case .number(let value): set(Self.little(value.bitPattern), in: &bytes)
        case .text(let text):
            put(vector: Array(text.utf8) + [0], count: text.utf8.count, width: 1, from: place)
        case .integers(let values):
            put(vector: values.flatMap(Self.little), count: values.count, width: 4, from: place)
        case .longs(let values):
            put(vector: values.flatMap(Self.little), count: values.count, width: 8, from: place)
        case .numbers(let values):
            put(
                vector: values.flatMap { Self.little($0.bitPattern) }, count: values.count,
                width: 4, from: place)
        case .bytes(let values): put(vector: values, count: values.count, width: 16, from: place)
        case .tensor(let tensor): tensors.append((tensor, place))
        case .table(let fields):
            let table = put(table: fields)
            patch(UInt32(table - place), at: place)
        case .tables(let values):
            align(to: 4)
            patch(UInt32(bytes.count - place), at: place)
            bytes += Self.little(UInt32(values.count))
            let first = bytes.count
            bytes += [UInt8](repeating: 0, count: 4 * values.count)
            for (index, value) in values.enumerated() { put(value, at: first + 4 * index) }
        }
    }

    private mutating func put(vector: [UInt8], count: Int, width: Int, from place: Int) {
        align(to: max(width, 4), before: 4)
        patch(UInt32(bytes.count - place), at: place)
        bytes += Self.little(UInt32(count)) + vector
    }
}
