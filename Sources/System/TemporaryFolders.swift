// Folders that last as long as the process that made them, and the removal of those that a killed one left.

internal import CGraftSystem
internal import Synchronization

/// The temporary folders of graft's processes: `graft-unpacked-…` in `$TMPDIR`, else in `/tmp`.
///
/// The owner holds a `flock` on the folder itself, which the system releases however the process
/// ends: a folder of that name without an owner is left over.
package enum TemporaryFolders {
    private static let prefix = "graft-unpacked-"

    /// A folder that this process holds.
    private final class Held: Sendable {
        let path: String
        /// None on a file system without locks, whose folders are never taken for abandoned.
        private let lock: LockedFile?

        init(_ path: String, lock: consuming LockedFile?) {
            self.path = path
            self.lock = lock
        }
    }

    private static let held = Mutex<[Held]>([])

    /// The folder that temporary folders are made in.
    private static var parent: String {
        var path = Environment.setting("TMPDIR") ?? "/tmp"
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        return path
    }

    /// Makes a folder for the life of this process, and removes those that dead processes left.
    package static func make() throws(FileError) -> String {
        removeAbandoned()
        while true {
            let made = try makeUnheld()
            let lock: LockedFile?
            do {
                let folder = try FileDescriptor(opening: made, for: .reading, [.folder, .noLink])
                lock = try LockedFile(trying: folder)
                // Between its birth and its lock another process took it for abandoned.
                guard lock != nil, FileSystem.isFolder(made) else { continue }
            } catch {
                if error.errno == .noSuchFile { continue }
                guard error.errno.isUnsupported else { throw error }
                lock = nil
            }
            hold(Held(made, lock: lock))
            return made
        }
    }

    private static func makeUnheld() throws(FileError) -> String {
        let parent = parent
        var template = Array("\(parent)/\(prefix)XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw FileError(.createInside, at: parent, .current)
        }
        return template.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { String(cString: $0) } ?? ""
        }
    }

    private static func hold(_ folder: Held) {
        held.withLock {
            if $0.isEmpty { atexit { TemporaryFolders.removeOwn() } }
            $0.append(folder)
        }
    }

    /// Removes a folder of this process before its end.
    package static func remove(_ path: String) {
        held.withLock { $0.removeAll { $0.path == path } }
        _ = try? FileSystem.removeTree(path)
    }

    private static func removeOwn() {
        held.withLock { folders in
            for folder in folders { _ = try? FileSystem.removeTree(folder.path) }
            folders = []
        }
    }

    /// A folder that no process holds, and the bytes in it.
    package struct Abandoned: Hashable, Sendable {
        package let path: String
        package let byteCount: Int
    }

    /// The folders of this user that no process holds.
    package static func abandoned() -> [Abandoned] {
        candidates().compactMap { path in
            ifAbandoned(path) {
                Abandoned(path: path, byteCount: FileSystem.byteCount(inTree: path))
            }
        }
    }

    /// Removes the folders of this user that no process holds.
    @discardableResult
    package static func removeAbandoned() -> [Abandoned] {
        candidates().compactMap { path in
            ifAbandoned(path) {
                Abandoned(path: path, byteCount: (try? FileSystem.removeTree(path)) ?? 0)
            }
        }
    }

    private static func candidates() -> [String] {
        let parent = parent
        return FileSystem.names(in: parent).filter { $0.hasPrefix(prefix) }
            .map { "\(parent)/\($0)" }
    }

    /// Runs `body` while holding a folder that is free; nil if another process holds it, or it is
    /// another user's.
    private static func ifAbandoned<Result>(_ path: String, _ body: () -> Result) -> Result? {
        do {
            let folder = try FileDescriptor(opening: path, for: .reading, [.folder, .noLink])
            guard try folder.status().owner == getuid(),
                let lock = try LockedFile(trying: folder)
            else { return nil }
            let result = body()
            extendLifetime(lock)
            return result
        } catch {
            // Gone meanwhile, not ours, or on a file system without locks.
            return nil
        }
    }
}
