// Data sets of the Hugging Face Hub as downloaded: Parquet files with image bytes, labels or objects.

import GraftFormats
import GraftImages
public import GraftTensors

/// The Parquet files of a data set.
struct ParquetSet {
    /// A file and the split that its name means.
    private struct File {
        var path: String
        var split: DataSplit?
    }

    private let path: String
    private let files: [File]
    private let reading: PhotoReading
    private var set = AnnotatedImages()
    private var names: Set<String> = []

    /// Folders beside each other in which Parquet files are looked for: class folders may be many.
    private static let folderLimit = 20

    /// Whether a file is Parquet, by its first bytes.
    static func isFile(_ path: String) throws -> Bool {
        try Storage(mapping: path).withBytes { ParquetFile.isParquet($0) }
    }

    /// Whether there are Parquet files in a folder, or a few folders below.
    static func isFolder(_ path: String) -> Bool { hasFiles(path, depth: 0) }

    private static func hasFiles(_ folder: String, depth: Int) -> Bool {
        guard depth < 3, let names = try? FolderListing.names(in: folder) else { return false }
        if names.contains(where: { $0.lowercased().hasSuffix(".parquet") }) { return true }
        let folders = names.map { folder + "/" + $0 }.filter(PhotoFolder.isFolder)
        return folders.prefix(folderLimit).contains { hasFiles($0, depth: depth + 1) }
    }

    /// Reads the set; labels are annotations of whole images.
    ///
    /// - Throws: `ParquetError`, ``ParquetSetError`` or `FileError`.
    static func read(_ path: String, _ reading: PhotoReading) throws -> AnnotatedImages {
        var parquet = try ParquetSet(path, reading)
        for file in parquet.files { try parquet.read(file) }
        parquet.settle()
        return parquet.set
    }

    private init(_ path: String, _ reading: PhotoReading) throws {
        self.path = path
        self.reading = reading
        let paths = PhotoFolder.isFile(path) ? [path] : try Self.list(path, depth: 0)
        // A configuration is a folder of its own, unless folders are named by split.
        let groups = Set(paths.map { Self.configuration($0, below: path) })
        guard groups.count <= 1 else {
            throw ParquetSetError.configurations(path, found: groups.sorted())
        }
        let splits = paths.map(Self.split)
        // One split divides nothing.
        let isDivided = Set(splits).count > 1
        files = zip(paths, splits).map { File(path: $0, split: isDivided ? $1 : nil) }
        set.format = "Parquet"
    }

    /// Parquet files in a folder and those below it, in the order of their names.
    private static func list(_ folder: String, depth: Int) throws -> [String] {
        guard depth < 4 else { return [] }
        var found: [String] = []
        for name in try FolderListing.names(in: folder) {
            let child = folder + "/" + name
            if PhotoFolder.isFolder(child) {
                found += try list(child, depth: depth + 1)
            } else if name.lowercased().hasSuffix(".parquet") {
                found.append(child)
            }
        }
        return found
    }

    private static func configuration(_ file: String, below folder: String) -> String {
        file.dropFirst(folder.count).split(separator: "/").dropLast()
            .filter { $0 != "data" && DataSplit(naming: $0) == nil }.joined(separator: "/")
    }

    /// The split that `train-00000-of-00002.parquet` or `train/0000.parquet` is of.
    private static func split(_ path: String) -> DataSplit? {
        let parts = path.split(separator: "/")
        let stem = (parts.last ?? "").split(separator: ".").first ?? ""
        let words = stem.split(separator: "-")
        let name =
            words.count >= 3 && words[words.count - 2] == "of"
            ? words.dropLast(3).joined(separator: "-") : String(stem)
        return DataSplit(naming: name) ?? parts.dropLast().last.flatMap { DataSplit(naming: $0) }
    }

    /// The columns of a file by what they hold.
    private struct Columns {
        var bytes: Int
        var path: Int?
        var label: Int?
        var boxes: Int?
        var categories: Int?
        var areas: Int?
        /// The names of the classes by number.
        var classes: [String]?
    }

    private mutating func read(_ entry: File) throws {
        let file = try ParquetFile(entry.path)
        let columns = try columns(of: file)
        if let classes = columns.classes, set.classes.isEmpty {
            set.classes = classes
            for (index, name) in classes.enumerated() { set.categories[index] = name }
        }
        let images = try file.values(column: columns.bytes)
        let paths = try columns.path.map { try file.values(column: $0) }
        let labels = try columns.label.map { try file.values(column: $0) }
        let boxes = try columns.boxes.map { try file.values(column: $0) }
        let categories = try columns.categories.map { try file.values(column: $0) }
        let areas = try columns.areas.map { try file.values(column: $0) }
        let stem = stem(fileName(entry.path))
        for row in images.indices {
            let place = AnnotationPlace(file: entry.path, entry: "row \(row)")
            let given = try paths.flatMap { try Self.text($0[row], file) } ?? ""
            var image = AnnotatedImage(path: entry.path, name: "")
            image.split = entry.split
            image.place = place
            guard case .bytes(let bytes) = images[row] else {
                set.omissions.add(.missingImage, at: place, given)
                continue
            }
            if case .file(let range) = bytes {
                image.range = range
            } else {
                image.embedded = EmbeddedImage(file: file, place: bytes)
            }
            image.name = name(stem, row, fileName(given))
            if let label = labels?[row] {
                try add(label, to: &image, file, columns.classes, place)
            }
            if let boxes, let categories {
                try add(
                    boxes: boxes[row], categories: categories[row], areas: areas?[row], to: &image,
                    file, columns.classes, place)
            }
            set.images.append(image)
        }
    }

