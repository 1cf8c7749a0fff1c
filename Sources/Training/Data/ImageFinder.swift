// Finding the images that files of annotations name, wherever a set was moved to since.

import GraftImages
import GraftTensors
import OrderedCollections

/// The finders of a table: one for each split, since names may be the same in several.
struct ImageFinders {
    private let folder: String
    private let own: DataSplit?
    private let reading: PhotoReading
    private var known: [DataSplit?: ImageFinder] = [:]

    /// Finders for the table at `path`.
    init(table path: String, _ reading: PhotoReading) {
        folder = GraftTraining.folder(of: path)
        own = DataSplit(naming: stem(fileName(path)))
        self.reading = reading
    }

    /// The image of a row of this split.
    mutating func find(_ name: String, _ split: DataSplit?) -> String? {
        let split = split ?? own
        if let finder = known[split] { return finder.find(name) }
        let finder = ImageFinder(near: folder, split: split, reading)
        known[split] = finder
        return finder.find(name)
    }

    /// Notes on where the images were found, as sentences.
    var notes: [String] {
        var notes: [String] = []
        for finder in known.values { notes += finder.notes.filter { !notes.contains($0) } }
        return notes.sorted()
    }
}

/// Looks for images near a file of annotations: where it says, beside it, in the folders of its folder and
/// in the usual ones, and by ever shorter ends of the path that the file gives.
///
/// Folders beside the file's own are looked into only where that one holds annotations alone, as
/// `annotations` and `labels` do, and what is found in one of an unusual name is said in ``notes``.
final class ImageFinder {
    private let bases: [String]
    /// The folders among ``bases`` that nothing but their place speaks for.
    private let guesses: Set<String>
    private let reading: PhotoReading
    /// Whether the order of ``bases`` settles which of several images of a name is meant.
    private let isOrdered: Bool
    /// The extension that was found last: names of a set leave out the same one.
    private var lastExtension = "jpg"
    private var guessed: OrderedDictionary<String, Int> = [:]
    private var twin: (name: String, taken: String, other: String)?
    /// Images that are not where the file says, and the first of them.
    private var moved: (count: Int, given: String, found: String)?
    private var twinChecks = 0

    /// The extensions that are tried for a name without one.
    private static let extensions =
        ["jpg", "JPG", "jpeg", "JPEG", "png", "PNG"]
        + ContentKind.readableExtensions.filter { !["jpg", "jpeg", "png"].contains($0) }
    /// No path is longer, and no end of more parts is looked for.
    private static let lengthLimit = 4_096
    private static let partLimit = 12
    /// More folders than this beside a file are no data set.
    private static let folderLimit = 1_000
    /// The images of which others of the same name are looked for.
    private static let twinCheckLimit = 50
    private static let usual: Set<String> = [
        "images", "jpegimages", "img", "imgs", "photos", "pictures", "data",
    ]

