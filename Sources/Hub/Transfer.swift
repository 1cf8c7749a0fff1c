// One file on its way: its partial file, what of it arrived, and the answers that bring the rest.

import GraftCache
import GraftSystem
import GraftTensors

/// The state of one file. Touched on the thread of its queue only, but for what the queue hands over.
final class Transfer: @unchecked Sendable {
    enum State { case waiting, opening, ready, active, finishing, done }
    /// What there is where a file is to go.
    enum Finding { case isThere, isLocked, isWanted }

    /// Files up to this size come over one connection.
    static let segmentedFrom = 8 << 20
    /// Files below this size are fetched anew after a crash: a journal would cost more.
    static let journalledFrom = 1 << 20
    /// What the journal writes down, in bytes; more of large files.
    static let smallestPiece = 256 << 10
    /// Files up to this size stay in memory until they are whole, and are written at once.
    static let heldUpTo = 256 << 10

    let order: TransferOrder
    let options: TransferOptions
    unowned let queue: TransferQueue
    var state = State.waiting
    var lock: FileLock?
    private var file: OpenFile?
    /// The bytes of a small file.
    private(set) var held: HeldFile?
    private(set) var partial = ""
    var byteCount: Int?
    var extents = Extents()
    /// What came out of the journal, and what each source brought: who is to blame for a wrong digest.
    var adopted = Extents()
    var sources: [SourceState]
    var connections: [Connection] = []
    var digester: Digester?
    /// Whether the file can come as one stream only.
    var isStream = false
    /// Whether what comes is decoded: a server sends nothing but a coding of the file.
    private(set) var isCoded = false
    /// Whether parts alone are asked for: some stores refuse to send large files whole.
    var asksForParts = false
    /// How often the file turned out to be another one than the part that is here.
    private var changes = 0
    /// What the server says that the bytes are.
    private(set) var contentType: String?
    var hasBegun = false
    var failures = 0
    var bytesAtFailure = 0
    var notBefore = 0.0
    var pace = Pace()
    private var journalHeader: Journal.Header?

    /// What is known of a source.
    struct SourceState {
        let source: Source
        /// Where its redirects led.
        var resolved: Location?
        var etag: String?
        var notBefore = 0.0
        /// Seconds that it asked to wait so far.
        var waited = 0.0
        /// Why it is not asked any more.
        var failure: (any Error)?
        var brought = Extents()
    }

    init(_ order: TransferOrder, _ options: TransferOptions, _ queue: TransferQueue) {
        self.order = order
        self.options = options
        self.queue = queue
        byteCount = order.byteCount
        // Only a digest can tell whether a mirror has the same file.
        let usable = order.digest == nil ? Array(order.sources.prefix(1)) : order.sources
        sources = usable.map { SourceState(source: $0) }
        pace = Pace(most: options.connections, isFixed: options.isFixed)
    }

    var isRateLimited: Bool { options.bytesPerSecond != nil }
    func mayTake() -> Bool { queue.mayTake() }
    func credentials(of source: Int) -> Credentials? { sources[source].source.credentials }

    /// Bytes that need not be fetched again if everything stopped now.
    var keptBytes: Int {
        guard isJournalled else { return 0 }
        // Of each range the pieces that are whole; the last one of a file may be shorter.
        return extents.ranges.reduce(0) { kept, range in
            let first = (range.lowerBound + pieceSize - 1) / pieceSize * pieceSize
            let end =
                range.upperBound == byteCount
                ? range.upperBound : range.upperBound / pieceSize * pieceSize
            return kept + max(0, end - first)
        }
    }
    private var isJournalled = false

    /// Bytes that lie on the disk already, whether they were looked at or not.
    var keptOnDisk: Int {
        guard state == .waiting, mayHaveJournal, let path = order.journal,
            let old = Journal.read(path)
        else { return extents.byteCount }
        return old.pieces.count * old.header.pieceSize
    }

    /// Lets go of what a finished file needed.
    func release() {
        file = nil
        held = nil
        digester = nil
        extents = Extents()
    }

