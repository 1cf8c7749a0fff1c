// Rows and named columns of text: CSV with any separator, and JSON lines.

import GraftFormats
import GraftImages
import GraftTensors

/// A table in memory. A cell is a list: JSON's arrays have several texts, CSV's fields one.
struct TextTable {
    /// A field.
    struct Cell: Sendable {
        var texts: [String]
        /// What JSON has there, if it is no text.
        var json: JSONTree?

        /// The field as one text.
        var text: String { texts.joined() }
        static let empty = Cell(texts: [""])
    }

    let path: String
    /// The names of the columns as they are written.
    private(set) var titles: [String] = []
    /// The rows, with a cell for each column.
    private(set) var rows: [[Cell]] = []
    /// What could not be read.
    var omissions = Omissions()
    /// What was assumed.
    var notes: [String] = []
    private var lines: [Int] = []

    /// The extensions of tables.
    static let extensions = ["csv", "tsv", "psv", "jsonl", "ndjson"]
    private static let cellLimit = 1 << 26

    init(_ path: String, _ reading: PhotoReading = PhotoReading()) throws {
        self.path = path
        let bytes = try TextBytes(path: path)
        if bytes.encoding == .windows1252 {
            notes.append("`\(path)` is not UTF-8 and is read as Windows-1252")
        }
        if ["jsonl", "ndjson"].contains(GraftTraining.fileExtension(path)) {
            try readLines(bytes)
        } else {
            try readFields(bytes, reading)
        }
    }

    /// The names of the columns of a table, of which only the beginning is read.
    static func titles(of path: String) throws -> [String] {
        let text = try TextBytes(path: path).text.prefix(1 << 16)
        let line = text.unicodeScalars.prefix { $0 != "\n" && $0 != "\r" }
        return try DelimitedText(String(line), path: path, separator: nil).rows.first?.fields ?? []
    }

    /// The names of the columns as they are compared: small letters, without blanks and underscores.
    static func key(_ title: String) -> String {
        String(
            String.UnicodeScalarView(
                title.lowercased().unicodeScalars.filter {
                    !$0.properties.isWhitespace && $0 != "_" && $0 != "-"
                }))
    }

    /// The column of a name, exactly or as names are compared.
    func column(_ name: String) -> Int? {
        titles.firstIndex(of: name)
            ?? titles.firstIndex { Self.key($0) == Self.key(name) }
    }

    /// The column of the first of these names that there is.
    func first(of names: [String]) -> Int? { names.lazy.compactMap { column($0) }.first }

    /// Where a row is written.
    func place(_ row: Int) -> AnnotationPlace { AnnotationPlace(file: path, line: lines[row]) }

    private mutating func readFields(_ bytes: TextBytes, _ reading: PhotoReading) throws {
        let separator = reading.separator.flatMap { $0.unicodeScalars.first }
        var found = try DelimitedText(bytes.text, path: path, separator: separator).rows
        guard let header = found.first else { return }
        // A name of an image is no name of a column.
        if header.fields.contains(where: { ContentKind.hasReadableExtension($0) }) {
            if let known = Headless.allCases.first(where: { $0.fits(found.map(\.fields)) }) {
                titles = known.titles
                notes.append(
                    "`\(path)` has no names of columns: they are taken as \(known.words)")
            } else {
                titles = header.fields.indices.map { "column\($0 + 1)" }
                notes.append(
                    "`\(path)` has no names of columns: they are called `column1`, `column2` and so on"
                )
            }
        } else {
            titles = header.fields
            found.removeFirst()
        }
        for row in found {
            var fields = row.fields
            while fields.count > titles.count, fields.last == "" { fields.removeLast() }
            guard fields.count == titles.count else {
                let place = AnnotationPlace(file: path, line: row.line)
                omissions.add(
                    .malformed, at: place, "\(fields.count) fields, expected \(titles.count)")
                continue
            }
            lines.append(row.line)
            rows.append(fields.map { Cell(texts: [$0]) })
        }
    }

    private mutating func readLines(_ bytes: TextBytes) throws {
        var objects: [JSONObject] = []
        for (number, text) in bytes.lines where !text.trimmedText.isEmpty {
            do {
                let value = try JSONTree.parse(String(text), path: path, line: number)
                guard let object = value.object else {
                    throw DocumentError(
                        path: path, format: "JSON", line: number,
                        flaw: .expected("an object", found: "another value"))
                }
                objects.append(object)
                lines.append(number)
            } catch {
                omissions.add(
                    .malformed, at: AnnotationPlace(file: path, line: number), "not a JSON object")
            }
        }
        titles = sortedNames(objects.flatMap { $0.members.map(\.key) })
        // Every line may have keys of its own, and every line a cell for each.
        guard titles.count <= Self.cellLimit / max(objects.count, 1) else {
            throw PhotoTableError.badRow(
                path, line: lines.last ?? 1,
                reason: "is the last of \(objects.count) with \(titles.count) different keys")
        }
        rows = objects.map { object in
            titles.map { title in object[title].map(Self.cell) ?? .empty }
        }
    }

    private static func cell(_ value: JSONTree) -> Cell {
        if let text = value.name { return Cell(texts: [text]) }
        switch value {
        case .bool(let value): return Cell(texts: [value ? "1" : "0"])
        case .null: return .empty
        default: break
        }
        if let list = value.list {
            let texts = list.compactMap(\.name)
            if texts.count == list.count {
                return Cell(texts: texts.isEmpty ? [""] : texts, json: value)
            }
        }
        return Cell(texts: [""], json: value)
    }
}