    /// - Parameters:
    ///   - folder: The folder of the file of annotations.
    ///   - root: The folder of the set, where it is another one.
    ///   - split: The split that the file is of: its folders are looked into first.
    init(
        near folder: String, root: String? = nil, split: DataSplit? = nil, _ reading: PhotoReading
    ) {
        self.reading = reading
        isOrdered = split != nil
        let base = folder.isEmpty ? "." : folder
        if let chosen = reading.folder {
            let beside = chosen.hasPrefix("/") ? chosen : base + "/" + chosen
            bases = PhotoFolder.isFolder(beside) ? [beside] : [chosen]
            guesses = []
            return
        }
        func inner(_ folder: String) -> [String] {
            let names = ((try? FolderListing.names(in: folder)) ?? []).filter {
                PhotoFolder.isFolder(folder + "/" + $0) && !Self.holdsNoImages($0)
            }
            let paths = names.prefix(Self.folderLimit).map { folder + "/" + $0 }
            // The folder of the own split, those of none, and then training before others: a name may
            // be that of another image in each.
            let ranked = paths.map { path in
                let found = DataSplit(naming: fileName(path))
                let rank =
                    found == split && split != nil
                    ? 0
                    : found.flatMap { DataSplit.allCases.firstIndex(of: $0) }.map { $0 + 2 } ?? 1
                return (rank, path)
            }
            return (0...4).flatMap { rank in ranked.filter { $0.0 == rank }.map(\.1) }
        }
        func usual(_ folder: String) -> [String] {
            ((try? FolderListing.names(in: folder)) ?? []).filter {
                Self.usual.contains($0.lowercased()) && PhotoFolder.isFolder(folder + "/" + $0)
            }.map { folder + "/" + $0 }
        }
        let above = base == "." ? ".." : base + "/.."
        // A folder that anything may lie in says nothing of the folders beside it.
        let own = fileName(base == "." ? FolderListing.resolved(base) ?? base : normalized(base))
        let isPart = Self.holdsNoImages(own)
        let near = usual(base)
        let beside =
            (isPart ? usual(above) : []) + (root.map { usual($0.isEmpty ? "." : $0) } ?? [])
        let siblings = isPart ? inner(above) : []
        var bases: [String] = []
        if split != nil {
            // `annotations/instances_val2017.json` is of `../val2017`, whatever else has the name.
            let named = ((near + [base] + beside).flatMap(inner) + siblings).filter {
                DataSplit(naming: fileName($0)) == split
            }
            let isOwn = DataSplit(naming: own) == split
            bases = isOwn ? [base] + named : named
        }
        bases +=
            [base] + near + inner(base) + near.flatMap(inner) + beside + siblings
            + beside.flatMap(inner)
        var seen: Set<String> = []
        // `Annotations/../JPEGImages` is `JPEGImages`.
        self.bases = bases.filter { seen.insert(FolderListing.resolved($0) ?? $0).inserted }
        guesses = Set(
            siblings.filter {
                !Self.usual.contains(fileName($0).lowercased())
                    && DataSplit(naming: fileName($0)) == nil
            })
    }

    /// Notes on where the images were found, as sentences.
    var notes: [String] {
        var notes = guessed.map { base, count in
            "\(count == 1 ? "1 image is" : "\(count) images are") taken from `\(base)`, a folder beside "
                + "that of the annotations; --folder names another"
        }
        if let moved {
            notes.append(
                "\(moved.count == 1 ? "1 image is" : "\(moved.count) images are") not where the annotations "
                    + "say and found by the end of the path, such as `\(moved.found)` for `\(moved.given)`; "
                    + "--folder names their folder")
        }
        if let twin {
            notes.append(
                "images of the name `\(twin.name)` are in `\(twin.taken)` and in `\(twin.other)`: the "
                    + "first is taken; --folder names one of them")
        }
        return notes
    }

    private static func holdsNoImages(_ name: String) -> Bool {
        let lower = name.lowercased()
        return ["mask", "segmentation", "label", "annotation", "depth", "json", "xml"].contains {
            lower.contains($0)
        }
    }

    /// The path of an image; nil if it is nowhere near.
    ///
    /// - Parameter anyExtension: Whether an image of the same name with another extension will do.
    func find(_ name: String, anyExtension: Bool = false) -> String? {
        guard !name.isEmpty, name.utf8.count <= Self.lengthLimit else { return nil }
        let given = reading.fileExtension.map { name + "." + $0.drop { $0 == "." } } ?? name
        if given.hasPrefix("/"), PhotoFolder.isFile(given) { return given }
        if let found = located(given) { return found }
        let plain = Self.plain(given)
        if plain != given, let found = located(plain) { return found }
        // Label Studio puts eight digits before the name of a file that was uploaded to it.
        let last = fileName(plain)
        if let dash = last.firstIndex(of: "-"), last[..<dash].count == 8,
            last[..<dash].allSatisfy(\.isHexDigit),
            let found = located(String(last[last.index(after: dash)...]))
        {
            return found
        }
        let isBare = !ContentKind.hasReadableExtension(plain)
        let names = isBare ? [plain] : []
        for name in names + (anyExtension ? [stem(plain)] : []) {
            for ending in [lastExtension] + Self.extensions {
                guard let found = located(name + "." + ending) else { continue }
                lastExtension = ending
                return found
            }
        }
        return nil
    }

