// The child process: gives up its rights, then answers what is in one HDF5 file.

internal import FoundationEssentials
import GraftSystem
import GraftTensors

/// The process in which a C library parses a file that nobody vouches for: libhdf5, or libarchive
/// where members of a zip archive are compressed and for archives of images.
///
/// Descriptor 0 is a socket to the parent, descriptor 3 the file. After it has mapped the file the
/// process can neither open files nor reach a network, whatever the file makes libhdf5 do.
public enum HDF5Server {
    /// The first argument that makes a program this server.
    public static let command = "--parse-hdf5"

    /// The argument that asks for the members of a zip archive, which libarchive inflates.
    static let inflate = "inflate"

    /// What a message holds.
    enum Kind: UInt8 { case held = 0x48, listing = 0x4C, tensor = 0x54, refusal = 0x52 }

    /// A ``FormatError`` without the path, which the parent knows better.
    enum Refusal: Codable {
        case malformed(FormatFlaw)
        case unsupported(UnsupportedContent)
    }

    /// Seconds of processor time and bytes of address space for a file of `byteCount` bytes.
    static func limits(byteCount: Int) -> (seconds: UInt64, bytes: UInt64) {
        (60 + UInt64(byteCount) >> 24, 4 << 30 + UInt64(byteCount) << 1)
    }

    /// Serves the parent until it hangs up. `arguments`: where the HDF5 file starts and ends in
    /// descriptor 3. Returns the status to exit with.
    public static func run(_ arguments: [String]) -> Int32 {
        guard arguments.count >= 2, let start = Int(arguments[0]), let end = Int(arguments[1]),
            start >= 0, start <= end, let storage = try? Storage(mapping: "/proc/self/fd/3"),
            end <= storage.byteCount
        else { return 64 }
        ConfinedChild.closeFile()
        let isUnpacking = arguments.dropFirst(2).elementsEqual([unpack])
        let limits =
            isUnpacking
            ? Self.unpackLimits(byteCount: storage.byteCount)
            : Self.limits(byteCount: storage.byteCount)
        if isUnpacking { ArchiveReader.prepare() }
        let held = Confinement.enter(seconds: limits.seconds, bytes: limits.bytes)
        send(.held, Data([UInt8(truncatingIfNeeded: held.rawValue)]))
        if arguments.dropFirst(2).elementsEqual([inflate]) { return serveInflated(storage) }
        if isUnpacking { return serveUnpacked(storage) }
        let source = Source(path: "", format: "HDF5")
        do {
            let file = try HDF5File(storage, start..<end, source)
            let listing = try KerasFile.listing(file)
            send(.listing, try JSONEncoder().encode(listing))
            while let index = next() {
                guard listing.entries.indices.contains(index) else { return 65 }
                try file.read(listing.entries[index].dataset) { send(.tensor, $1) }
            }
        } catch {
            refuse(error)
        }
        return 0
    }

    static func refuse(_ error: any Error) {
        let refusal: Refusal =
            switch error as? FormatError {
            case .malformed(_, _, let flaw): .malformed(flaw)
            case .unsupported(_, let content): .unsupported(content)
            default: .malformed(.parser(.refused(reason: "\(error)")))
            }
        if let data = try? JSONEncoder().encode(refusal) { send(.refusal, data) }
    }

    /// Each question is where a member's local header is, and how many of its bytes are wanted.
    private static func serveInflated(_ storage: Storage) -> Int32 {
        let source = Source(path: "", format: "zip")
        while let offset = next(), let count = next() {
            do {
                try ZipArchive.inflate(storage, at: offset, count: count, source) {
                    send(.tensor, $0)
                }
            } catch {
                refuse(error)
            }
        }
        return 0
    }

    static func next() -> Int? {
        var index: UInt64 = 0
        guard withUnsafeMutableBytes(of: &index, { ConfinedChild.receive(into: $0) }) else {
            return nil
        }
        return Int(exactly: UInt64(littleEndian: index))
    }

    static func send(_ kind: Kind, _ data: Data) {
        Array(data).withUnsafeBytes { send(kind, $0) }
    }

    static func send(_ kind: Kind, _ bytes: UnsafeRawBufferPointer) {
        var header = [kind.rawValue]
        header += (0..<8).map { UInt8(truncatingIfNeeded: bytes.count >> ($0 * 8)) }
        header.withUnsafeBytes { ConfinedChild.send($0) }
        ConfinedChild.send(bytes)
    }
}