    /// A name below the file's, unique in the set.
    private mutating func name(_ stem: String, _ row: Int, _ given: String) -> String {
        let digits = String(row)
        let number = String(repeating: "0", count: max(6 - digits.count, 0)) + digits
        let wanted = "\(stem)/" + (given.isEmpty ? number : given)
        if names.insert(wanted).inserted { return wanted }
        let other = "\(stem)/\(number)" + (given.isEmpty ? "" : "-" + given)
        names.insert(other)
        return other
    }

    private static func text(_ value: ParquetValue, _ file: ParquetFile) throws -> String? {
        switch value {
        case .bytes(let place): try file.text(place)
        case .integer(let number): "\(number)"
        case .boolean(let bit): bit ? "1" : "0"
        case .number(let number): "\(number)"
        case .null, .list: nil
        }
    }

    /// The class that a value names or numbers; nil if it has none.
    private mutating func label(
        _ value: ParquetValue, _ file: ParquetFile, _ classes: [String]?, _ place: AnnotationPlace
    ) throws -> String? {
        if case .integer(let number) = value, let classes {
            guard let index = Int(exactly: number), classes.indices.contains(index) else {
                // -1 is how the Hub has images without a label.
                set.omissions.add(number == -1 ? .noLabel : .unknownClass, at: place, "\(number)")
                return nil
            }
            return classes[index]
        }
        let text = try Self.text(value, file)
        if text?.isEmpty != false { set.omissions.add(.noLabel, at: place) }
        return text?.isEmpty == false ? text : nil
    }

    private mutating func add(
        _ value: ParquetValue, to image: inout AnnotatedImage, _ file: ParquetFile,
        _ classes: [String]?, _ place: AnnotationPlace
    ) throws {
        let values = if case .list(let list) = value { list } else { [value] }
        for value in values {
            guard let name = try label(value, file, classes, place) else { continue }
            image.annotations.append(Annotation(label: name, place: place))
        }
    }

    private mutating func add(
        boxes: ParquetValue, categories: ParquetValue, areas: ParquetValue?,
        to image: inout AnnotatedImage, _ file: ParquetFile, _ classes: [String]?,
        _ place: AnnotationPlace
    ) throws {
        guard case .list(let boxes) = boxes, case .list(let categories) = categories else { return }
        guard boxes.count == categories.count else {
            return set.omissions.add(
                .malformed, at: place, "\(boxes.count) boxes, \(categories.count) categories")
        }
        let header = try? image.withBytes { try ImageHeader($0, name: image.name) }
        (image.width, image.height) = (header?.width, header?.height)
        var sizes: [ParquetValue] = []
        if case .list(let list)? = areas, list.count == boxes.count { sizes = list }
        for (index, box) in boxes.enumerated() {
            guard case .list(let sides) = box, sides.count == 4 else {
                set.omissions.add(.malformed, at: place, "expected 4 numbers in `bbox`")
                continue
            }
            guard let name = try label(categories[index], file, classes, place) else { continue }
            let numbers = sides.map { $0.double ?? .nan }
            var annotation = Annotation(label: name, place: place)
            annotation.box = Box(
                left: numbers[0], top: numbers[1], right: numbers[0] + numbers[2],
                bottom: numbers[1] + numbers[3])
            if sizes.indices.contains(index), let area = sizes[index].double, area > 0 {
                annotation.area = area
            }
            set.add(annotation, to: &image)
        }
    }

    private mutating func settle() {
        if !set.images.contains(where: { $0.annotations.contains { $0.box != nil } }) { return }
        set.notes.append(
            "the boxes of `objects` are taken as x, y, width and height in pixels, as the Hub has them"
        )
    }
}

extension ParquetSet {
    private static let imageNames = [
        "image", "img", "images", "photo", "picture", "jpg", "jpeg", "png",
    ]
    private static let labelNames = [
        "label", "labels", "fine_label", "class", "classes", "category", "target", "cls",
    ]

