// Digests of content: how they are written, computed while bytes stream, and compared.

import Crypto
import GraftSystem
import GraftTensors

/// What content must hash to: `sha256:<hex>`, `md5:<hex>`, `sha256-prefix:<hex>` or `git-sha1:<hex>`.
public enum Digest: Sendable, Equatable, CustomStringConvertible {
    /// The whole SHA-256, 64 hex digits.
    case sha256(String)
    /// The MD5 that old publishers give, 32 hex digits; it tells damage, not malice.
    case md5(String)
    /// The first digits of the SHA-256, as torchvision writes them into file names.
    case sha256Prefix(String)
    /// What git calls a file: the SHA-1 of `blob <size>`, a zero and the bytes, 40 hex digits.
    case gitBlob(String)

    /// Reads `algorithm:hex`.
    public init(_ text: String) throws(CacheError) {
        let parts = text.split(separator: ":", maxSplits: 1).map { $0.lowercased() }
        guard parts.count == 2, parts[1].utf8.allSatisfy(Hex.isDigit) else {
            throw CacheError.digestSyntax(text)
        }
        switch (parts[0], parts[1].utf8.count) {
        case ("sha256", 64): self = .sha256(parts[1])
        case ("md5", 32): self = .md5(parts[1])
        case ("git-sha1", 40): self = .gitBlob(parts[1])
        case ("sha256-prefix", 8...64): self = .sha256Prefix(parts[1])
        default: throw CacheError.digestSyntax(text)
        }
    }

    /// As it is read.
    public var description: String {
        switch self {
        case .sha256(let hex): "sha256:" + hex
        case .md5(let hex): "md5:" + hex
        case .sha256Prefix(let hex): "sha256-prefix:" + hex
        case .gitBlob(let hex): "git-sha1:" + hex
        }
    }

    /// Whether content of these sums is what is meant.
    public func matches(_ sums: ContentSums) -> Bool {
        switch self {
        case .sha256(let hex): hex == sums.sha256
        case .md5(let hex): hex == sums.md5
        case .sha256Prefix(let hex): sums.sha256.hasPrefix(hex)
        case .gitBlob(let hex): hex == sums.gitBlob
        }
    }

    /// The found sum in the form of this digest, to show beside it.
    public func found(_ sums: ContentSums) -> String {
        switch self {
        case .md5: "md5:" + (sums.md5 ?? "")
        case .gitBlob: "git-sha1:" + (sums.gitBlob ?? "")
        case .sha256, .sha256Prefix: "sha256:" + sums.sha256
        }
    }
}

/// The sums and the size of some content.
public struct ContentSums: Sendable, Equatable {
    /// 64 hex digits.
    public let sha256: String
    /// 32 hex digits, where an MD5 was to be compared.
    public let md5: String?
    /// 40 hex digits, where the name in git was to be compared.
    public let gitBlob: String?
    /// How many bytes were summed.
    public let byteCount: Int
}

/// Sums bytes as they pass by: the SHA-256 always, older digests where one is to be compared.
public struct ContentHasher {
    private var sha256 = SHA256()
    private var md5: Insecure.MD5?
    private var git: Insecure.SHA1?
    /// How many bytes passed by.
    public private(set) var byteCount = 0

    /// A hasher that saw nothing, for content that `digest` is to be compared with.
    ///
    /// git's name of a file begins with its size: without `byteCount` it cannot be told.
    public init(for digest: Digest? = nil, byteCount: Int? = nil) {
        if case .md5 = digest { md5 = Insecure.MD5() }
        if case .gitBlob = digest, let byteCount {
            git = Insecure.SHA1()
            git?.update(data: Array("blob \(byteCount)\0".utf8))
        }
    }

    /// Adds the next bytes.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        sha256.update(bufferPointer: bytes)
        md5?.update(bufferPointer: bytes)
        git?.update(bufferPointer: bytes)
        byteCount += bytes.count
    }

    /// The sums of what passed by.
    public func finalize() -> ContentSums {
        ContentSums(
            sha256: Hex.text(sha256.finalize()), md5: md5.map { Hex.text($0.finalize()) },
            gitBlob: git.map { Hex.text($0.finalize()) }, byteCount: byteCount)
    }

    /// A hasher that saw a file, for content that `digest` is to be compared with.
    public static func over(
        _ path: String, for digest: Digest? = nil
    ) throws -> ContentHasher {
        var hasher = ContentHasher(for: digest, byteCount: Files.size(of: path))
        try readChunks(of: path) { hasher.update($0) }
        return hasher
    }

    /// The SHA-256 of a text, which names things in the cache.
    public static func sha256(of text: String) -> String {
        Hex.text(SHA256.hash(data: Array(text.utf8)))
    }

    /// The SHA-256 of some bytes.
    package static func sha256(of bytes: [UInt8]) -> String { Hex.text(SHA256.hash(data: bytes)) }

    /// What git calls a file of these bytes: the SHA-1 of `blob <size>`, a zero and the bytes.
    public static func gitBlob(of bytes: [UInt8]) -> String {
        Hex.text(Insecure.SHA1.hash(data: Array("blob \(bytes.count)\0".utf8) + bytes))
    }

    /// What git calls the file at `path`.
    public static func gitBlob(file path: String) throws -> String {
        try FileDigest.gitBlob(path) { _ in }
    }
}

/// Hands a file over a megabyte at a time.
func readChunks(
    of path: String, _ body: (UnsafeRawBufferPointer) throws -> Void
) throws {
    try FileDescriptor(opening: path).forEachPiece(body)
}
