// The parent's side: starts the child that parses an HDF5 file, and believes nothing it says.

internal import FoundationEssentials
internal import GraftSystem
import GraftTensors
internal import Synchronization

/// A running ``HDF5Server``: ends with the last tensor that could ask it for numbers.
final class HDF5Process: Sendable {
    /// What the child says is in the file; checked where it is used.
    let listing: HDF5Listing
    private let source: Source
    private let child: Mutex<ParserProcess>

    /// Starts `program` on `range` of the file behind `storage`, and waits for its listing.
    init(_ program: String, _ storage: Storage, _ range: Range<Int>, _ source: Source) throws {
        self.source = source
        var child = try ParserProcess(program, storage, range, [], source)
        try child.begin(source)
        let data = try child.receive(.listing, limit: 1 << 27, source)
        do {
            listing = try JSONDecoder().decode(HDF5Listing.self, from: data)
        } catch {
            throw source.malformed(.parser(.invalidReply))
        }
        self.child = Mutex(child)
    }

    /// The numbers of entry `index`, decoded.
    func load(_ index: Int) throws -> Tensor {
        let dataset = listing.entries[index].dataset
        let spool = try Spool(byteCount: dataset.byteCount)
        let buffer = Spool.buffer(dataset.byteCount)
        defer { buffer.deallocate() }
        try child.withLock { child in
            try child.ask(index, source)
            for block in HDF5Blocks(dataset) {
                let count = dataset.byteCount(block)
                try child.receive(.tensor, exactly: count, into: buffer, source) {
                    try spool.put(
                        $0, block: block, of: dataset.shape, width: dataset.dtype.byteCount)
                }
            }
        }
        return Tensor(dataset.dtype, dataset.shape, storage: try spool.finish())
    }
}

/// A running ``HDF5Server`` that inflates the members of one zip archive.
final class InflateProcess: Sendable {
    private let source: Source
    private let child: Mutex<ParserProcess>

    init(_ program: String, _ storage: Storage, _ source: Source) throws {
        self.source = source
        var child = try ParserProcess(
            program, storage, 0..<storage.byteCount, [HDF5Server.inflate], source)
        try child.begin(source)
        self.child = Mutex(child)
    }

    /// Hands over the first `count` bytes of the member whose local header is at `offset`, in the
    /// pieces of ``ZipArchive``.
    func inflate(
        at offset: Int, count: Int, _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let buffer = Spool.buffer(min(count, ZipArchive.pieceSize))
        defer { buffer.deallocate() }
        try child.withLock { child in
            try child.ask(offset, source)
            try child.ask(count, source)
            var left = count
            while left > 0 {
                let piece = min(left, ZipArchive.pieceSize)
                try child.receive(.tensor, exactly: piece, into: buffer, source, body)
                left -= piece
            }
        }
    }
}

/// A process and the socket to it.
struct ParserProcess: ~Copyable {
    /// Seconds without a byte, and for every 16 MB of an answer, after which a child is given up.
    private static let patience = 600

    private var process: ConfinedProcess

    init(
        _ program: String, _ storage: Storage, _ range: Range<Int>, _ task: [String],
        _ source: Source
    ) throws {
        let file = try Self.descriptor(storage)
        do {
            process = try ConfinedProcess(
                program: program,
                arguments: [
                    HDF5Server.command, String(range.lowerBound), String(range.upperBound),
                ] + task, passing: file.number)
        } catch {
            throw FileError(
                .init(rawValue: error.operation), at: error.subject ?? source.path,
                Errno(code: error.code))
        }
    }

    /// Hears what holds the child, which it says before it has read a byte of a file that could make
    /// it lie.
    mutating func begin(_ source: Source) throws {
        let held = try receive(.held, limit: 1, source).first ?? 0
        Confinement.note(Confinement(rawValue: Int32(held)))
    }

    /// The file behind a storage, or a nameless copy of bytes that are in no file.
    private static func descriptor(_ storage: Storage) throws -> FileDescriptor {
        if let nameless = try storage.duplicateOfNamelessFile() { return nameless }
        if let path = storage.path { return try FileDescriptor(opening: path) }
        let file = try ConfinedProcess.memoryFile(for: "a copy in memory")
        try storage.withBytes { try file.write($0) }
        return file
    }

    mutating func ask(_ index: Int, _ source: Source) throws {
        var word = UInt64(index).littleEndian
        let isSent = withUnsafeBytes(of: &word) { process.send($0, before: deadline(bytes: 8)) }
        guard isSent else { throw ended(source) }
    }

    /// A message of `kind` of at most `limit` bytes.
    mutating func receive(_ kind: HDF5Server.Kind, limit: Int, _ source: Source) throws -> Data {
        let count = try header(kind, source)
        guard count <= limit else {
            throw source.malformed(.parser(.longReply(found: count, limit: limit)))
        }
        var data = Data(count: count)
        var complete = true
        data.withUnsafeMutableBytes { complete = fill($0) }
        guard complete else { throw ended(source) }
        return data
    }

    /// Lends a message of `kind` of exactly `count` bytes, which `buffer` has room for.
    mutating func receive(
        _ kind: HDF5Server.Kind, exactly count: Int, into buffer: UnsafeMutableRawBufferPointer,
        _ source: Source, _ body: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let announced = try header(kind, source)
        guard announced == count else {
            throw source.malformed(
                .parser(.replySize(expected: count, found: announced)))
        }
        let answer = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
        guard fill(answer) else { throw ended(source) }
        do {
            try body(UnsafeRawBufferPointer(answer))
        } catch {
            // What else it has to say about this question must not be taken for another's answer.
            _ = ended(source)
            throw error
        }
    }

    private mutating func header(_ kind: HDF5Server.Kind, _ source: Source) throws -> Int {
        var header = [UInt8](repeating: 0, count: 9)
        guard header.withUnsafeMutableBytes({ fill($0) }) else { throw ended(source) }
        let count = header[1...].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard let size = Int(exactly: count) else {
            throw source.malformed(.parser(.invalidReply))
        }
        if header[0] == HDF5Server.Kind.refusal.rawValue, size <= 1 << 20 {
            var data = Data(count: size)
            var complete = true
            data.withUnsafeMutableBytes { complete = fill($0) }
            guard complete, let it = try? JSONDecoder().decode(HDF5Server.Refusal.self, from: data)
            else { throw ended(source) }
            switch it {
            case .malformed(let flaw): throw source.malformed(flaw)
            case .unsupported(let content): throw source.unsupported(content)
            }
        }
        guard header[0] == kind.rawValue else {
            throw source.malformed(.parser(.invalidReply))
        }
        return size
    }

    private func fill(_ target: UnsafeMutableRawBufferPointer) -> Bool {
        process.fill(target, before: deadline(bytes: target.count))
    }

    private func deadline(bytes: Int) -> ContinuousClock.Instant {
        .now + .seconds(Self.patience * (1 + bytes >> 24))
    }

    /// Why the child is gone.
    private mutating func ended(_ source: Source) -> FormatError {
        switch process.end() {
        case .exited(let status): source.malformed(.parser(.stopped(status: status)))
        case .outOfTime: source.malformed(.parser(.outOfTime))
        case .stopped: source.malformed(.parser(.silent))
        case .killed(let signal): source.malformed(.parser(.crashed(signal: signal)))
        }
    }
}