    /// Whether an earlier run may have left something.
    private var mayHaveJournal: Bool { byteCount ?? .max >= Self.journalledFrom }

    // MARK: Opening

    /// Takes the lock and looks whether the file is there already; on any thread.
    func look() throws -> Finding {
        if let path = order.lock {
            guard let lock = try FileLock(trying: path) else { return .isLocked }
            self.lock = lock
        }
        return try order.isThere() ? .isThere : .isWanted
    }

    /// Opens the partial file, an older one where a journal tells of it; `done` is called on the queue.
    func open(_ done: @escaping @Sendable () -> Void) throws {
        if let size = order.byteCount, size <= Self.heldUpTo, order.digest != nil {
            held = HeldFile(size)
            done()
            return
        }
        // Where the file system has no locks, nobody's partial file is safe to take over.
        let journal = lock?.isExclusive == false ? nil : order.journal
        if let journal, let old = Journal.read(journal), fits(old.header),
            let size = Files.size(of: old.header.partial)
        {
            try openFile(old.header.partial, isNew: false)
            journalHeader = old.header
            if byteCount == nil { byteCount = old.header.byteCount }
            sources[0].etag = order.digest == nil ? old.header.etag : nil
            let digester = try makeDigester(old.header.pieceSize)
            let pieces = old.pieces.filter { $0.index < size / old.header.pieceSize + 1 }
            digester.check(pieces) { [self, queue] ranges in
                // What follows happens on the thread of the queue.
                queue.post { self.adopt(ranges, journal, done) }
            }
            return
        }
        if let journal, let old = Journal.read(journal) { FileSystem.discard(old.header.partial) }
        let place = try order.newPartial()
        // Others may write at the same time: each to a name of its own.
        try openFile(
            lock?.isExclusive == false ? "\(place).\(HubCache.infix())" : place, isNew: true)
        done()
    }

    private func adopt(_ ranges: [Range<Int>], _ journal: String, _ done: () -> Void) {
        extents = Extents(ranges)
        adopted = extents
        digester?.use(try? Journal(continuing: journal))
        isJournalled = true
        done()
    }

    private func openFile(_ path: String, isNew: Bool) throws {
        partial = path
        file = try OpenFile(partial: path, isNew: isNew)
    }

    private func fits(_ header: Journal.Header) -> Bool {
        guard byteCount == nil || header.byteCount == nil || byteCount == header.byteCount else {
            return false
        }
        if header.identity == identity { return order.digest != nil || header.etag != nil }
        return false
    }

    /// What makes bytes of two runs those of one file.
    private var identity: String {
        if let digest = order.digest { return digest.description }
        let address = order.sources.first?.location.text ?? ""
        // A signature is not written down.
        return Secrets.masked(address) == address
            ? address : "sha256-of-address:" + ContentHasher.sha256(of: address)
    }

    private func makeDigester(_ pieceSize: Int) throws -> Digester {
        guard let file else { throw FileError(.open, at: partial, .notOpen) }
        let digester = Digester(
            file: file, path: partial, pieceSize: pieceSize, digest: order.digest,
            byteCount: byteCount)
        self.digester = digester
        return digester
    }

    /// Starts summing, and the journal where there is to be one; once the size is known or will not be.
    func startJournal() throws {
        guard journalHeader == nil, held == nil else { return }
        // What a kill costs is a piece for each connection.
        var pieceSize = Self.smallestPiece
        while (byteCount ?? 0) / pieceSize > 1 << 15 { pieceSize *= 2 }
        let header = Journal.Header(
            partial: partial, identity: identity,
            etag: order.digest == nil ? sources[0].etag : nil, byteCount: byteCount,
            pieceSize: pieceSize)
        journalHeader = header
        let digester = try self.digester ?? makeDigester(pieceSize)
        guard let path = order.journal, lock?.isExclusive != false,
            byteCount ?? .max >= Self.journalledFrom, order.digest != nil || header.etag != nil
        else { return }
        digester.use(try Journal(starting: path, header))
        isJournalled = true
    }

