// What the frozen part of a network made of each photo, kept on disk from run to run.

public import GraftImages
import GraftTensors

/// Values at a cut: one file for each model, cut, preprocessing and number type, mapped into memory
/// and shared by all runs and processes that use it.
///
/// The file is `features/<key>/values`, where the key is a digest of all that the values depend on
/// but the photo; a record is found by the digest of the photo's bytes and the view. Changing any
/// of them finds nothing, and nothing has to be invalidated.
///
/// The file is only ever appended to, under a lock, record by record: a process that is killed
/// leaves at most a part of one at the end, which the next writer cuts off. A record carries a
/// digest of itself, so that damage is noticed. Removing the file harms no run that has it open.
/// `Cache/README.md` draws the layout.
public final class FeatureCache {
    /// How a number is kept.
    public enum Element: String, Codable, Sendable, CaseIterable {
        /// As it was computed.
        case f32
        /// Half as large, 3 decimal digits; values beyond ±65504 become these.
        case f16

        var byteCount: Int { self == .f32 ? 4 : 2 }
    }

    /// Path of the values.
    public var path: String { records.path }
    /// The number of floats of a value.
    public let count: Int
    /// How they are kept.
    public let element: Element

    private let records: any FeatureRecords
    private let layout: RecordLayout
    private var known: Snapshot

    private static let magic = Array("GRAFTF2\n".utf8)

    /// Opens the records for values of `count` floats in `store`, or creates them.
    public init(
        in store: any FeatureStore, modelDigest: String, cut: String, preprocessing: Preprocessing,
        count: Int,
        element: Element = .f32
    ) throws {
        let facts = Facts(
            model: modelDigest, cut: cut, preprocessing: preprocessing, count: count,
            element: element, decoding: preprocessing.covering == nil ? nil : 2)
        let text = try RunFiles.json(facts)
        self.count = count
        self.element = element
        layout = RecordLayout(byteCount: count * element.byteCount)
        records = try store.records(
            key: String(RunFiles.digest(text.utf8).prefix(32)),
            header: try Self.header(text, layout.byteCount))
        known = Snapshot(layout: layout, mapping: nil, places: [:], count: 0)
        try refresh()
    }

    /// What the values depend on; written at the beginning of the file for people to read.
    private struct Facts: Encodable {
        var model: String
        var cut: String
        var preprocessing: Preprocessing
        var count: Int
        var element: Element
        /// The way in which large images are decoded at a fraction of their size; 2 resizes them from
        /// their exact edges.
        var decoding: Int?
    }

    private static func header(_ text: String, _ byteCount: Int) throws -> [UInt8] {
        let count = (0..<8).map { UInt8(truncatingIfNeeded: byteCount >> (8 * $0)) }
        var header = magic + count + Array(text.utf8)
        guard header.count < RecordLayout.start else {
            throw FileError("describe the features in", at: "the cache", .tooLong)
        }
        header.append(
            contentsOf: [UInt8](repeating: 0x20, count: RecordLayout.start - header.count))
        header[RecordLayout.start - 1] = 0x0A
        return header
    }

    /// The name of a photo with these bytes.
    public static func name(of photo: UnsafeRawBufferPointer) -> PhotoDigest {
        PhotoDigest(bytes: RunFiles.digest(photo))
    }

    /// What is known now, for any thread to ask.
    var snapshot: Snapshot { known }

    /// The place of a value, or nil if there is none.
    func place(_ photo: PhotoDigest, view: String) -> Int? {
        known.places[RecordKey(photo: photo, view: view)]
    }

    /// Copies the value at a place that ``place(_:view:)`` gave.
    func read(_ place: Int, into target: UnsafeMutableBufferPointer<Float>) {
        known.withPayload(place) { payload in
            switch element {
            case .f32:
                UnsafeMutableRawBufferPointer(target).copyMemory(from: payload)
            case .f16:
                for index in 0..<count {
                    target[index] = Float(
                        payload.loadUnaligned(fromByteOffset: index * 2, as: Float16.self))
                }
            }
        }
    }

