// Finding the images that files of annotations name, wherever a set was moved to since.

import GraftImages
import GraftTensors

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
}

/// Looks for images near a file of annotations: beside it, in the usual folders, and by ever shorter ends
/// of the path that the file gives.
final class ImageFinder {
    private let bases: [String]
    private let reading: PhotoReading
    /// The extension that was found last: names of a set leave out the same one.
    private var lastExtension = "jpg"

    /// The extensions that are tried for a name without one.
    private static let extensions =
        ["jpg", "JPG", "jpeg", "JPEG", "png", "PNG"]
        + ContentKind.readableExtensions.filter { !["jpg", "jpeg", "png"].contains($0) }
    /// No path is longer, and no end of more parts is looked for.
    private static let lengthLimit = 4_096
    private static let partLimit = 12
    /// More folders than this beside a file are no data set.
    private static let folderLimit = 1_000
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
        let base = folder.isEmpty ? "." : folder
        if let chosen = reading.folder {
            let beside = chosen.hasPrefix("/") ? chosen : base + "/" + chosen
            bases = PhotoFolder.isFolder(beside) ? [beside] : [chosen]
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
        let above = base == "." ? ".." : base + "/.."
        func usual(_ folder: String) -> [String] {
            ((try? FolderListing.names(in: folder)) ?? []).filter {
                Self.usual.contains($0.lowercased()) && PhotoFolder.isFolder(folder + "/" + $0)
            }.map { folder + "/" + $0 }
        }
        let near = usual(base)
        let beside = usual(above) + (root.map { usual($0.isEmpty ? "." : $0) } ?? [])
        var bases: [String] = []
        if split != nil {
            // `annotations/instances_val2017.json` is of `../val2017`, whatever else has the name.
            let own = (near + [base] + beside + [above]).flatMap(inner).filter {
                DataSplit(naming: fileName($0)) == split
            }
            let isOwn = DataSplit(naming: fileName(base)) == split
            bases = isOwn ? [base] + own : own
        }
        bases +=
            [base] + near + inner(base) + near.flatMap(inner) + beside + inner(above)
            + beside.flatMap(inner)
        var seen: Set<String> = []
        self.bases = bases.filter { seen.insert($0).inserted }
    }

    private static func holdsNoImages(_ name: String) -> Bool {
        let lower = name.lowercased()
        return ["mask", "segmentation", "label", "annotation", "depth"].contains {
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
        // The whole, and its last parts.
        let starts = parts.indices.filter { $0 == 0 || $0 >= parts.count - Self.partLimit }
        for start in starts where parts[start] != ".." {
            let end = parts[start...].joined(separator: "/")
            for base in bases {
                let path = base == "." ? end : base + "/" + end
                if PhotoFolder.isFile(path) { return path }
            }
        }
        return nil
    }

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
                bytes.append(code)
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