    /// Forgets bytes that are not to be trusted, and starts the journal over with the others.
    func distrust(_ bytes: Extents) throws {
        for range in bytes.ranges { extents.remove(range) }
        adopted = Extents()
        digester?.restart()
        journalHeader = nil
        try startJournal()
        for index in 0..<wholePieces where extents.contains(pieceRange(index)) {
            digester?.add(index)
        }
    }

    /// Forgets everything that arrived, and what it was a part of.
    func forget() {
        extents = Extents()
        adopted = Extents()
        digester = nil
        journalHeader = nil
        for index in sources.indices {
            sources[index].brought = Extents()
            sources[index].etag = nil
        }
    }

    // MARK: Bytes

    var pieceSize: Int { journalHeader?.pieceSize ?? Self.smallestPiece }
    private var wholePieces: Int { byteCount.map { ($0 + pieceSize - 1) / pieceSize } ?? 0 }
    private func pieceRange(_ index: Int) -> Range<Int> {
        index * pieceSize..<min((index + 1) * pieceSize, byteCount ?? .max)
    }

    /// The first bytes of an answer are here: is it the answer to what was asked?
    func begin(_ connection: Connection) throws {
        let fields = connection.head.fields
        let shown = connection.location.shown
        let status = connection.head.status
        guard [200, 203, 206].contains(status) else {
            throw HubError.unexpectedStatus(url: shown, status: status)
        }
        if let commit = order.commit, let found = fields["x-repo-commit"], found != commit {
            throw HubError.otherCommit(url: shown, expected: commit, found: found)
        }
        let coding = fields["content-encoding"] ?? ""
        if !isCoded, !coding.isEmpty, coding != "identity" {
            try decode(coding, connection)
        }
        contentType = fields["content-type"]
        let etag = fields["etag"].flatMap { $0.hasPrefix("W/") ? nil : $0 }
        if status == 206 {
            guard connection.range != nil else {
                throw HubError.unexpectedPart(url: shown, range: fields["content-range"])
            }
            let range = try ContentRange(fields["content-range"] ?? "", shown)
            // Without a digest it is the ETag that says that two answers are of one file.
            let isOther = byteCount != nil && range.total != nil && range.total != byteCount
            let known = order.digest == nil ? sources[connection.source].etag : nil
            if let known, known != etag || isOther { try startOver(connection) }
            guard range.first == connection.cursor, !isOther else {
                throw TransientError(
                    reason: .wrongPart(
                        url: shown, expected: connection.cursor,
                        found: fields["content-range"] ?? ""))
            }
            if byteCount == nil, let total = range.total { try learn(total, connection) }
        } else {
            // The length of a coded body is none of the file's.
            let text = isCoded && !coding.isEmpty ? nil : fields["content-length"]
            let length = text.flatMap { ByteCount.parsed($0) }
            guard text == nil || length != nil else {
                throw HubError.brokenLength(url: shown, text ?? "")
            }
            if let length, let byteCount, length != byteCount, order.byteCount != nil {
                throw HubError.wrongLength(url: shown, expected: byteCount, found: length)
            }
            if connection.cursor > 0 || !extents.ranges.isEmpty {
                // The whole file, although a part was asked for: then that is how it comes, once.
                guard connections.allSatisfy({ $0 === connection || !$0.hasBegun }) else {
                    isStream = true
                    connection.giveUpRest()
                    return
                }
                isStream = true
                for other in connections where other !== connection { other.giveUpRest() }
                connection.cursor = 0
                // The file may have changed: its old size and ETag mean nothing.
                byteCount = order.byteCount
                forget()
                connection.claim = 0..<(byteCount ?? .max)
            }
            sources[connection.source].etag = sources[connection.source].etag ?? etag
            if let length, byteCount != length { try learn(length, connection) }
            if connection.claim.upperBound == .max, let byteCount {
                connection.claim = connection.claim.lowerBound..<byteCount
            }
        }
        connection.hasBegun = true
        if connection.hops > 0 { sources[connection.source].resolved = connection.location }
        if sources[connection.source].etag == nil, order.digest == nil { isStream = true }
        sources[connection.source].etag = sources[connection.source].etag ?? etag
        hasBegun = true
        try startJournal()
    }

