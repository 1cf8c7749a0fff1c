// Class folders: which folders are classes, which are splits, and which only wrap them.

import GraftFormats
import GraftImages
import GraftTensors

extension PhotoFolder {
    /// Lists the images of a folder with a folder for each class, opening none.
    ///
    /// Folders named as splits (`train`, `seg_test`, `Validation`) that hold class folders divide the
    /// set; a single folder around the class folders is passed through. `reading` can override both.
    /// Hidden files are passed over. Files that are no images, neither by extension nor by content,
    /// are left out and counted by kind in ``remarks``; so are links to files outside of the folder.
    public static func scan(_ path: String, _ reading: PhotoReading = PhotoReading()) throws
        -> PhotoFolder
    {
        guard let root = FolderListing.resolved(path) else { throw FileError("open", path) }
        guard FolderListing.kind(root) == .folder else { throw PhotoFolderError.notAFolder(path) }
        let listing = try FolderListing(root, links: reading.links)
        var scan = FolderScan(path: path, listing: listing)
        try scan.run(classesAreFolders: reading.classesAreFolders)
        return scan.result
    }
}

/// One reading of a folder of class folders.
private struct FolderScan {
    let path: String
    private let root: Branch
    private var omissions = Omissions()
    private var leftOut = LeftOutFiles()
    private var notes: [String] = []
    private let outward: [String]
    private var found: [(label: String, file: String, split: DataSplit?)] = []

    /// A folder with the images in it and the folders in it.
    private final class Branch {
        let path: String
        var images: [String] = []
        var folders: [(name: String, branch: Branch)] = []

        init(_ path: String) { self.path = path }

        /// All images below.
        var all: [String] { images + folders.flatMap { $0.branch.all } }
        /// The folders that have images below.
        var filled: [(name: String, branch: Branch)] { folders.filter { !$0.branch.all.isEmpty } }

        func branch(_ name: String) -> Branch {
            if let last = folders.last, last.name.utf8.elementsEqual(name.utf8) {
                return last.branch
            }
            let new = Branch(path.isEmpty ? name : path + "/" + name)
            folders.append((name, new))
            return new
        }
    }

    init(path: String, listing: FolderListing) {
        self.path = path
        root = Branch("")
        outward = listing.outward
        // In the order of their bytes, the files of a folder may be parted by those of another whose
        // name begins alike.
        let files = listing.files.map { file in
            (file, file.split(separator: "/", omittingEmptySubsequences: false).map(String.init))
        }.sorted { $0.1.lexicographicallyPrecedes($1.1, by: bytewise) }
        for (file, parts) in files {
            var branch = root
            for part in parts.dropLast() { branch = branch.branch(part) }
            if leftOut.admits(path: path + "/" + file) { branch.images.append(file) }
        }
        for link in listing.outward {
            omissions.add(.outwardLink, at: AnnotationPlace(file: path + "/" + link))
        }
        for name in (try? FolderListing.names(in: path)) ?? [] {
            let full = path + "/" + name
            if FolderListing.kind(full) == .folder, root.folders.allSatisfy({ $0.name != name }) {
                omissions.add(.emptyClass, at: AnnotationPlace(file: full))
            }
        }
        if FolderListing.kind(path + "/__MACOSX") == .folder {
            omissions.add(.systemFile, at: AnnotationPlace(file: path + "/__MACOSX"))
        }
    }

    mutating func run(classesAreFolders: Bool) throws {
        guard !classesAreFolders else { return try takeClasses(of: root, isForced: true) }
        let inner = unwrapped(root)
        if inner !== root, DataSplit(naming: fileName(inner.path)) == nil {
            notes.append("the class folders are those in `\(inner.path)`")
        }
        if let halves = halves(of: inner) {
            take(halves)
        } else {
            try takeClasses(of: inner, isForced: false)
        }
    }

    /// The folder itself, or the one inside that holds all class folders: `photos/photos/cat`.
    private mutating func unwrapped(_ branch: Branch) -> Branch {
        var branch = branch
        while branch.images.isEmpty, branch.filled.count == 1,
            let only = branch.filled.first?.branch,
            only.filled.count > 1 || (only.filled.count == 1 && isWrapper(only)),
            only.images.isEmpty
        {
            branch = only
        }
        return branch
    }

    /// Whether the one folder in it is no class of its own.
    private func isWrapper(_ branch: Branch) -> Bool {
        guard let inner = branch.filled.first?.branch else { return false }
        return inner.images.isEmpty || DataSplit(naming: fileName(branch.path)) != nil
    }

