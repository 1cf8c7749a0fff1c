// A folder of folders of photos: each folder is a class, each photo in it an example.

public import GraftImages
public import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Labelled photos on disk: `folder/class/photo.jpg`, as torchvision's `ImageFolder` and Keras'
/// `image_dataset_from_directory` have them.
public struct PhotoFolder: Sendable {
    /// One labelled photo.
    public struct Item: Sendable, Hashable {
        /// Where it is.
        public let path: String
        /// Where it is below the folder: what a ``Split`` remembers.
        public let relativePath: String
        /// Its class, an index into ``PhotoFolder/classes``; 0 where a photo is not of one class.
        public var classIndex: Int
        /// With many labels: 1 for those that hold, 0 for others. With numbers: the numbers.
        public var targets: [Float] = []
        /// Photos of one group stay on one side of a split.
        public var group: String?
        /// Where it is in the file at ``path``, if that is an archive.
        public var range: Range<Int>?
        /// The part of the picture that is meant, if not all.
        public var box: Box?

        /// A labelled photo.
        public init(path: String, relativePath: String, classIndex: Int) {
            self.path = path
            self.relativePath = relativePath
            self.classIndex = classIndex
        }
    }

    /// The folder.
    public let path: String
    /// The names of the classes, in the order of their bytes (Python's `sorted`); of numbers, the
    /// names of the columns as they come.
    public let classes: [String]
    /// The photos, class by class, in the order of their relative paths.
    public let items: [Item]
    /// What is to be learned.
    public var task = LearningTask.classification
    /// What was left out while reading, and why.
    public var remarks: [String] = []

    /// Labelled photos.
    public init(
        path: String, classes: [String], items: [Item], task: LearningTask = .classification
    ) {
        self.path = path
        self.classes = classes
        self.items = items
        self.task = task
    }

    /// How many photos each class has; of numbers, how many photos there are.
    public var counts: [Int] {
        guard task == .classification else {
            return classes.indices.map { index in
                items.count { task == .regression || $0.targets[index] > 0 }
            }
        }
        return items.reduce(into: [Int](repeating: 0, count: classes.count)) {
            $0[$1.classIndex] += 1
        }
    }

    /// Lists the photos of a folder of folders, opening none.
    ///
    /// Hidden files are passed over. Files that are no images, neither by extension nor by content,
    /// are left out and counted by kind in ``remarks``; so are links to files outside of the folder.
    public static func scan(_ path: String, _ reading: PhotoReading = PhotoReading()) throws
        -> PhotoFolder
    {
        guard let root = resolved(path) else { throw FileError("open", path) }
        guard kind(root) == S_IFDIR else { throw PhotoFolderError.notAFolder(path) }
        let names = try entries(of: root)
        let classes = names.filter { kind(root + "/" + $0) == S_IFDIR }
        guard !classes.isEmpty else {
            var others = LeftOutFiles()
            let images = names.count { others.admits(path: root + "/" + $0) }
            throw PhotoFolderError.noClasses(path, photos: images)
        }
        guard classes.count > 1 || reading.isForEvaluation else {
            throw PhotoFolderError.oneClass(path, name: classes[0])
        }
        var items: [Item] = []
        var remarks: [String] = []
        var leftOut = LeftOutFiles()
        for name in names where kind(root + "/" + name) == S_IFREG {
            leftOut.add(ContentKind.orUnknown(root + "/" + name), name: name)
        }
        for (index, name) in classes.enumerated() {
            var outward = 0
            var others = LeftOutFiles()
            let photos = try photos(
                below: name, root: root, depth: 0, outward: &outward, leftOut: &others)
            guard !photos.isEmpty || reading.isForEvaluation else {
                throw PhotoFolderError.emptyClass(
                    path + "/" + name, links: outward, leftOut: others)
            }
            leftOut.add(others)
            if outward > 0 {
                remarks.append(
                    "\(outward) \(outward == 1 ? "link" : "links") of `\(path)/\(name)` "
                        + "to no photo inside of `\(path)`")
            }
            for photo in photos.sorted(by: bytewise) {
                items.append(
                    Item(path: path + "/" + photo, relativePath: photo, classIndex: index))
            }
        }
        if !leftOut.isEmpty { remarks.append(leftOut.remark(of: path)) }
        var folder = PhotoFolder(path: path, classes: classes, items: items)
        folder.remarks = remarks
        return folder
    }

