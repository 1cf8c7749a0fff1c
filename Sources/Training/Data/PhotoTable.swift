// Labelled photos in a table: CSV, or one JSON object a line.

import FoundationEssentials
import GraftImages
public import GraftTensors

extension PhotoFolder {
    private static let pathColumns = ["path", "file", "filename", "file_name", "image"]
    private static let classColumns = ["label", "class"]
    private static let valueColumns = ["value", "values", "target", "targets"]

    /// The photos of a table. Columns are found by their names: `path`, `file`, `filename`,
    /// `file_name` or `image` has paths, relative to the table's folder; `label` or `class` the
    /// class; `labels` any number of labels, `|` or `;` between them; `value` or `target` a
    /// number; `group` what must stay on one side of a split. With many labels, the columns that
    /// are asked for, or all others, may hold 0 and 1 instead.
    public static func table(_ path: String, _ reading: PhotoReading = PhotoReading()) throws
        -> PhotoFolder
    {
        let table = try TextTable(path)
        guard let paths = table.first(of: pathColumns) else {
            throw PhotoTableError.noColumns(path, found: table.columns.joined(separator: ", "))
        }
        for column in reading.columns where !table.columns.contains(column.lowercased()) {
            throw PhotoTableError.noColumn(
                path, column: column, found: table.columns.joined(separator: ", "))
        }
        if let objects = table.columns.firstIndex(of: "objects") {
            return try annotated(table, paths, objects).photos(path, reading)
        }
        let task = reading.task ?? suggestion(table)
        guard let task else {
            throw PhotoTableError.noColumns(path, found: table.columns.joined(separator: ", "))
        }
        let folder = folder(of: path)
        let group = table.columns.firstIndex(of: "group")
        let labels = try Labelling(table, task, reading, except: [paths, group].compactMap(\.self))
        var items: [Item] = []
        for (row, cells) in table.rows.enumerated() {
            let name = cells[paths].joined()
            guard !name.isEmpty else { throw table.bad(row, "has no path") }
            var item = Item(
                path: name.hasPrefix("/") || folder.isEmpty ? name : folder + "/" + name,
                relativePath: name, classIndex: task == .classification ? labels.classes[row] : 0)
            if task != .classification { item.targets = labels.targets[row] }
            item.group = group.map { cells[$0].joined() }
            items.append(item)
        }
        guard
            task == .regression || labels.names.count > (task == .classification ? 1 : 0)
                || reading.isForEvaluation
        else {
            throw PhotoFolderError.oneClass(path, name: labels.names.first ?? "none")
        }
        let sorted = items.sorted {
            ($0.classIndex, $0.relativePath) < ($1.classIndex, $1.relativePath)
        }
        return PhotoFolder(path: path, classes: labels.names, items: sorted, task: task)
    }

    /// Throws if a number for each label of each photo would fill the memory.
    static func checkTargets(_ path: String, _ labels: Int, _ photos: Int) throws {
        guard labels <= (1 << 27) / max(photos, 1) else {
            throw PhotoFolderError.tooManyLabels(path, labels: labels, photos: photos)
        }
    }

    private static func suggestion(_ table: TextTable) -> LearningTask? {
        if table.first(of: classColumns) != nil { return .classification }
        if table.columns.contains("labels") { return .multiLabel }
        return table.first(of: valueColumns) != nil ? .regression : nil
    }

    /// What the columns of a table say of each row.
    private struct Labelling {
        var names: [String] = []
        var classes: [Int] = []
        var targets: [[Float]] = []