    /// Finds the columns by the features that the Hub writes down, or else by their names.
    private mutating func columns(of file: ParquetFile) throws -> Columns {
        let features = features(of: file)
        let found = file.columns.map(\.name)
        func first(_ names: [String]) -> Int? {
            names.lazy.compactMap { file.column($0) }.first
        }
        var image: (bytes: Int, path: Int?)?
        let marked = features?.members.filter { $0.value.object?["_type"]?.string == "Image" } ?? []
        for name in marked.map(\.key) + Self.imageNames where image == nil {
            if let bytes = file.column(name + ".bytes") {
                image = (bytes, file.column(name + ".path"))
            } else if let bytes = file.column(name), file.columns[bytes].type == .byteArray,
                !file.columns[bytes].isText
            {
                image = (bytes, nil)
            }
        }
        guard let image else { throw ParquetSetError.noImages(file.path, found: found) }
        var columns = Columns(bytes: image.bytes, path: image.path ?? first(["file_name", "path"]))
        let boxes = ["objects", "object", "annotations"].lazy.compactMap { name in
            file.column(name + ".bbox").map { (name, $0) }
        }.first
        if let (name, place) = boxes, reading.columns.isEmpty {
            let keys = ["category", "categories", "label", "labels", "class", "category_id"]
            for key in keys where columns.categories == nil {
                columns.categories = file.column("\(name).\(key)")
                if columns.categories != nil {
                    columns.boxes = place
                    columns.classes = Self.classNames(features?[name], below: key)
                }
            }
            columns.areas = file.column(name + ".area")
        }
        guard columns.boxes == nil else { return columns }
        let asked = reading.columnRoles["label"] ?? reading.columns.first
        if let asked, file.column(asked) == nil {
            throw ParquetSetError.noColumn(file.path, column: asked, found: found)
        }
        let classLabels =
            features?.members.filter { Self.classNames($0.value, below: nil) != nil }.map(\.key)
            ?? []
        let named = Self.labelNames.filter { file.column($0) != nil }
        guard
            let label = asked ?? named.first(where: classLabels.contains) ?? classLabels.first
                ?? named.first
        else { throw ParquetSetError.noLabels(file.path, found: found) }
        columns.label = file.column(label)
        columns.classes = Self.classNames(features?[label], below: nil)
        let others = classLabels.filter { $0 != label }
        if asked == nil, !others.isEmpty {
            let note =
                "the labels are taken from `\(label)`; --columns \(others[0]) takes the others"
            if !set.notes.contains(note) { set.notes.append(note) }
        }
        return columns
    }

    /// The features that the Hub's library writes into a file.
    private func features(of file: ParquetFile) -> JSONObject? {
        guard let text = file.metadata("huggingface"),
            let tree = try? JSONTree.parse(text, path: file.path)
        else { return nil }
        return tree.object?["info"]?.object?["features"]?.object
    }

    /// The names of a `ClassLabel` in a feature, below the member `key` if there is one.
    private static func classNames(_ feature: JSONTree?, below key: String?, depth: Int = 0)
        -> [String]?
    {
        guard depth < 8, let feature else { return nil }
        // A list of features is written as a list of one.
        if let list = feature.list, list.count == 1 {
            return classNames(list[0], below: key, depth: depth + 1)
        }
        guard let object = feature.object else { return nil }
        if let key {
            if let inner = object[key] { return classNames(inner, below: nil, depth: depth + 1) }
            return classNames(object["feature"], below: key, depth: depth + 1)
        }
        if object["_type"]?.string == "ClassLabel", let names = object["names"]?.list {
            let texts = names.compactMap(\.string)
            return texts.count == names.count && !texts.isEmpty ? texts : nil
        }
        return classNames(object["feature"], below: nil, depth: depth + 1)
    }
}

extension ParquetValue {
    fileprivate var double: Double? {
        switch self {
        case .number(let value): value
        case .integer(let value): Double(value)
        default: nil
        }
    }
}

/// Parquet files that are no set of labelled images.
public enum ParquetSetError: Diagnostic, Equatable {
    /// No column holds images.
    case noImages(String, found: [String])
    /// No column holds labels or boxes.
    case noLabels(String, found: [String])
    /// A column that was asked for is missing.
    case noColumn(String, column: String, found: [String])
    /// The folder holds several data sets.
    case configurations(String, found: [String])

    /// The cause.
    public var message: String {
        func list(_ names: [String]) -> String {
            "`" + names.prefix(20).joined(separator: "`, `") + "`"
        }
        return switch self {
        case .noImages(let path, let found):
            "expected a column of image bytes in `\(path)`, found \(list(found))"
        case .noLabels(let path, let found):
            "expected a column of labels or `objects` in `\(path)`, found \(list(found))"
        case .noColumn(let path, let column, let found):
            "`\(path)` has no column `\(column)`; it has \(list(found))"
        case .configurations(let path, let found):
            "`\(path)` holds several configurations: \(list(found))"
        }
    }

    /// The remedy.
    public var hint: String? {
        switch self {
        case .noImages:
            "graft reads images as bytes, in a column such as `image` with the field `bytes`"
        case .noLabels: "name the column of labels: --columns label"
        case .noColumn: "name one of its columns"
        case .configurations: "name the folder of one of them"
        }
    }
}