    /// - Parameters:
    ///   - outward: Grows by the links that are not followed.
    ///   - leftOut: Grows by the files that are no images.
    private static func photos(
        below relative: String, root: String, depth: Int, outward: inout Int,
        leftOut: inout LeftOutFiles
    ) throws -> [String] {
        guard depth < 32 else { return [] }
        var found: [String] = []
        for name in try entries(of: root + "/" + relative) {
            let child = relative + "/" + name
            let full = root + "/" + child
            switch kind(full) {
            case S_IFDIR:
                found += try photos(
                    below: child, root: root, depth: depth + 1, outward: &outward,
                    leftOut: &leftOut)
            case S_IFREG: if leftOut.admits(path: full) { found.append(child) }
            case S_IFLNK:
                if let target = resolved(full), isWithin(root, target), kind(target) == S_IFREG {
                    if leftOut.admits(path: full) { found.append(child) }
                } else {
                    outward += 1
                }
            default: break
            }
        }
        return found
    }

    /// Whether a link in `root` leads to a file of `root`, or, where that is a snapshot in the cache of
    /// the Hub, whose files are links, to one of its blobs.
    private static func isWithin(_ root: String, _ target: String) -> Bool {
        guard let middle = root.firstRange(of: "/snapshots/") else {
            return target.hasPrefix(root + "/")
        }
        let repository = root[..<middle.lowerBound]
        let hub = repository[..<(repository.lastIndex(of: "/") ?? repository.startIndex)]
        return ["\(root)/", "\(repository)/blobs/", "\(hub)/blobs/"].contains {
            target.hasPrefix($0)
        }
    }

    /// The photos in a folder and the folders in it, by relative path.
    static func photos(in folder: String) throws -> [String] {
        guard let root = resolved(folder) else { throw FileError("open", folder) }
        var outward = 0
        var leftOut = LeftOutFiles()
        return try photos(below: "", root: root, depth: 0, outward: &outward, leftOut: &leftOut)
            .map { String($0.drop { $0 == "/" }) }
            .sorted(by: bytewise)
    }

    /// Where a photo is that a file in `folder` names: beside it, or in a folder beside it, or in
    /// one beside the folder, as data sets have them.
    static func find(_ name: String, near folder: String) -> String {
        guard !name.hasPrefix("/") else { return name }
        let base = folder.isEmpty ? "." : folder
        let above = base + "/.."
        let near = ["", "/images", "/JPEGImages", "/train", "/val"].map { base + $0 }
        let places = near + ((try? entries(of: above)) ?? []).map { above + "/" + $0 }
        return places.map { $0 + "/" + name }.first(where: isFile) ?? base + "/" + name
    }

    /// Whether the file at `path` is taken for an image.
    package static func isImage(_ path: String) -> Bool {
        var others = LeftOutFiles()
        return isFile(path) && others.admits(path: path)
    }

    /// The names of the images that are in a folder itself.
    package static func imagesDirectly(in folder: String) throws -> [String] {
        try entries(of: folder).filter { isImage(folder + "/" + $0) }
    }

    /// The photos in a folder and the folders in it, in the order of their paths.
    public static func list(_ folder: String) throws -> [String] {
        try photos(in: folder).map { folder + "/" + $0 }
    }