        init(_ table: TextTable, _ task: LearningTask, _ reading: PhotoReading, except: [Int])
            throws
        {
            func chosen(_ usual: [String]) -> [Int] {
                let wanted =
                    reading.columns.isEmpty ? usual : reading.columns.map { $0.lowercased() }
                return wanted.compactMap { table.columns.firstIndex(of: $0) }
            }
            func missing() -> PhotoTableError {
                .noColumns(table.path, found: table.columns.joined(separator: ", "))
            }
            switch task {
            case .classification, .embedding:
                guard let column = chosen(classColumns).first else { throw missing() }
                let labels = try table.rows.enumerated().map { row, cells in
                    guard cells[column].count == 1, !cells[column][0].isEmpty else {
                        throw table.bad(row, "has no label")
                    }
                    return cells[column][0]
                }
                names = sortedNames(labels)
                let places = places(names)
                classes = labels.map { places[$0] ?? 0 }
            case .multiLabel, .detection:
                if reading.columns.isEmpty, let column = table.columns.firstIndex(of: "labels") {
                    let lists = table.rows.map { cells in
                        cells[column].count > 1
                            ? cells[column]
                            : cells[column].joined().split(whereSeparator: {
                                $0 == "|" || $0 == ";"
                            })
                            .map { $0.trimmed }
                    }
                    names = sortedNames(lists.flatMap { $0 }.filter { !$0.isEmpty })
                    try PhotoFolder.checkTargets(table.path, names.count, lists.count)
                    let places = places(names)
                    targets = lists.map { list in
                        var row = [Float](repeating: 0, count: names.count)
                        for label in list { if let at = places[label] { row[at] = 1 } }
                        return row
                    }
                    return
                }
                let columns =
                    reading.columns.isEmpty
                    ? table.columns.indices.filter { !except.contains($0) } : chosen([])
                names = columns.map { table.titles[$0] }
                targets = try table.rows.enumerated().map { row, cells in
                    try columns.map { column in
                        switch cells[column].joined().lowercased() {
                        case "1", "1.0", "true", "yes": 1
                        case "0", "0.0", "false", "no", "": 0
                        case let text:
                            throw table.bad(
                                row,
                                "has `\(text)` in column `\(table.titles[column])`, expected 0 or 1"
                            )
                        }
                    }
                }
            case .regression:
                let columns = chosen(valueColumns.filter(table.columns.contains))
                guard !columns.isEmpty else { throw missing() }
                names = columns.map { table.titles[$0] }
                targets = try table.rows.enumerated().map { row, cells in
                    try columns.map { column in
                        guard let value = Float(cells[column].joined()), value.isFinite else {
                            throw table.bad(
                                row,
                                "has `\(cells[column].joined())` in column `\(table.titles[column])`, expected a number"
                            )
                        }
                        return value
                    }
                }
            }
        }
    }

    /// The boxes of the Hub's `objects` column: `{"bbox": [[x, y, w, h], …], "categories": […]}`.
    private static func annotated(_ table: TextTable, _ paths: Int, _ objects: Int) throws
        -> AnnotatedPhotos
    {
        var result = AnnotatedPhotos()
        let folder = folder(of: table.path)
        for (row, cells) in table.rows.enumerated() {
            let name = cells[paths].joined()
            struct Objects: Decodable {
                var bbox: [[Double]]
                var categories: [JSONCell]
            }
            guard
                let found = try? JSONDecoder().decode(
                    Objects.self, from: Data(cells[objects].joined().utf8)),
                found.bbox.count == found.categories.count
            else { throw table.bad(row, "has `objects` without as many categories as boxes") }
            var photo = AnnotatedPhotos.Photo(
                path: folder.isEmpty ? name : folder + "/" + name, name: name)
            for (sides, category) in zip(found.bbox, found.categories) {
                guard sides.count == 4 else {
                    throw table.bad(row, "has a box of \(sides.count) numbers")
                }
                let box = Box(
                    left: sides[0], top: sides[1], right: sides[0] + sides[2],
                    bottom: sides[1] + sides[3])
                result.add(
                    AnnotatedPhotos.Thing(label: category.text, box: box), to: &photo,
                    place: "line \(row + 1) of `\(table.path)`")
            }
            result.photos.append(photo)
        }
        return result
    }
}

func folder(of path: String) -> String {
    path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
}

/// Names once each, in the order of their bytes.
func sortedNames(_ names: some Sequence<String>) -> [String] {
    Set(names).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
}

func places(_ names: [String]) -> [String: Int] {
    Dictionary(names.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
}

extension Substring {
    var trimmed: String {
        var text = self
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }
}

/// A table that lists no labelled photos.
public enum PhotoTableError: Diagnostic, Equatable {
    /// The first line does not name the columns.
    case noColumns(String, found: String)
    /// A column that was asked for is not there.
    case noColumn(String, column: String, found: String)
    /// A line that says what it may not.
    case badRow(String, line: Int, reason: String)

    /// What happened.
    public var message: String {
        switch self {
        case .noColumns(let path, let found):
            "expected columns `path` and `label`, `labels` or `value` in `\(path)`, found `\(found)`"
        case .noColumn(let path, let column, let found):
            "`\(path)` has no column `\(column)`; it has `\(found)`"
        case .badRow(let path, let line, let reason): "line \(line) of `\(path)` \(reason)"
        }
    }

    /// What to do about it.
    public var hint: String? {
        switch self {
        case .noColumns: "begin the file with `path,label`, or name its columns with --columns"
        case .noColumn: nil
        case .badRow: "put fields that hold commas into double quotes"
        }
    }
}
