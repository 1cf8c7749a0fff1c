// An open folder: its entries, and what they are, with as few calls of the system as there can be.

import CFolders

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// An open folder, read once.
struct Folder: ~Copyable {
    /// For `openat` and its kin.
    let descriptor: Int32

    /// Opens a folder; nil where there is none. Symbolic links are followed where `following`.
    init?(_ path: String, at parent: Int32 = AT_FDCWD, following: Bool = false) {
        let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | (following ? 0 : O_NOFOLLOW)
        descriptor = openat(parent, path, flags)
        guard descriptor >= 0 else { return nil }
    }

    deinit { close(descriptor) }

    /// What an entry is, as the folder says without looking at the entry itself.
    enum Kind { case file, folder, link, other }

    /// Hands every entry over.
    borrowing func forEach(_ body: (String, Kind) -> Void) {
        let descriptor = descriptor
        withUnsafeTemporaryAllocation(byteCount: 16 << 10, alignment: 8) { buffer in
            guard let base = buffer.baseAddress else { return }
            while true {
                let filled = graft_read_folder(descriptor, base, buffer.count)
                guard filled > 0 else { return }
                var at = 0
                while at + 19 < filled {
                    let length = Int(
                        buffer.loadUnaligned(fromByteOffset: at + 16, as: UInt16.self))
                    guard length > 19, at + length <= filled else { return }
                    let name = base + at + 19
                    defer { at += length }
                    if Self.isDots(name) { continue }
                    let text = String(cString: name.assumingMemoryBound(to: CChar.self))
                    body(text, kind(buffer[at + 18], text))
                }
            }
        }
    }

    /// `.` and `..`.
    private static func isDots(_ name: UnsafeMutableRawPointer) -> Bool {
        let dot = UInt8(ascii: ".")
        guard name.load(as: UInt8.self) == dot else { return false }
        let second = name.load(fromByteOffset: 1, as: UInt8.self)
        return second == 0 || (second == dot && name.load(fromByteOffset: 2, as: UInt8.self) == 0)
    }

    private borrowing func kind(_ byte: UInt8, _ name: String) -> Kind {
        var kind = Int32(byte)
        // Some file systems do not say.
        if kind == Int32(DT_UNKNOWN), let status = status(of: name) {
            switch status.st_mode & S_IFMT {
            case S_IFREG: kind = Int32(DT_REG)
            case S_IFDIR: kind = Int32(DT_DIR)
            case S_IFLNK: kind = Int32(DT_LNK)
            default: break
            }
        }
        return switch kind {
        case Int32(DT_REG): .file
        case Int32(DT_DIR): .folder
        case Int32(DT_LNK): .link
        default: .other
        }
    }

    /// An entry itself, or what it is a link to.
    borrowing func status(of name: String, following: Bool = false) -> stat? {
        var status = stat()
        let flags = following ? 0 : AT_SYMLINK_NOFOLLOW
        return fstatat(descriptor, name, &status, flags) == 0 ? status : nil
    }

    /// When the folder itself was changed, in seconds since 1970.
    var modified: Int {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Int(status.st_mtim.tv_sec) : 0
    }

    /// Where a symbolic link points.
    borrowing func target(of name: String) -> String? {
        linkTarget(name, at: descriptor)
    }

    /// The beginning of a small file.
    borrowing func read(_ name: String, limit: Int) -> String? {
        let file = openat(descriptor, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard file >= 0 else { return nil }
        defer { close(file) }
        return withUnsafeTemporaryAllocation(byteCount: limit, alignment: 1) { buffer in
            let count = systemRead(file, buffer.baseAddress, buffer.count)
            guard count >= 0 else { return nil }
            return String(
                decoding: UnsafeRawBufferPointer(rebasing: buffer[..<count]), as: UTF8.self)
        }
    }
}

private func systemRead(_ file: Int32, _ buffer: UnsafeMutableRawPointer?, _ count: Int) -> Int {
    read(file, buffer, count)
}