    /// The folders of a divided set: all that are named as splits and hold class folders, or all if they
    /// hold the same class folders.
    private mutating func halves(of branch: Branch) -> [(branch: Branch, split: DataSplit?)]? {
        let named = branch.filled.compactMap { name, inner in
            DataSplit(naming: name).map { (inner, $0) }
        }
        let isDivided =
            named.contains { $0.1 == .training } && Set(named.map(\.1)).count > 1
            && named.allSatisfy { !unwrapped($0.0).filled.isEmpty }
        if isDivided {
            for (name, inner) in branch.filled where DataSplit(naming: name) == nil {
                omissions.add(
                    .strayFolder, at: AnnotationPlace(file: path + "/" + inner.path),
                    "\(inner.all.count) images")
            }
            let names = branch.filled.map(\.name).filter { DataSplit(naming: $0) != nil }
            notes.append(
                "the folders \(quoted(names)) divide the set; --classes-are-folders takes them as "
                    + "classes")
            return named.map { ($0.0, $0.1) }
        }
        // Folders of other names: parts of one set if all hold the same class folders.
        let parts = branch.filled.map { unwrapped($0.branch) }
        guard parts.count > 1, let names = parts.first?.filled.map(\.name), names.count > 1,
            parts.allSatisfy({ $0.images.isEmpty && $0.filled.map(\.name) == names })
        else { return nil }
        notes.append(
            "the folders \(quoted(branch.filled.map(\.name))) hold the same class folders and are "
                + "taken as parts of one set; --classes-are-folders takes them as classes")
        return branch.filled.map { ($0.branch, DataSplit(naming: $0.name)) }
    }

    private mutating func take(_ halves: [(branch: Branch, split: DataSplit?)]) {
        for (branch, split) in halves {
            let inner = unwrapped(branch)
            addStray(inner)
            for (name, classFolder) in inner.filled { add(classFolder, label: name, split) }
        }
    }

    private mutating func takeClasses(of branch: Branch, isForced: Bool) throws {
        let classes = branch.filled
        guard !classes.isEmpty else {
            if let first = outward.first, branch.images.isEmpty {
                guard branch.folders.isEmpty, !first.contains("/") else {
                    throw PhotoFolderError.emptyClass(
                        path + "/" + folder(of: first), links: outward.count, leftOut: leftOut)
                }
                throw PhotoFolderError.onlyLinks(path, names: outward)
            }
            if branch.images.isEmpty, let only = branch.folders.first {
                throw PhotoFolderError.emptyClass(
                    path + "/" + only.name, links: 0, leftOut: leftOut)
            }
            throw PhotoFolderError.noClasses(path, photos: branch.images.count)
        }
        // Halves without classes: learning one from the other would mean nothing.
        if !isForced, classes.count > 1, classes.allSatisfy({ DataSplit(naming: $0.name) != nil }) {
            let bare = classes.filter { unwrapped($0.branch).filled.isEmpty }.map(\.name)
            throw PhotoFolderError.unlabelledSplits(
                path, names: bare.isEmpty ? classes.map(\.name) : bare)
        }
        addStray(branch)
        for (name, folder) in branch.folders where folder.all.isEmpty {
            omissions.add(.emptyClass, at: AnnotationPlace(file: path + "/" + folder.path), name)
        }
        for (name, folder) in classes { add(folder, label: name, nil) }
    }

    private mutating func addStray(_ branch: Branch) {
        for image in branch.images {
            omissions.add(.strayImage, at: AnnotationPlace(file: path + "/" + image))
        }
    }

    private mutating func add(_ branch: Branch, label: String, _ split: DataSplit?) {
        found += branch.all.map { (label, $0, split) }
    }

    private func quoted(_ names: [String]) -> String {
        names.map { "`\($0)`" }.joined(separator: ", ")
    }

    var result: PhotoFolder {
        // Names that differ in their bytes are different classes, also where Unicode finds them equal.
        var places: [[UInt8]: Int] = [:]
        let names = found.map(\.label)
        var classes: [String] = []
        for name in names where places.updateValue(0, forKey: Array(name.utf8)) == nil {
            classes.append(name)
        }
        classes.sort(by: bytewise)
        for (index, name) in classes.enumerated() { places[Array(name.utf8)] = index }
        var notes = notes
        let items = found.map { label, file, split in
            var item = PhotoFolder.Item(
                path: path + "/" + file, relativePath: file,
                classIndex: places[Array(label.utf8)] ?? 0)
            item.split = split
            return item
        }.sorted {
            $0.classIndex != $1.classIndex
                ? $0.classIndex < $1.classIndex : bytewise($0.relativePath, $1.relativePath)
        }
        let twins = Dictionary(grouping: classes, by: { $0 }).values.filter { $0.count > 1 }
        if let twin = twins.first?.first {
            notes.append(
                "`\(twin)` is the name of \(twins.first?.count ?? 2) class folders that differ only in "
                    + "how accents are encoded; they are kept apart")
        }
        let shown = classes.map { name in
            PathBytes.isRaw(name)
                ? PathBytes.bytes(name).withUnsafeBytes { TextBytes($0).text } : name
        }
        for (name, text) in zip(classes, shown) where PathBytes.isRaw(name) {
            notes.append("the name of a class folder is not UTF-8: its class is called `\(text)`")
        }
        var folder = PhotoFolder(path: path, classes: shown, items: items)
        folder.remarks = omissions.lines + (leftOut.isEmpty ? [] : [leftOut.remark(of: path)])
        folder.notes = notes
        return folder
    }
}
