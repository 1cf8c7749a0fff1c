// An open folder: its entries, and operations on names in it that no renamed or linked folder above can divert.

internal import CGraftSystem

/// An open folder.
package struct OpenFolder: ~Copyable, Sendable {
    private let file: FileDescriptor

    /// The path that errors name.
    package var path: String { file.path }

    /// Opens a folder. The last part of its path may be a symbolic link if `followsLinks`.
    package init(_ path: String, followsLinks: Bool = false) throws(FileError) {
        file = try FileDescriptor(
            opening: path, for: .reading, followsLinks ? .folder : [.folder, .noLink])
    }

    /// Opens a folder of this one.
    package func folder(
        _ name: String, followsLinks: Bool = false
    ) throws(FileError) -> OpenFolder {
        OpenFolder(
            try open(name, for: .reading, followsLinks ? .folder : [.folder, .noLink]))
    }

    private init(_ file: consuming FileDescriptor) { self.file = file }

    /// Opens a file of this folder.
    package func open(
        _ name: String, for access: FileDescriptor.Access = .reading,
        _ options: FileDescriptor.Options = [], permissions: UInt32 = 0o666
    ) throws(FileError) -> FileDescriptor {
        let flags = FileDescriptor.flags(for: access, options)
        let path = self.path(of: name)
        do {
            let number = try retrying(.open, at: path) {
                PathBytes.withCString(name) {
                    graft_open_at(file.number, $0, flags, mode_t(permissions))
                }
            }
            return FileDescriptor(takingOver: number, path: path)
        } catch {
            throw FileError(.open, at: path, error)
        }
    }

    private func path(of name: String) -> String { "\(file.path)/\(name)" }

    /// Hands over every entry, and what it is as far as the folder says.
    package func forEach(_ body: (_ name: String, _ kind: FileStatus.Kind) -> Void) {
        withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 8) { buffer in
            guard let base = buffer.baseAddress else { return }
            while true {
                let filled = graft_read_folder(file.number, base, buffer.count)
                guard filled > 0 else { return }
                var at = 0
                while at + 19 < filled {
                    let length = Int(buffer.loadUnaligned(fromByteOffset: at + 16, as: UInt16.self))
                    guard length > 19, at + length <= filled else { return }
                    let start = base + at + 19
                    let bytes = UnsafeRawBufferPointer(start: start, count: length - 19)
                    let name = bytes.prefix { $0 != 0 }
                    defer { at += length }
                    let isDots =
                        name.elementsEqual(".".utf8) || name.elementsEqual("..".utf8)
                    if isDots { continue }
                    let text = PathBytes.string(name)
                    body(text, kind(buffer[at + 18], of: text))
                }
            }
        }
    }

    private func kind(_ byte: UInt8, of name: String) -> FileStatus.Kind {
        // DT_* of dirent.h. Some file systems do not say.
        switch byte {
        case 0: find(name)?.kind ?? .other
        case 4: .folder
        case 8: .file
        case 10: .link
        default: .other
        }
    }

    /// The status of an entry, or of what it is a link to; nil if there is nothing.
    package func find(_ name: String, followsLinks: Bool = false) -> FileStatus? {
        var status = stat()
        let flags = followsLinks ? 0 : AT_SYMLINK_NOFOLLOW
        let result = PathBytes.withCString(name) { fstatat(file.number, $0, &status, flags) }
        return result == 0 ? FileStatus(status) : nil
    }

    /// Kind, times and identity of the folder itself.
    package func status() throws(FileError) -> FileStatus { try file.status() }

    /// The destination of a symbolic link of the folder, as it is stored; nil if there is no link.
    package func destination(ofLink name: String) -> String? {
        PathBytes.withCString(name) { Self.destination(ofLink: $0, at: file.number) }
    }

    static func destination(ofLink path: UnsafePointer<CChar>, at folder: Int32) -> String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 4096) { buffer in
            guard let start = buffer.baseAddress else { return nil }
            let count = readlinkat(folder, path, start, buffer.count)
            guard count > 0, count < buffer.count else { return nil }
            return PathBytes.string(UnsafeRawBufferPointer(start: start, count: count))
        }
    }

    /// The beginning of a small file, which is read in one go; nil where it cannot be read.
    package func beginning(of name: String, limit: Int) -> [UInt8]? {
        guard let file = try? open(name, for: .reading, [.noLink, .noWait]) else { return nil }
        return try? [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            count = try file.read(into: UnsafeMutableRawBufferPointer(buffer))
        }
    }

    // MARK: Names

    /// Creates a folder in this one, which may be there already.
    package func createFolder(_ name: String) throws(FileError) {
        let path = self.path(of: name)
        do {
            try retrying(.create, at: path) {
                PathBytes.withCString(name) { mkdirat(file.number, $0, 0o777) }
            }
        } catch {
            guard error == .fileExists else { throw FileError(.create, at: path, error) }
        }
    }

    /// Creates a symbolic link that leads to `destination`.
    package func createLink(_ name: String, to destination: String) throws(FileError) {
        let path = self.path(of: name)
        do {
            try retrying(.link, at: path) {
                PathBytes.withCString(destination) { destination in
                    PathBytes.withCString(name) { symlinkat(destination, file.number, $0) }
                }
            }
        } catch {
            throw FileError(.link, at: path, error)
        }
    }

    /// Gives the file at `path`, or the entry of this name, the name `target` in this folder.
    package func rename(_ source: Source, to target: String) throws(FileError) {
        let path = self.path(of: target)
        do {
            try retrying(.rename, at: path) {
                PathBytes.withCString(target) { target in
                    switch source {
                    case .entry(let name):
                        PathBytes.withCString(name) {
                            renameat(file.number, $0, file.number, target)
                        }
                    case .path(let path):
                        PathBytes.withCString(path) {
                            renameat(AT_FDCWD, $0, file.number, target)
                        }
                    }
                }
            }
        } catch {
            throw FileError(.rename, at: path, error)
        }
    }

    /// The file that is renamed into a folder.
    package enum Source {
        /// An entry of the same folder.
        case entry(String)
        /// A file elsewhere.
        case path(String)
    }

    /// Removes a file or link of the folder.
    package func remove(_ name: String) throws(FileError) {
        let path = self.path(of: name)
        do {
            try retrying(.remove, at: path) {
                PathBytes.withCString(name) { unlinkat(file.number, $0, 0) }
            }
        } catch {
            guard error == .noSuchFile else { throw FileError(.remove, at: path, error) }
        }
    }
}
