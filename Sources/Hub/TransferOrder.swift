// What a transfer is asked for: a file, where it can be had, what proves it, and where it goes.

import FoundationEssentials
import GraftCache

/// What tells a server who asks, and which servers may hear it.
struct Credentials: Sendable {
    let authorization: String
    /// `scheme://host:port` of those that may.
    let origins: Set<String>
    /// Where they were found, for errors: `` `$HF_TOKEN` ``.
    var source: String

    /// What a server hears that asks for a name and a password.
    init(user: String, password: String, origin: String, source: String) {
        let pair = Data("\(user):\(password)".utf8).base64EncodedString()
        self.init(authorization: "Basic " + pair, origins: [origin], source: source)
    }

    init(authorization: String, origins: Set<String>, source: String) {
        self.authorization = authorization
        self.origins = origins
        self.source = source
    }

    /// The header for a request to `location`; nil where that is none of the origins.
    func header(for location: Location) -> String? {
        origins.contains(location.origin) ? "Authorization: " + authorization : nil
    }
}

/// One place that a file can be had from.
struct Source: Sendable {
    let location: Location
    var credentials: Credentials?
}

/// One file to fetch.
struct TransferOrder: Sendable {
    /// What to call it in progress and errors.
    var name: String
    /// The best first; the others are mirrors of it.
    var sources: [Source]
    /// Its size, where that is known beforehand.
    var byteCount: Int?
    /// What its bytes must hash to.
    var digest: GraftCache.Digest?
    /// A new name for the partial file, on the file system of the destination.
    var newPartial: @Sendable () throws -> String
    /// Where to write down which parts of it arrived.
    var journal: String?
    /// The commit that it is of, where a hub has to name that or none.
    var commit: String?
    /// The lock that keeps other programs from fetching the same.
    var lock: String?
    /// Whether it is there already; asked once the lock is held.
    var isThere: @Sendable () throws -> Bool = { false }
    /// Whether a page or a pointer in place of the file is refused.
    var refusesImpostors = true
    /// Hears how far the partial file goes without a hole, as bytes arrive.
    var observe: (@Sendable (_ partial: String, _ front: Int) -> Void)?
    /// Puts the complete, proven, flushed partial file in its place.
    var publish: @Sendable (_ partial: String, _ sums: ContentSums) throws -> Void
}

extension TransferOrder {
    /// Throws where the file begins as none of its name does.
    func check(_ start: [UInt8], _ byteCount: Int, _ contentType: String?) throws {
        guard refusesImpostors else { return }
        try Impostor.check(
            start, byteCount: byteCount, name: name, contentType: contentType,
            isListed: digest != nil)
    }
}

/// How transfers behave.
struct TransferOptions: Sendable {
    /// Connections for one file, at most; what does not help is not opened.
    var connections = 16
    /// Whether so many are opened at once, and not only as they prove to help.
    var isFixed = false
    /// Files at once, at most.
    var files = 8
    /// Bytes a second for all of them.
    var bytesPerSecond: Int?
    /// A connection that brings nothing for so many seconds is given up and taken up again.
    var stallSeconds = 20.0
    /// Failures in a row, without a byte between them, after which a source is given up.
    var attempts = 5
    /// Whether a disk that looks too small is written to anyway.
    var ignoresSpace = false
}

/// How far a fetch is.
public struct FetchProgress: Sendable, Codable, Equatable {
    /// The file that bytes arrive for; one of them where there are several.
    public var file: String
    /// Bytes on the disk, of all files.
    public var bytes: Int
    /// Bytes that there will be; nil where some server does not tell.
    public var totalBytes: Int?
    /// Files that are complete.
    public var files: Int
    /// Files that there will be.
    public var totalFiles: Int
    /// Connections that are open.
    public var connections: Int
    /// Why nothing moves, where nothing does.
    public var waiting: String?

    /// Progress of one file, unless more is said.
    public init(
        file: String, bytes: Int, totalBytes: Int?, files: Int = 0, totalFiles: Int = 1,
        connections: Int = 1, waiting: String? = nil
    ) {
        self.file = file
        self.bytes = bytes
        self.totalBytes = totalBytes
        self.files = files
        self.totalFiles = totalFiles
        self.connections = connections
        self.waiting = waiting
    }
}
