// The folder of a data set while it is written: it appears under its name when all of it is there.

public import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A new folder that is filled beside its destination and renamed at the end, or removed.
struct DataSetFolder: ~Copyable {
    /// The destination.
    let path: String
    /// The folder that is filled.
    private let temporary: String
    private var isFinished = false
    private var folders: Set<String> = []

    /// Starts a folder; what is already there is never touched.
    init(creating path: String) throws {
        var path = path
        while path.count > 1, path.hasSuffix("/") { path.removeLast() }
        try Self.requireNew(path)
        let parent = folder(of: path)
        if !parent.isEmpty { try Self.makeFolders(parent) }
        let number = String(UInt32.random(in: 0 ... .max), radix: 36)
        let temporary = "\(path).\(getpid())-\(number).tmp"
        guard PathBytes.withCString(temporary, { mkdir($0, 0o777) }) == 0 else {
            throw FileError("create", path)
        }
        self.path = path
        self.temporary = temporary
    }

    /// Throws unless nothing is at `path`, or an empty folder, which loses nothing.
    static func requireNew(_ path: String) throws {
        var status = stat()
        guard PathBytes.withCString(path, { lstat($0, &status) }) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFDIR, names(in: path).isEmpty else {
            throw DataSetWritingError.exists(path)
        }
    }

    deinit { if !isFinished { Self.remove(temporary) } }

    /// Where a file of the set is while it is written.
    func place(_ name: String) -> String { temporary + "/" + name }

    /// Makes a folder of the set.
    mutating func makeFolder(_ name: String) throws {
        guard !name.isEmpty, folders.insert(name).inserted else { return }
        try Self.makeFolders(place(name))
    }

    /// Writes a small file of the set.
    mutating func write(_ text: String, to name: String) throws {
        try makeFolder(folder(of: name))
        var file = try AtomicFile(replacing: place(name))
        try file.write(Array(text.utf8))
        try file.commit(durably: false)
    }

    /// Links or copies a file into the set; whether it was linked.
    mutating func add(file: String, as name: String, linking: Bool) throws -> Bool {
        try makeFolder(folder(of: name))
        let target = place(name)
        if linking {
            // What a link leads to, so that the set does not depend on the link.
            let isLinked = PathBytes.withCString(file) { from in
                PathBytes.withCString(target) {
                    linkat(AT_FDCWD, from, AT_FDCWD, $0, Int32(AT_SYMLINK_FOLLOW)) == 0
                }
            }
            if isLinked { return true }
        }
        let source = try Storage(mapping: file)
        try source.withBytes { try copy($0, to: target) }
        return false
    }

    /// Writes bytes as a file of the set.
    mutating func add(bytes: UnsafeRawBufferPointer, as name: String) throws {
        try makeFolder(folder(of: name))
        try copy(bytes, to: place(name))
    }

    private func copy(_ bytes: UnsafeRawBufferPointer, to target: String) throws {
        var file = try AtomicFile(replacing: target)
        try file.write(bytes)
        try file.commit(durably: false)
    }

    /// Puts the folder in its place.
    mutating func finish() throws {
        let status = PathBytes.withCString(temporary) { from in
            PathBytes.withCString(path) { rename(from, $0) }
        }
        guard status == 0 else {
            // Somebody else was faster.
            if [EEXIST, ENOTEMPTY, ENOTDIR].contains(errno) {
                throw DataSetWritingError.exists(path)
            }
            throw FileError("rename to", path)
        }
        isFinished = true
    }

    private static func makeFolders(_ path: String) throws {
        if PathBytes.withCString(path, { mkdir($0, 0o777) }) == 0 { return }
        if errno == EEXIST { return }
        guard errno == ENOENT else { throw FileError("create", path) }
        let parent = folder(of: path)
        guard !parent.isEmpty else { throw FileError("create", path) }
        try makeFolders(parent)
        guard PathBytes.withCString(path, { mkdir($0, 0o777) }) == 0 || errno == EEXIST else {
            throw FileError("create", path)
        }
    }

    /// All names in a folder, hidden ones too.
    private static func names(in folder: String) -> [String] {
        guard let stream = PathBytes.withCString(folder, opendir) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
                PathBytes.string(bytes.prefix { $0 != 0 })
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// Removes a folder that this process made, and all in it.
    private static func remove(_ path: String) {
        for name in names(in: path) {
            let child = path + "/" + name
            if PathBytes.withCString(child, { unlink($0) }) != 0 { remove(child) }
        }
        _ = PathBytes.withCString(path) { rmdir($0) }
    }
}

/// Why a data set is not written.
public enum DataSetWritingError: Diagnostic, Equatable {
    /// There is something at the destination.
    case exists(String)
    /// The format cannot hold any of the set's labels.
    case nothingToWrite(String, format: DataSetFormat, found: String)
    /// The set has numbers as targets.
    case values(String, format: DataSetFormat)
    /// There are no images.
    case empty(String)
    /// A folder per class is nothing without its images.
    case foldersWithoutImages
    /// A class name that the format uses for something else.
    case className(String, format: DataSetFormat, reason: String)

    /// The cause.
    public var message: String {
        switch self {
        case .exists(let path): "`\(path)` already exists"
        case .nothingToWrite(let path, let format, let found):
            "`\(path)` has nothing that \(format.title) can hold: found \(found)"
        case .values(let path, let format):
            "cannot write `\(path)` as \(format.title): the set has numbers as targets"
        case .empty(let path): "`\(path)` has no images to write"
        case .foldersWithoutImages: "class folders hold nothing but images"
        case .className(let name, let format, let reason):
            "the class `\(name)` cannot be written as \(format.title): \(reason)"
        }
    }

    /// The remedy.
    public var hint: String? {
        switch self {
        case .exists: "name another folder with -o, or remove it"
        case .nothingToWrite(_, let format, _):
            switch format {
            case .folders: "choose a format with boxes: --to coco, yolo, voc, createml or csv"
            default: "choose a format with labels of whole images: --to folders, csv or labelstudio"
            }
        case .values: "choose --to csv"
        case .foldersWithoutImages: "choose --images link or copy"
        case .empty: "see what was left out above"
        case .className: "rename the class first"
        }
    }
}