    /// Keeps values; each appears whole or not at all, to this object after ``refresh()``.
    func append(
        _ values: [(photo: PhotoDigest, view: String, numbers: UnsafeBufferPointer<Float>)]
    ) throws {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(values.count * layout.size)
        for value in values {
            precondition(value.numbers.count == count)
            layout.append(
                RecordKey(photo: value.photo, view: value.view), payload(value.numbers), to: &bytes)
        }
        try records.append(bytes, recordByteCount: layout.size)
    }

    private func payload(_ numbers: UnsafeBufferPointer<Float>) -> [UInt8] {
        switch element {
        case .f32: return Array(UnsafeRawBufferPointer(numbers))
        case .f16:
            let halves = numbers.map { number in
                number.isFinite
                    ? Float16(min(max(number, -65504), 65504)) : Float16(number)
            }
            return halves.withUnsafeBytes(Array.init)
        }
    }

    /// Maps what has been added since, by this process and by others.
    func refresh() throws {
        let count = layout.records(in: try records.byteCount())
        guard count > known.count else { return }
        let mapping = try records.mapped(byteCount: RecordLayout.start + count * layout.size)
        var places = known.places
        mapping.withBytes { bytes in
            for record in known.count..<count { places[layout.key(at: record, in: bytes)] = record }
        }
        known = Snapshot(layout: layout, mapping: mapping, places: places, count: count)
    }
}

/// The SHA-256 of a photo's bytes.
public struct PhotoDigest: Sendable, Hashable {
    let bytes: [UInt8]
    /// As hexadecimal digits.
    public var hexadecimal: String { RunFiles.hexadecimal(bytes) }
}

/// What a record is found by.
struct RecordKey: Hashable, Sendable {
    /// 32 bytes of the photo's digest, 16 of the view's.
    let bytes: [UInt8]

    init(photo: PhotoDigest, view: String) {
        bytes = photo.bytes + Array(view.utf8).withUnsafeBytes(RunFiles.digest).prefix(16)
    }
    init(bytes: [UInt8]) { self.bytes = bytes }
}

/// Where records are: 48 bytes of key, 16 of digest, then the numbers, filled up to 64 bytes.
struct RecordLayout: Sendable {
    /// The length of the header: a page, so that records are aligned.
    static let start = 4096
    private static let head = 64
    let byteCount: Int
    var size: Int { Self.head + (byteCount + 63) / 64 * 64 }

    func records(in fileSize: Int) -> Int { max(fileSize - Self.start, 0) / size }

    func key(at record: Int, in bytes: UnsafeRawBufferPointer) -> RecordKey {
        let at = Self.start + record * size
        return RecordKey(bytes: Array(bytes[at..<(at + 48)]))
    }

    func payload(at record: Int, in bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        let at = Self.start + record * size + Self.head
        return UnsafeRawBufferPointer(rebasing: bytes[at..<(at + byteCount)])
    }

    func isWhole(_ record: Int, in bytes: UnsafeRawBufferPointer) -> Bool {
        let at = Self.start + record * size + 48
        return bytes[at..<(at + 16)].elementsEqual(
            RunFiles.digest(payload(at: record, in: bytes)).prefix(16))
    }

    func append(_ key: RecordKey, _ payload: [UInt8], to bytes: inout [UInt8]) {
        bytes += key.bytes
        bytes += payload.withUnsafeBytes(RunFiles.digest).prefix(16)
        bytes += payload
        bytes += [UInt8](repeating: 0, count: size - Self.head - payload.count)
    }
}

extension FeatureCache {
    /// The records of one moment.
    struct Snapshot: Sendable {
        fileprivate let layout: RecordLayout
        fileprivate let mapping: Storage?
        fileprivate let places: [RecordKey: Int]
        fileprivate let count: Int

        /// Whether a value is there, and as it was written.
        func holds(_ photo: PhotoDigest, view: String) -> Bool {
            guard let place = places[RecordKey(photo: photo, view: view)], let mapping else {
                return false
            }
            return mapping.withBytes { layout.isWhole(place, in: $0) }
        }

        fileprivate func withPayload(_ place: Int, _ body: (UnsafeRawBufferPointer) -> Void) {
            guard let mapping else { return }
            mapping.withBytes { body(layout.payload(at: place, in: $0)) }
        }
    }
}