    /// Whether a path is a folder.
    public static func isFolder(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    static func isFile(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
    }

    /// The names in a folder without the hidden ones, in the order of their bytes.
    static func entries(of folder: String) throws -> [String] {
        try names(in: folder)
    }
}

/// The names in a folder without the hidden ones, in the order of their bytes.
private func names(in folder: String) throws -> [String] {
    guard let stream = opendir(folder) else { throw FileError("open", folder) }
    defer { closedir(stream) }
    var names: [String] = []
    errno = 0
    while let entry = readdir(stream) {
        let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
            String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        if !name.hasPrefix(".") { names.append(name) }
        errno = 0
    }
    guard errno == 0 else { throw FileError("read", folder) }
    return names.sorted(by: bytewise)
}

private func bytewise(_ left: String, _ right: String) -> Bool {
    left.utf8.lexicographicallyPrecedes(right.utf8)
}

/// The file type of what is at a path, links not followed; nil if nothing is.
private func kind(_ path: String) -> mode_t? {
    var status = stat()
    return lstat(path, &status) == 0 ? status.st_mode & S_IFMT : nil
}

/// The path with all links followed, or nil with `errno` set.
private func resolved(_ path: String) -> String? {
    guard let pointer = realpath(path, nil) else { return nil }
    defer { free(pointer) }
    return String(cString: pointer)
}

/// A folder that is not a folder of folders of photos.
public enum PhotoFolderError: Diagnostic, Equatable {
    /// A file was given.
    case notAFolder(String)
    /// There is no folder in the folder; `photos` lie in it directly.
    case noClasses(String, photos: Int)
    /// There is one class only.
    case oneClass(String, name: String)
    /// A class has no image, only links that lead out of the folder, or other files.
    case emptyClass(String, links: Int, leftOut: LeftOutFiles)
    /// A share of photos for validation that leaves one side without any.
    case fraction(Double)
    /// A class has too few photos to have some on both sides of a split.
    case tooFew(String, count: Int)
    /// A photo of an archive that nothing labels.
    case unlabelled(String, photo: String)
    /// The files are of another task than was asked for.
    case otherTask(String, expected: LearningTask, found: LearningTask)
    /// So many labels for so many photos that a table of both has no place.
    case tooManyLabels(String, labels: Int, photos: Int)
    /// Columns were asked for of what has none.
    case noTable(String)
    /// The groups are so few or so large that one side would be left without a class.
    case tooFewGroups(String, groups: Int)

    /// What happened.
    public var message: String {
        switch self {
        case .notAFolder(let path): "expected a folder of photos at `\(path)`, found a file"
        case .noClasses(let path, let photos):
            "expected a folder for each class in `\(path)`, found none"
                + (photos > 0 ? " but \(photos) photos" : "")
        case .oneClass(let path, let name):
            "expected at least 2 classes in `\(path)`, found 1: `\(name)`"
        case .emptyClass(let path, let links, let leftOut):
            "expected images (\(ImageFormat.list)) in `\(path)`, found "
                + (links > 0
                    ? "\(links) link\(links == 1 ? "" : "s") to files outside of the folder"
                    : leftOut.isEmpty ? "none" : "none but \(leftOut.kinds)")
        case .fraction(let fraction):
            "expected a validation share between 0 and 1, found \(fraction)"
        case .tooFew(let name, let count):
            "expected at least 2 photos of class `\(name)` to split, found \(count)"
        case .unlabelled(let path, let photo):
            "nothing says of which class the photo `\(photo)` in `\(path)` is"
        case .otherTask(let path, let expected, let found):
            "`\(path)` is a set for \(found.rawValue), not for \(expected.rawValue)"
        case .tooManyLabels(let path, let labels, let photos):
            "expected a table of labels, found \(labels) of them for \(photos) photos in `\(path)`"
        case .noTable(let path): "expected a table with columns at `\(path)`, found other photos"
        case .tooFewGroups(let name, let groups):
            "the \(groups) groups of photos cannot be divided so that both sides have `\(name)`"
        }
    }

    /// What to do about it.
    public var hint: String? {
        switch self {
        case .notAFolder, .noClasses:
            "lay the photos out as `photos/cat/1.jpg`, `photos/dog/2.jpg`"
        case .oneClass(let path, _):
            PhotoFolder.isFile(path)
                ? "add photos of something else, for example of a class `other`"
                : "add a folder of photos of something else, for example `other`"
        case .emptyClass(_, let links, _):
            links > 0
                ? "links are followed inside of the folder only: copy or hard-link the photos, or list them in a CSV table"
                : "add photos to it, or remove the folder"
        case .fraction: "a fifth is usual: 0.2"
        case .unlabelled: "put photos into folders named by class, or a `.cls` file beside each"
        case .otherTask(_, let expected, _):
            expected == .classification
                ? "add --crops to learn from each box" : "list the photos in a CSV table"
        case .noTable: "leave --columns out, or name a .csv or .jsonl file"
        case .tooManyLabels: "name the column that holds labels, or learn from fewer photos at once"
        case .tooFewGroups, .tooFew: "add photos, or name a folder of validation photos of its own"
        }
    }
}
