// Labelled photos in a table: a CSV file with a column of paths and one of classes.

public import GraftTensors

extension PhotoFolder {
    /// The photos of a folder of folders, or of a `.csv` table.
    public static func open(_ path: String) throws -> PhotoFolder {
        path.lowercased().hasSuffix(".csv") ? try table(path) : try scan(path)
    }

    /// The photos of a table. Its first line names the columns: `path`, `file`, `filename` or
    /// `image` has paths, relative to the table's folder; `label` or `class` has the class.
    public static func table(_ path: String) throws -> PhotoFolder {
        let text = try Storage(mapping: path).withBytes { String(decoding: $0, as: UTF8.self) }
        var rows = CommaSeparated.rows(text)
        guard !rows.isEmpty else { throw PhotoTableError.noColumns(path, found: "") }
        let head = rows.removeFirst().map { $0.lowercased() }
        guard
            let paths = head.firstIndex(where: {
                ["path", "file", "filename", "file_name", "image"].contains($0)
            }), let labels = head.firstIndex(where: { ["label", "class"].contains($0) })
        else { throw PhotoTableError.noColumns(path, found: head.joined(separator: ", ")) }
        var found: [(path: String, label: String)] = []
        for (index, row) in rows.enumerated() where row != [""] {
            guard row.count == head.count, !row[paths].isEmpty, !row[labels].isEmpty else {
                throw PhotoTableError.badRow(path, line: index + 2, fields: row.count, head.count)
            }
            found.append((row[paths], row[labels]))
        }
        let classes = Set(found.map(\.label)).sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        guard classes.count > 1 else {
            throw PhotoFolderError.oneClass(path, name: classes.first ?? "none")
        }
        let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            .joined(separator: "/")
        let places = Dictionary(
            uniqueKeysWithValues: classes.enumerated().map { ($0.element, $0.offset) })
        let items = found.map { entry in
            Item(
                path: entry.path.hasPrefix("/") || folder.isEmpty
                    ? entry.path : folder + "/" + entry.path,
                relativePath: entry.path, classIndex: places[entry.label] ?? 0)
        }
        let sorted = items.sorted {
            ($0.classIndex, $0.relativePath) < ($1.classIndex, $1.relativePath)
        }
        return PhotoFolder(path: path, classes: classes, items: sorted)
    }
}

/// Lines and fields of RFC 4180: quotes keep commas, line ends and, doubled, quotes.
enum CommaSeparated {
    static func rows(_ text: String) -> [[String]] {
        var rows: [[String]] = []
        var row: [String] = []
        var field = ""
        var quoted = false
        var characters = text.unicodeScalars.makeIterator()
        var next = characters.next()
        while let scalar = next {
            next = characters.next()
            if quoted {
                if scalar != "\"" {
                    field.unicodeScalars.append(scalar)
                } else if next == "\"" {
                    field.unicodeScalars.append("\"")
                    next = characters.next()
                } else {
                    quoted = false
                }
                continue
            }
            switch scalar {
            case "\"" where field.isEmpty: quoted = true
            case ",":
                row.append(field)
                field = ""
            case "\r" where next == "\n": break
            case "\n", "\r":
                rows.append(row + [field])
                (row, field) = ([], "")
            case "\u{FEFF}" where rows.isEmpty && row.isEmpty && field.isEmpty: break
            default: field.unicodeScalars.append(scalar)
            }
        }
        if !field.isEmpty || !row.isEmpty { rows.append(row + [field]) }
        return rows
    }
}

/// A table that lists no labelled photos.
public enum PhotoTableError: Diagnostic, Equatable {
    /// The first line does not name the columns.
    case noColumns(String, found: String)
    /// A line with too few fields, too many or empty ones.
    case badRow(String, line: Int, fields: Int, Int)

    /// What happened.
    public var message: String {
        switch self {
        case .noColumns(let path, let found):
            "expected columns `path` and `label` in the first line of `\(path)`, found `\(found)`"
        case .badRow(let path, let line, let fields, let expected):
            "line \(line) of `\(path)` has \(fields) fields or empty ones, expected \(expected)"
        }
    }

    /// What to do about it.
    public var hint: String? {
        switch self {
        case .noColumns: "begin the file with `path,label`"
        case .badRow: "put fields that hold commas into double quotes"
        }
    }
}
