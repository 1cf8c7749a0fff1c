// What lies in the folders of a data set: names, kinds of files, and the links that may be followed.

import GraftImages
import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The files below a folder.
struct FolderListing {
    /// What is at a path; links are not followed.
    enum Kind { case file, folder, link, other }

    /// Which links are followed.
    enum Links {
        /// Links to files inside of the folder.
        case inside
        /// Links to files wherever they are; those to folders are not, since they may lead back.
        case files
        /// All links.
        case all
    }

    /// The paths below the folder, in the order of their bytes.
    var files: [String] = []
    /// The links that are not followed, by their paths below the folder.
    var outward: [String] = []

    private static let depthLimit = 32
    private let links: Links
    /// The folders that links were followed into, so that none is followed for ever.
    private var entered: Set<String> = []

    /// Lists the files below `folder`, hidden ones and those of archivers left out.
    init(_ folder: String, links: Links = .inside) throws {
        guard let root = Self.resolved(folder) else { throw FileError("open", folder) }
        self.links = links
        try list("", root: root, depth: 0)
        files.sort(by: bytewise)
    }

    private mutating func list(_ relative: String, root: String, depth: Int) throws {
        guard depth < Self.depthLimit else { return }
        for name in try Self.names(in: root + "/" + relative) {
            try Task.checkCancellation()
            let child = relative.isEmpty ? name : relative + "/" + name
            let full = root + "/" + child
            switch Self.kind(full) {
            case .folder: try list(child, root: root, depth: depth + 1)
            case .file: files.append(child)
            case .link where links != .inside:
                if PhotoFolder.isFile(full) {
                    files.append(child)
                } else if links == .all, let target = Self.resolved(full),
                    PhotoFolder.isFolder(full),
                    entered.insert(target).inserted
                {
                    try list(child, root: root, depth: depth + 1)
                } else {
                    outward.append(child)
                }
            case .link:
                if let target = Self.resolved(full), Self.isWithin(root, target),
                    Self.kind(target) == .file
                {
                    files.append(child)
                } else {
                    outward.append(child)
                }
            default: break
            }
        }
    }

    /// The names in a folder in the order of their bytes, without hidden ones and `__MACOSX`.
    static func names(in folder: String) throws -> [String] {
        guard let stream = PathBytes.withCString(folder, opendir) else {
            throw FileError("open", folder)
        }
        defer { closedir(stream) }
        var names: [String] = []
        errno = 0
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                PathBytes.string(bytes.prefix { $0 != 0 })
            }
            if !isSystem(name) { names.append(name) }
            errno = 0
        }
        guard errno == 0 else { throw FileError("read", folder) }
        return names.sorted(by: bytewise)
    }

    /// Whether a file or folder is hidden or left by an operating system or archiver.
    static func isSystem(_ name: String) -> Bool {
        name.utf8.first == UInt8(ascii: ".") || name == "__MACOSX"
    }

    /// What is at a path; nil if nothing is.
    static func kind(_ path: String) -> Kind? {
        var status = stat()
        guard PathBytes.withCString(path, { lstat($0, &status) }) == 0 else { return nil }
        return switch status.st_mode & S_IFMT {
        case S_IFREG: .file
        case S_IFDIR: .folder
        case S_IFLNK: .link
        default: .other
        }
    }

    /// The path with all links followed, or nil with `errno` set.
    static func resolved(_ path: String) -> String? {
        guard let pointer = PathBytes.withCString(path, { realpath($0, nil) }) else { return nil }
        defer { free(pointer) }
        return PathBytes.string(UnsafeRawBufferPointer(start: pointer, count: strlen(pointer)))
    }

    /// Whether a link in `root` leads to something in `root`, or, where that is a snapshot in the cache
    /// of the Hub, whose files are links, to one of its blobs.
    static func isWithin(_ root: String, _ target: String) -> Bool {
        guard let middle = root.firstRange(of: "/snapshots/") else {
            return target.hasPrefix(root + "/")
        }
        let repository = root[..<middle.lowerBound]
        let hub = repository[..<(repository.lastIndex(of: "/") ?? repository.startIndex)]
        return ["\(root)/", "\(repository)/blobs/", "\(hub)/blobs/"].contains {
            target.hasPrefix($0)
        }
    }
}

extension PhotoFolder {
    /// Whether a path is a folder; links are followed.
    public static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return PathBytes.withCString(path) { stat($0, &status) } == 0
            && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Whether a path is a file; links are followed.
    static func isFile(_ path: String) -> Bool {
        var status = stat()
        return PathBytes.withCString(path) { stat($0, &status) } == 0
            && status.st_mode & S_IFMT == S_IFREG
    }

    /// The images in a folder and the folders in it, by relative path.
    static func photos(in folder: String) throws -> [String] {
        var leftOut = LeftOutFiles()
        return try FolderListing(folder).files.filter { leftOut.admits(path: folder + "/" + $0) }
    }

    /// Whether the file at `path` is taken for an image.
    package static func isImage(_ path: String) -> Bool {
        var others = LeftOutFiles()
        return isFile(path) && others.admits(path: path)
    }

    /// The names of the images that are in a folder itself.
    package static func imagesDirectly(in folder: String) throws -> [String] {
        try FolderListing.names(in: folder).filter { isImage(folder + "/" + $0) }
    }

    /// The photos in a folder and the folders in it, in the order of their paths.
    public static func list(_ folder: String) throws -> [String] {
        try photos(in: folder).map { folder + "/" + $0 }
    }
}

func bytewise(_ left: String, _ right: String) -> Bool {
    left.utf8.lexicographicallyPrecedes(right.utf8)
}

/// The folder that a path is in; empty without one.
func folder(of path: String) -> String {
    path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
}

/// The last part of a path.
func fileName(_ path: some StringProtocol) -> String {
    path.split(separator: "/", omittingEmptySubsequences: true).last.map { String($0) }
        ?? String(path)
}

/// A path or name without its extension.
func stem(_ path: String) -> String {
    let name = fileName(path)
    guard let dot = name.utf8.lastIndex(of: UInt8(ascii: ".")), dot > name.startIndex else {
        return path
    }
    return String(path.dropLast(name[dot...].count))
}

/// The extension of a file name in lower case, without the dot; empty without one.
func fileExtension(_ path: some StringProtocol) -> String {
    let name = fileName(path)
    guard let dot = name.lastIndex(of: "."), dot > name.startIndex else { return "" }
    return name[name.index(after: dot)...].lowercased()
}

/// A path without `.` and `..` where they can be resolved by name, and with `/` between its parts.
func normalized(_ path: String) -> String {
    var parts: [Substring] = []
    for part in path.split(separator: "/", omittingEmptySubsequences: true) where part != "." {
        if part == "..", let last = parts.last, last != ".." {
            parts.removeLast()
        } else {
            parts.append(part)
        }
    }
    let joined = parts.joined(separator: "/")
    return path.hasPrefix("/") ? "/" + joined : joined.isEmpty ? "." : joined
}
