// What the frozen part of a network made of each photo, kept on disk from run to run.

public import GraftImages
import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

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

    /// Where the values are.
    public let path: String
    /// The number of floats of a value.
    public let count: Int
    /// How they are kept.
    public let element: Element

    private let descriptor: Int32
    /// Tells `graft cache gc` that the folder is in use.
    private let hold: FolderHold
    private let layout: RecordLayout
    private var known: Snapshot

    private static let magic = Array("GRAFTF2\n".utf8)

    /// Opens the file below `root` for values of `count` floats, or makes it.
    public init(
        root: String, modelDigest: String, cut: String, preprocessing: Preprocessing, count: Int,
        element: Element = .f32
    ) throws {
        let facts = Facts(
            model: modelDigest, cut: cut, preprocessing: preprocessing, count: count,
            element: element)
        let text = try RunFiles.json(facts)
        let folder = "\(root)/features/\(RunFiles.digest(text.utf8).prefix(32))"
        try RunFiles.makeFolder(folder)
        hold = FolderHold(folder)
        path = folder + "/values"
        self.count = count
        self.element = element
        layout = RecordLayout(byteCount: count * element.byteCount)
        descriptor = try Self.open(path, header: Self.header(text, layout.byteCount))
        known = Snapshot(layout: layout, mapping: nil, places: [:], count: 0)
        try refresh()
        // What `graft cache gc` goes by: reading a mapped file does not move its time of access.
        var (now, status) = (timespec(), stat())
        guard clock_gettime(CLOCK_REALTIME, &now) == 0, fstat(descriptor, &status) == 0 else {
            return
        }
        futimens(descriptor, [now, status.st_mtim])
    }

    deinit { close(descriptor) }

    /// What the values depend on; written at the beginning of the file for people to read.
    private struct Facts: Encodable {
        var model: String
        var cut: String
        var preprocessing: Preprocessing
        var count: Int
        var element: Element
    }

    private static func header(_ text: String, _ byteCount: Int) throws -> [UInt8] {
        let count = (0..<8).map { UInt8(truncatingIfNeeded: byteCount >> (8 * $0)) }
        var header = magic + count + Array(text.utf8)
        guard header.count < RecordLayout.start else {
            throw FileError("describe the features in", "the cache", code: E2BIG)
        }
        header.append(
            contentsOf: [UInt8](repeating: 0x20, count: RecordLayout.start - header.count))
        header[RecordLayout.start - 1] = 0x0A
        return header
    }

    /// Opens the file with this header; a file of another one is no use and is replaced.
    private static func open(_ path: String, header: [UInt8]) throws(FileError) -> Int32 {
        for _ in 0..<8 {
            let descriptor = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
            guard descriptor >= 0 else { throw FileError("open", path) }
            flock(descriptor, LOCK_EX)
            defer { flock(descriptor, LOCK_UN) }
            var found = [UInt8](repeating: 0, count: header.count)
            let size = pread(descriptor, &found, found.count, 0)
            if size == header.count {
                if found == header { return descriptor }
                unlink(path)
                close(descriptor)
                continue
            }
            // New, or its writer was killed before it had a header and so before any record.
            guard ftruncate(descriptor, 0) == 0,
                pwrite(descriptor, header, header.count, 0) == header.count
            else {
                let code = errno
                close(descriptor)
                throw FileError("write", path, code: code)
            }
            return descriptor
        }
        throw FileError("open", path, code: EBUSY)
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
    ) throws(FileError) {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(values.count * layout.size)
        for value in values {
            precondition(value.numbers.count == count)
            layout.append(
                RecordKey(photo: value.photo, view: value.view), payload(value.numbers), to: &bytes)
        }
        flock(descriptor, LOCK_EX)
        defer { flock(descriptor, LOCK_UN) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileError("stat", path) }
        // What a killed writer left of a record is overwritten.
        let end = RecordLayout.start + layout.records(in: Int(status.st_size)) * layout.size
        var done = 0
        while done < bytes.count {
            let written = bytes.withUnsafeBytes {
                pwrite(descriptor, $0.baseAddress?.advanced(by: done), $0.count - done, end + done)
            }
            if written > 0 {
                done += written
            } else if errno != EINTR {
                let code = errno
                ftruncate(descriptor, off_t(end))
                throw FileError("write", path, code: code)
            }
        }
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
    func refresh() throws(FileError) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw FileError("stat", path) }
        let records = layout.records(in: Int(status.st_size))
        guard records > known.count else { return }
        let size = RecordLayout.start + records * layout.size
        guard let base = mmap(nil, size, PROT_READ, MAP_SHARED, descriptor, 0), base != MAP_FAILED
        else { throw FileError("map", path) }
        let mapping = Mapping(base, size)
        var places = known.places
        for record in known.count..<records {
            places[layout.key(at: record, in: mapping.bytes)] = record
        }
        known = Snapshot(layout: layout, mapping: mapping, places: places, count: records)
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

/// Pages of a file, given back when the last reader lets go.
private final class Mapping: @unchecked Sendable {
    // Sendable because records never change once they are there.
    let bytes: UnsafeRawBufferPointer

    init(_ base: UnsafeMutableRawPointer, _ size: Int) {
        bytes = UnsafeRawBufferPointer(start: base, count: size)
    }

    deinit { munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count) }
}

extension FeatureCache {
    /// The records of one moment.
    struct Snapshot: Sendable {
        fileprivate let layout: RecordLayout
        fileprivate let mapping: Mapping?
        fileprivate let places: [RecordKey: Int]
        fileprivate let count: Int

        /// Whether a value is there, and as it was written.
        func holds(_ photo: PhotoDigest, view: String) -> Bool {
            guard let place = places[RecordKey(photo: photo, view: view)], let mapping else {
                return false
            }
            return layout.isWhole(place, in: mapping.bytes)
        }

        fileprivate func withPayload(_ place: Int, _ body: (UnsafeRawBufferPointer) -> Void) {
            guard let mapping else { return }
            body(layout.payload(at: place, in: mapping.bytes))
        }
    }
}

/// A folder that is marked as in use, with a shared `flock`, as long as this lives.
private final class FolderHold: Sendable {
    private let descriptor: Int32

    init(_ folder: String) {
        descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        // Where there are no locks nothing is marked: who evicts then takes what is being used.
        if descriptor >= 0 { flock(descriptor, LOCK_SH | LOCK_NB) }
    }

    deinit { if descriptor >= 0 { close(descriptor) } }
}