    /// The file of this path below one of the folders, or of the longest end of the path that is one.
    private func located(_ name: String) -> String? {
        let parts = name.split(separator: "/").map(String.init).filter { $0 != "." }
        // `../images/1.jpg` is where it says.
        if parts.first == "..", let base = bases.first {
            let path = base + "/" + parts.joined(separator: "/")
            if PhotoFolder.isFile(path) { return path }
        }
        // The whole, and its last parts.
        let starts = parts.indices.filter { $0 == 0 || $0 >= parts.count - Self.partLimit }
        for start in starts where parts[start] != ".." {
            let entries = entries(of: parts[start])
            for (rank, entry) in entries.enumerated() {
                let base = bases[entry.place]
                let end = ([entry.name] + parts[(start + 1)...]).joined(separator: "/")
                let path = base == "." ? end : base + "/" + end
                guard PhotoFolder.isFile(path) else { continue }
                if guesses.contains(base) { guessed[base, default: 0] += 1 }
                look(for: end, besideThatIn: base, among: entries[(rank + 1)...])
                if start > 0, !Self.isServed(name) {
                    moved = ((moved?.count ?? 0) + 1, moved?.given ?? name, moved?.found ?? path)
                }
                return path
            }
        }
        return nil
    }

    /// Whether a path is an address on a server: Label Studio's, or one whose scheme is gone.
    private static func isServed(_ name: String) -> Bool { name.hasPrefix("/data/") }

    /// Notes an image of the same name in another folder, which may be the one that is meant.
    private func look(
        for name: String, besideThatIn base: String,
        among entries: ArraySlice<(place: Int, name: String)>
    ) {
        guard !isOrdered, twin == nil, twinChecks < Self.twinCheckLimit else { return }
        twinChecks += 1
        let other = entries.map { bases[$0.place] }.first {
            $0 != base && PhotoFolder.isFile($0 + "/" + name)
        }
        if let other { twin = (name, base, other) }
    }

    /// The folders that have an entry of this name, in their order, and its name there: accents may be
    /// encoded in another way.
    private func entries(of name: String) -> [(place: Int, name: String)] {
        // Hidden entries are not in the index.
        guard !FolderListing.isSystem(name) else { return bases.indices.map { ($0, name) } }
        let found = index[name] ?? []
        guard found.count > 1 else { return found }
        func isOther(_ entry: (place: Int, name: String)) -> Int {
            entry.name.utf8.elementsEqual(name.utf8) ? 0 : 1
        }
        return found.sorted { ($0.place, isOther($0)) < ($1.place, isOther($1)) }
    }

    private lazy var index: [String: [(place: Int, name: String)]] = {
        var index: [String: [(place: Int, name: String)]] = [:]
        for (place, base) in bases.enumerated() {
            for name in (try? FolderListing.names(in: base)) ?? [] {
                index[name, default: []].append((place, name))
            }
        }
        return index
    }()

    /// A path without its scheme, host, drive and query, with slashes, and percent escapes resolved.
    private static func plain(_ name: String) -> String {
        var path = Substring(name)
        if let scheme = path.firstRange(of: "://") {
            path = path[scheme.upperBound...]
            path = path.firstIndex(of: "/").map { path[$0...] } ?? path
        }
        if let local = path.firstRange(of: "?d=") {
            path = path[local.upperBound...]
        } else if name.contains("://"), let query = path.firstIndex(of: "?") {
            path = path[..<query]
        }
        var bytes: [UInt8] = []
        var rest = path.utf8[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2,
                let code = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(code == UInt8(ascii: "\\") ? UInt8(ascii: "/") : code)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte == UInt8(ascii: "\\") ? UInt8(ascii: "/") : byte)
            }
        }
        var result = PathBytes.string(bytes)
        if result.utf8.dropFirst().first == UInt8(ascii: ":") {
            result = String(result.dropFirst(2))
        }
        return result
    }
}
