// Folders opened step by step without following links, so that no link leads a write elsewhere.

public import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Paths below a folder that others could have filled.
public enum Folders {
    /// Opens the folder that `path` lies in, making what is missing, and returns it with the last name.
    ///
    /// The folder `root` itself may be behind links; nothing below it may. The caller closes it.
    public static func open(
        _ root: String, parentOf path: String
    ) throws(FileError) -> (descriptor: Int32, last: String) {
        try Files.makeFolder(root)
        let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC
        var folder = Glibc.open(root, flags)
        guard folder >= 0 else { throw FileError("open", root) }
        let parts = path.pathParts
        for part in parts.dropLast() {
            mkdirat(folder, part, 0o777)
            let next = openat(folder, part, flags | O_NOFOLLOW)
            let code = errno
            guard next >= 0 else {
                // The system says of a link that it is not a folder.
                var status = stat()
                let isLink =
                    fstatat(folder, part, &status, AT_SYMLINK_NOFOLLOW) == 0
                    && status.st_mode & S_IFMT == S_IFLNK
                close(folder)
                throw FileError("open", "\(root)/\(path)", code: isLink ? ELOOP : code)
            }
            close(folder)
            folder = next
        }
        return (folder, parts.last ?? "")
    }

    /// Where a link leads; nil where there is none.
    static func link(at folder: Int32, _ name: String) -> String? {
        var target = [CChar](repeating: 0, count: 4096)
        let count = readlinkat(folder, name, &target, target.count)
        guard count > 0, count < target.count else { return nil }
        return String(decoding: target[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

extension Files {
    /// Copies a file, by reference where the file system can; it appears complete or not at all.
    public static func copy(_ source: String, to destination: String) throws(FileError) {
        let input = Glibc.open(source, O_RDONLY | O_CLOEXEC)
        guard input >= 0 else { throw FileError("open", source) }
        defer { close(input) }
        var output = try AtomicFile(replacing: destination)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 64)
        defer { buffer.deallocate() }
        // FICLONE of linux/fs.h: the copy shares the blocks.
        let isShared = ioctl(output.descriptor, 0x4004_9409, input) == 0
        while !isShared {
            let count = Glibc.read(input, buffer.baseAddress, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw FileError("read", source) }
            if count == 0 { break }
            try output.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
        try output.commit(durably: false)
    }
}
