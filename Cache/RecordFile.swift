// A file of records that several programs append to, each record whole or not at all.

import GraftSystem
public import GraftTensors

/// Records of one size behind a header: bytes of the cache that are found by the key of their folder.
///
/// The file is only ever appended to, under a lock: a program that is killed leaves at most a part of a record at
/// the end, which the next writer overwrites. Removing the file harms no program that has it open.
public final class RecordFile: Sendable {
    /// Path of the file.
    public let path: String
    private let file: FileDescriptor
    private let headerByteCount: Int
    /// Tells `graft cache gc` that the folder is in use; nil where there are no locks.
    private let hold: LockedFile?

    /// Opens the file `values` of a folder, and creates both where they are missing. A file with another header is of
    /// no use, and is replaced.
    public init(folder: String, header: [UInt8]) throws {
        try Files.makeFolder(folder)
        hold =
            try? LockedFile(
                trying: FileDescriptor(opening: folder, for: .reading, .folder), .shared)
        path = folder + "/values"
        headerByteCount = header.count
        file = try Self.open(path, header: header)
        // Reading a mapped file does not move its time of access, by which the cache evicts.
        file.markUse()
    }

    private static func open(_ path: String, header: [UInt8]) throws -> FileDescriptor {
        for _ in 0..<8 {
            let file = try FileDescriptor(opening: path, for: .updating, .create)
            let isOurs = try file.whileLocked { () throws -> Bool in
                var found = [UInt8](repeating: 0, count: header.count)
                let count = try found.withUnsafeMutableBytes { try file.read(into: $0, at: 0) }
                if count == header.count {
                    if found == header { return true }
                    FileSystem.discard(path)
                    return false
                }
                // New, or its writer was killed before it had a header and so before any record.
                try file.truncate(to: 0)
                try header.withUnsafeBytes { try file.write($0, at: 0) }
                return true
            }
            if isOurs { return file }
        }
        throw FileError(.open, at: path, .busy)
    }

    /// The size of the file now, with the header.
    public func byteCount() throws -> Int { try file.status().byteCount }

    /// Appends whole records of `recordByteCount` bytes each.
    public func append(_ records: [UInt8], recordByteCount: Int) throws {
        try file.whileLocked {
            let size = try file.status().byteCount
            // What a killed writer left of a record is overwritten.
            let whole = max(size - headerByteCount, 0) / recordByteCount
            let end = headerByteCount + whole * recordByteCount
            do {
                try records.withUnsafeBytes { try file.write($0, at: end) }
            } catch {
                _ = try? file.truncate(to: end)
                throw error
            }
        }
    }

    /// Maps the first bytes of the file, which never change once they are there.
    public func mapped(byteCount: Int) throws -> Storage {
        try Storage(mapping: file, byteCount: byteCount)
    }
}
