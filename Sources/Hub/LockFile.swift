// `graft.lock`: what a project uses, to the byte.

import FoundationEssentials
public import GraftCache
import GraftTensors

/// The references of a project, and what each of them was when it was locked.
public struct LockFile: Sendable, Codable, Equatable {
    /// What it is called where nothing else is said.
    public static let fileName = "graft.lock"
    private static let format = 1

    /// One file.
    public struct File: Sendable, Codable, Equatable {
        /// Its size.
        public let bytes: Int
        /// Its SHA-256, 64 hex digits.
        public let sha256: String
        /// What git calls it; of a file in large-file storage, what git calls the pointer to it.
        public let gitSHA1: String?
        /// Whether the Hub keeps it in large-file storage.
        public let isLarge: Bool?
        /// Where it was.
        public let url: String
    }

    /// One reference.
    public struct Locked: Sendable, Codable, Equatable {
        /// `model`, `dataset`, `space` or `kernel` of the Hub, or `file`.
        public let type: String
        /// What is fetched instead of the reference: the same, with its version.
        public let source: String
        /// The branch or tag that was asked for, of a repository of the Hub.
        public var revision: String?
        /// The commit that it was.
        public var commit: String?
        /// Patterns of the files that are wanted.
        public var include: [String]?
        /// Patterns of those that are not.
        public var exclude: [String]?
        /// When it was locked, RFC 3339.
        public var locked: String
        /// Its files, by their path.
        public let files: ByPath<File>

        /// Whether it is the same but for the time.
        public func isSame(as other: Locked) -> Bool {
            var copy = self
            copy.locked = other.locked
            return copy == other
        }

        /// What the commit holds, as far as it is locked.
        var tree: TreeListing {
            TreeListing(
                files: files.mapValues { file in
                    let isLarge = file.isLarge ?? false
                    return TreeListing.File(
                        size: file.bytes, blobID: file.gitSHA1 ?? "",
                        sha256: isLarge ? file.sha256 : nil,
                        largeSize: isLarge ? file.bytes : nil)
                })
        }
    }

    /// Another number means another meaning.
    public private(set) var format = LockFile.format
    /// What is locked, by reference.
    public var references = ByPath<Locked>()

    /// A lock file with nothing in it.
    public init() {}

    /// The lock file at `path`.
    /// - Throws: `HubError` where there is none, or none that can be trusted.
    public init(reading path: String) throws {
        guard let bytes = Files.read(path, limit: 256 << 20) else {
            throw HubError.noLockFile(path)
        }
        struct Version: Decodable { let format: Int }
        let decoder = JSONDecoder()
        guard let version = try? decoder.decode(Version.self, from: Data(bytes)) else {
            throw HubError.notLockFile(path)
        }
        guard version.format == Self.format else {
            throw HubError.lockFileVersion(
                path: path, expected: Self.format, found: version.format)
        }
        do {
            self = try decoder.decode(Self.self, from: Data(JSONKeys.protected(bytes)))
        } catch {
            throw HubError.brokenLockFile(
                path: path, reference: nil, reason: reason(ofDecoding: error))
        }
        for (reference, locked) in references {
            if let reason = locked.flaw {
                throw HubError.brokenLockFile(path: path, reference: reference, reason: reason)
            }
        }
    }

    /// Writes it, keys sorted, one value a line; it appears complete or not at all.
    public func write(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        try Files.write(JSONKeys.plain(Array(try encoder.encode(self))) + [10], to: path)
    }
}

extension LockFile.Locked {
    /// What makes it useless; nil where it is sound.
    fileprivate var flaw: String? {
        if files.isEmpty { return "has no files" }
        for (path, file) in files {
            if let flaw = RelativePath.flaw(path) { return "names `\(path)`: \(flaw.rawValue)" }
            if !HubCache.isHex(file.sha256, 64) || !ByteCount.isSound(file.bytes) {
                return "has no SHA-256 with a size for `\(path)`"
            }
            if commit != nil, !HubCache.isCommit(file.gitSHA1 ?? "") {
                return "has no git SHA-1 for `\(path)`"
            }
        }
        if files.map(\.value.bytes).checkedSum == nil {
            return "has files of more than \(ByteCount.maximum) bytes"
        }
        if let (file, inside) = RelativePath.conflict(among: files.keys) {
            return "names `\(inside)` in the file `\(file)`"
        }
        guard type == "file" else {
            return HubCache.isCommit(commit ?? "") ? nil : "has no commit"
        }
        return files.count == 1 ? nil : "has more than one file"
    }
}
