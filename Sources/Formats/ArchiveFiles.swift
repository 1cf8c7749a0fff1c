// The files of an archive, unpacked into a folder: names that lead elsewhere and endless contents are refused.

package import GraftSystem
import GraftTensors

/// Unpacks zip and tar archives, compressed or not.
package enum ArchiveFiles {
    /// Unpacks the files and links of an archive into a folder.
    ///
    /// libarchive runs where `isolation` says. In a process of its own it has no file and no network,
    /// and hands the bytes over; names, kinds and sizes are checked here, whatever it says.
    ///
    /// - Parameters:
    ///   - limit: The number of bytes that all files may have.
    ///   - admits: Whether the file of a name is wanted.
    /// - Throws: `FormatError` for a broken archive, an unsafe name or too many bytes, or `FileError`.
    package static func unpack(
        _ path: String, into folder: String, limit: Int, isolation: Isolation = .current,
        where admits: @escaping (String) -> Bool
    ) throws {
        let source = Source(path: path, format: "archive")
        let storage = try Storage(mapping: path)
        let unpacking = Unpacking(folder, source: source, limit: limit, admits)
        if case .process(let program) = isolation {
            try UnpackProcess(program, storage, source).read(
                entry: unpacking.begin, piece: unpacking.put)
        } else {
            try storage.withBytes {
                try ArchiveReader.read($0, source, entry: unpacking.begin, piece: unpacking.put)
            }
        }
        try unpacking.finish()
    }

    /// A folder to unpack into that lasts as long as this process; what killed ones left is removed.
    package static func temporaryFolder() throws -> String { try TemporaryFolders.make() }

    /// Removes what killed processes left of such folders.
    package static func removeAbandoned() { TemporaryFolders.removeAbandoned() }

    /// Removes such a folder before the end.
    package static func removeTemporary(_ folder: String) { TemporaryFolders.remove(folder) }
}

/// An archive on its way into a folder; checks everything that the parser says.
private final class Unpacking {
    private let folder: String
    private let source: Source
    private let limit: Int
    private var left: Int
    private let admits: (String) -> Bool
    private var file: FileDescriptor?
    /// Made when all files are there, so that none is written through them.
    private var links: [(parts: [String], target: String)] = []
    /// Folders that are there.
    private var folders: Set<String> = []

    init(_ folder: String, source: Source, limit: Int, _ admits: @escaping (String) -> Bool) {
        self.folder = folder
        self.source = source
        self.limit = limit
        self.admits = admits
        left = limit
    }

    /// The parts of a name, none of which leads out of the folder.
    private func parts(_ name: String) throws -> [String] {
        let parts = name.split(separator: "/").filter { $0 != "." }.map(String.init)
        guard !parts.isEmpty, name.utf8.first != UInt8(ascii: "/"), !parts.contains(".."),
            !name.utf8.contains(0)
        else {
            throw source.malformed(.archive(.leadsOut(name)))
        }
        return parts
    }

    /// Starts a file; false if its bytes are not wanted.
    func begin(_ entry: ArchiveEntry) throws -> Bool {
        file = nil
        let parts = try parts(entry.name)
        guard admits(entry.name) else { return false }
        guard !entry.isEncrypted else {
            throw source.unsupported(.encrypted(member: entry.name))
        }
        try makeFolders(parts.dropLast())
        let path = folder + "/" + parts.joined(separator: "/")
        switch entry.kind {
        case .link(let target):
            links.append((parts, target))
            return false
        case .sameFile(let first):
            let earlier = try folder + "/" + self.parts(first).joined(separator: "/")
            try FileSystem.remove(path)
            do {
                try FileSystem.link(earlier, to: path)
            } catch {
                // What it is the same as may be of a name that is not wanted.
                guard error.errno == .noSuchFile else { throw error }
            }
            return false
        case .file: break
        }
        // Links are not followed: none is made yet, and nobody else may put one.
        file = try FileDescriptor(
            opening: path, for: .writing, [.create, .truncate, .noLink], permissions: 0o600)
        return true
    }

    /// Writes bytes of the file that was started last.
    func put(_ bytes: UnsafeRawBufferPointer) throws {
        left -= min(bytes.count, left + 1)
        guard left >= 0 else {
            throw source.unsupported(.unpacksTooMuch(limit: limit))
        }
        switch file {
        case .some(let file): try file.write(bytes)
        case .none: preconditionFailure("bytes follow the file that they are of")
        }
    }

    /// Makes the links.
    func finish() throws {
        file = nil
        for (parts, target) in links {
            let path = folder + "/" + parts.joined(separator: "/")
            do {
                try FileSystem.createLink(path, to: target)
            } catch {
                guard error.errno == .fileExists else { throw error }
            }
        }
    }

    private func makeFolders(_ parts: ArraySlice<String>) throws {
        var path = folder
        for part in parts {
            path += "/" + part
            guard folders.insert(path).inserted else { continue }
            do {
                try FileSystem.createFolder(path, permissions: 0o700)
            } catch {
                guard error.errno == .fileExists else { throw error }
            }
        }
    }
}
