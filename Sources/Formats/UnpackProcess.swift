// Unpacking in a process of its own: what the parent asks, and what the process answers.

internal import FoundationEssentials
import GraftSystem
import GraftTensors

/// A running ``HDF5Server`` that reads one archive with libarchive.
struct UnpackProcess: ~Copyable {
    private let source: Source
    private var child: ParserProcess

    /// The most bytes of a message that names an entry.
    private static let nameLimit = 1 << 17

    init(_ program: String, _ storage: Storage, _ source: Source) throws {
        var child = try ParserProcess(
            program, storage, 0..<storage.byteCount, [HDF5Server.unpack], source)
        try child.begin(source)
        self.source = source
        self.child = child
    }

    /// As ``ArchiveReader/read(_:_:entry:piece:)``.
    consuming func read(
        entry: (ArchiveEntry) throws -> Bool, piece: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        while true {
            let message = try child.receive(.listing, limit: Self.nameLimit, source)
            if message.isEmpty { return }
            guard let found = ArchiveEntry(message: Array(message)) else {
                throw source.malformed(.parser(.invalidReply))
            }
            let isWanted = try entry(found)
            try child.ask(isWanted ? 1 : 0, source)
            while isWanted {
                let bytes = try child.receive(.tensor, limit: ArchiveReader.pieceSize, source)
                if bytes.isEmpty { break }
                try bytes.withUnsafeBytes { try piece($0) }
            }
        }
    }
}

extension HDF5Server {
    /// The argument that asks for the entries of an archive.
    static let unpack = "unpack"

    /// Seconds of processor time and bytes of address space for an archive of `byteCount` bytes: the
    /// slowest compression gives back some megabytes per second.
    static func unpackLimits(byteCount: Int) -> (seconds: UInt64, bytes: UInt64) {
        (120 + UInt64(byteCount) >> 20, 4 << 30 + UInt64(byteCount) << 1)
    }

    /// Names one entry after the other, and sends the bytes of those that the parent wants: pieces,
    /// and an empty one after the last. An empty name is the end.
    static func serveUnpacked(_ storage: Storage) -> Int32 {
        let source = Source(path: "", format: "archive")
        do {
            try storage.withBytes { bytes in
                var isOpen = false
                try ArchiveReader.read(bytes, source) { entry in
                    if isOpen { send(.tensor, Data()) }
                    send(.listing, Data(entry.message))
                    isOpen = next() == 1
                    return isOpen
                } piece: {
                    if !$0.isEmpty { send(.tensor, $0) }
                }
                if isOpen { send(.tensor, Data()) }
            }
            send(.listing, Data())
        } catch {
            refuse(error)
        }
        return 0
    }
}

extension ArchiveEntry {
    /// The entry as bytes: its kind, whether it is encrypted, the length of its name, the name, and what
    /// it leads to.
    var message: [UInt8] {
        let (number, target): (UInt8, String) =
            switch kind {
            case .file: (1, "")
            case .sameFile(let first): (2, first)
            case .link(let target): (3, target)
            }
        let name = PathBytes.bytes(self.name)
        var bytes: [UInt8] = [number, isEncrypted ? 1 : 0]
        bytes += (0..<4).map { UInt8(truncatingIfNeeded: name.count >> ($0 * 8)) }
        return bytes + name + PathBytes.bytes(target)
    }

    /// The entry of a message; nil if it is none.
    package init?(message: [UInt8]) {
        guard message.count >= 6, message[1] <= 1 else { return nil }
        let count = (0..<4).reduce(0) { $0 | Int(message[2 + $1]) << ($1 * 8) }
        guard count <= message.count - 6 else { return nil }
        let target = PathBytes.string(message[(6 + count)...])
        switch message[0] {
        case 1 where target.isEmpty: kind = .file
        case 2: kind = .sameFile(as: target)
        case 3: kind = .link(to: target)
        default: return nil
        }
        name = PathBytes.string(message[6..<(6 + count)])
        isEncrypted = message[1] == 1
    }
}