    /// The server has another file by now than the one that a part of is here, and takes no notice of
    /// `If-Range`: the part is discarded, and the whole comes as one stream.
    private func startOver(_ connection: Connection) throws -> Never {
        let shown = connection.location.shown
        changes += 1
        guard changes <= 4 else {
            throw HubError.alwaysChanging(url: shown)
        }
        Notices.say("`\(order.name)` changed at its server: starting over")
        restart(connection)
        throw TransientError(reason: .changedMeanwhile(url: shown), isStale: true)
    }

    /// Everything that arrived is forgotten, and asked for as one stream.
    private func restart(_ connection: Connection) {
        for other in connections where other !== connection { other.giveUpRest() }
        forget()
        byteCount = order.byteCount
        isStream = true
    }

    /// The server sends the file in a coding, although its bytes were asked for as they are.
    private func decode(_ coding: String, _ connection: Connection) throws -> Never {
        let refused = HubError.coded(url: connection.location.shown, coding: coding)
        // An archive that is called coded is the file itself.
        let isArchive = order.name.lowercased().hasSuffix("gz")
        let isKnown = ["gzip", "x-gzip", "deflate"].contains(coding.lowercased())
        // Whether what is decoded is all of it, a digest alone can tell.
        guard isKnown, !isArchive, order.digest != nil, connection.head.status != 206 else {
            throw refused
        }
        isCoded = true
        restart(connection)
        throw TransientError(reason: refused, isStale: true)
    }

    /// What keeps the partial file open.
    var openFile: OpenFile? { file }

    /// The size is known now.
    private func learn(_ size: Int, _ connection: Connection) throws {
        byteCount = size
        if journalHeader == nil { digester = nil }
        if connection.claim.upperBound > size {
            connection.claim = min(connection.claim.lowerBound, size)..<size
        }
        try queue.checkSpace(for: self)
    }

    /// Writes bytes of an answer where they belong.
    func store(_ bytes: UnsafeRawBufferPointer, from connection: Connection) throws {
        let written = connection.cursor..<(connection.cursor + bytes.count)
        guard !written.isEmpty else { return }
        if let held {
            held.store(bytes, at: written.lowerBound)
        } else {
            guard let file else { throw FileError(.write, at: partial, .notOpen) }
            try file.file.write(bytes, at: written.lowerBound)
        }
        connection.cursor = written.upperBound
        connection.lastByte = queue.now
        extents.insert(written)
        sources[connection.source].brought.insert(written)
        queue.took(written.count)
        guard held == nil else { return }
        if let observe = order.observe {
            let first = extents.ranges.first
            observe(partial, first?.lowerBound == 0 ? first?.upperBound ?? 0 : 0)
        }
        for index in written.lowerBound / pieceSize...(written.upperBound - 1) / pieceSize
        where extents.contains(pieceRange(index)) {
            digester?.add(index)
        }
    }

    // MARK: Requests

    /// What to ask a connection for; nil for the whole file.
    func rangeHeader(for connection: Connection) -> String? {
        if isCoded { return nil }
        let claim = connection.cursor..<connection.claim.upperBound
        let isWhole = claim.lowerBound == 0 && claim.upperBound == byteCount ?? .max
        if isWhole, !asksForParts || byteCount == 0 { return nil }
        return claim.upperBound == .max
            ? "\(claim.lowerBound)-" : "\(claim.lowerBound)-\(claim.upperBound - 1)"
    }

    /// The ETag without which a range would be of another file; a digest needs none.
    func etagForIfRange(_ source: Int) -> String? {
        order.digest == nil ? sources[source].etag : nil
    }
}
