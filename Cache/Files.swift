// The few file operations that a cache is made of.

import GraftSystem
public import GraftTensors

/// Folders, small files and locks.
public enum Files {
    /// Makes a folder and those above it.
    public static func makeFolder(_ path: String) throws(FileError) {
        try FileSystem.createFolder(path, intermediates: true)
    }

    /// The path from the root.
    public static func absolute(_ path: String) -> String { FileSystem.absolute(path) }

    /// The size of a regular file; nil where there is none.
    public static func size(of path: String) -> Int? {
        guard let status = FileSystem.find(path), status.kind == .file else { return nil }
        return status.byteCount
    }

    /// Whether a folder is there.
    public static func isFolder(_ path: String) -> Bool { FileSystem.isFolder(path) }

    /// What is in a folder, sorted; nothing where there is none.
    public static func names(in folder: String) -> [String] { FileSystem.names(in: folder) }

    /// A small file; nil where it is missing or larger than `limit`.
    public static func read(_ path: String, limit: Int) -> [UInt8]? {
        guard let count = size(of: path), count <= limit, let bytes = read(path, first: count),
            bytes.count == count
        else { return nil }
        return bytes
    }

    /// The first bytes of a file, fewer where it is shorter; nil where it cannot be read.
    package static func read(_ path: String, first limit: Int) -> [UInt8]? {
        guard let file = try? FileDescriptor(opening: path, for: .reading, .noWait) else {
            return nil
        }
        return try? [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            count = try file.read(into: UnsafeMutableRawBufferPointer(buffer), at: 0)
        }
    }

    /// Writes a small file that appears complete or not at all. `durably` waits for the disk; what can
    /// be had again at any time need not.
    public static func write(
        _ bytes: [UInt8], to path: String, durably: Bool = true, isPrivate: Bool = false
    ) throws(FileError) {
        var file = try AtomicFile(replacing: path)
        if isPrivate { try file.makePrivate() }
        try file.write(bytes)
        try file.commit(durably: durably)
    }

    /// Gives a temporary file its name; it is removed where that fails.
    static func move(_ temporary: String, to path: String) throws(FileError) {
        do {
            try FileSystem.rename(temporary, to: path)
        } catch {
            removeFile(temporary)
            throw error
        }
    }

    /// The bytes that may still be written to the file system that `path` is, or would be, on.
    public static func freeBytes(at path: String) -> Int? {
        var path = path
        while true {
            if let free = try? FileSystem.freeByteCount(at: path) { return free }
            guard let parent = path.pathParent, !parent.isEmpty else { return nil }
            path = parent
        }
    }

    /// A file name that stays in its folder.
    public static func isPlainName(_ name: String) -> Bool {
        !name.isEmpty && name != "." && name != ".." && name.utf8.count <= 255
            && name.utf8.allSatisfy { $0 != 47 && $0 != 92 && $0 >= 32 && $0 != 127 }
    }

    /// Runs `body` while holding the `flock` of a file, or what takes its place.
    public static func locked<Result>(_ path: String, _ body: () throws -> Result) throws -> Result
    {
        guard LockSupport.works(beside: path) else {
            while true {
                if let lock = SoftLock(trying: path) {
                    return try withExtendedLifetime(lock) { try body() }
                }
                // No lock can be made in a folder that cannot be written to.
                guard FileSystem.isWritable(path.pathParent ?? ".") else { return try body() }
                CurrentProcess.pause(seconds: 0.02)
            }
        }
        let lock = try lock(path)
        defer { extendLifetime(lock) }
        return try body()
    }

    /// Waits for a lock; nil on a file system without locks, where unique names and renames keep everything
    /// correct, only wasteful.
    private static func lock(_ path: String) throws(FileError) -> LockedFile? {
        let file = try FileDescriptor(
            opening: path, for: .updating, [.create, .noLink], permissions: 0o664)
        do {
            return try LockedFile(locking: file)
        } catch {
            guard error.errno.isUnsupported else { throw error }
            return nil
        }
    }
}

/// Removes a file or link; whether it was there.
@discardableResult
func removeFile(_ path: String) -> Bool { (try? FileSystem.remove(path)) ?? false }

/// Removes a folder where nothing is in it.
func removeEmptyFolder(_ path: String) { _ = try? FileSystem.removeFolder(path) }
