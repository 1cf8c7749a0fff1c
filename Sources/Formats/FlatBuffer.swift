// FlatBuffers: tables of offsets into one run of bytes, every one of them checked.

import GraftTensors

/// A table of a flatbuffer (https://flatbuffers.dev/internals/): fields by number, absent ones nil.
struct FlatTable {
    private let bytes: UnsafeRawBufferPointer
    private let source: Source
    private let position: Int
    private let fields: Range<Int>

    /// The table that the buffer begins with.
    init(root bytes: UnsafeRawBufferPointer, _ source: Source) throws {
        var cursor = try ByteCursor(bytes, in: source)
        try self.init(bytes, at: try cursor.size(UInt32.self), source)
    }

    private init(_ bytes: UnsafeRawBufferPointer, at position: Int, _ source: Source) throws {
        var cursor = try ByteCursor(bytes, at: position, in: source)
        let distance = Int(try cursor.integer(Int32.self))
        let start = position - distance
        cursor = try ByteCursor(bytes, at: start, in: source)
        let count = Int(try cursor.integer(UInt16.self))
        guard count >= 4, count.isMultiple(of: 2), count <= bytes.count - start else {
            throw source.malformed(.bytes(.noFields(at: position)))
        }
        self.bytes = bytes
        self.source = source
        self.position = position
        fields = (start + 4)..<(start + count)
    }

    /// Where a field lies, if it is there.
    private func place(_ field: Int) throws -> Int? {
        let at = fields.lowerBound + field * 2
        guard at + 2 <= fields.upperBound else { return nil }
        var cursor = try ByteCursor(bytes, at: at, in: source)
        let offset = Int(try cursor.integer(UInt16.self))
        return offset == 0 ? nil : position + offset
    }

    func integer<I: FixedWidthInteger & BitwiseCopyable>(_ field: Int, _ usual: I) throws -> I {
        guard let place = try place(field) else { return usual }
        var cursor = try ByteCursor(bytes, at: place, in: source)
        return try cursor.integer(I.self)
    }

    /// Where something that a field points to begins.
    private func target(_ field: Int) throws -> Int? {
        guard let place = try place(field) else { return nil }
        return try pointed(at: place)
    }

    private func pointed(at place: Int) throws -> Int {
        var cursor = try ByteCursor(bytes, at: place, in: source)
        return place + (try cursor.size(UInt32.self))
    }

    func table(_ field: Int) throws -> FlatTable? {
        try target(field).map { try FlatTable(bytes, at: $0, source) }
    }

    /// The elements of a vector, as bytes of `width` each.
    private func vector(_ field: Int, width: Int) throws -> Range<Int>? {
        guard let start = try target(field) else { return nil }
        var cursor = try ByteCursor(bytes, at: start, in: source)
        let count = try cursor.size(UInt32.self)
        guard count <= cursor.remaining / width else {
            throw source.malformed(.bytes(.vectorOutside(at: start)))
        }
        return cursor.offset..<(cursor.offset + count * width)
    }

    /// Where the bytes of a vector lie in the buffer.
    func bytes(_ field: Int) throws -> Range<Int>? { try vector(field, width: 1) }

    /// How many elements a vector says that it has.
    func count(_ field: Int) throws -> Int? { try vector(field, width: 1)?.count }

    func text(_ field: Int) throws -> String? {
        guard let range = try vector(field, width: 1) else { return nil }
        var cursor = try ByteCursor(bytes, at: range.lowerBound, in: source)
        return try cursor.text(range.count)
    }

    func integers<I: FixedWidthInteger & BitwiseCopyable>(_ field: Int, _: I.Type) throws -> [I] {
        guard let range = try vector(field, width: MemoryLayout<I>.size) else { return [] }
        var cursor = try ByteCursor(bytes, at: range.lowerBound, in: source)
        return try (0..<(range.count / MemoryLayout<I>.size)).map { _ in
            try cursor.integer(I.self)
        }
    }

    func tables(_ field: Int) throws -> [FlatTable] {
        guard let range = try vector(field, width: 4) else { return [] }
        return try stride(from: range.lowerBound, to: range.upperBound, by: 4).map {
            try FlatTable(bytes, at: try pointed(at: $0), source)
        }
    }
}
