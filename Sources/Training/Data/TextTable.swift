// Rows and named columns of text: CSV (RFC 4180) and JSON lines.

import FoundationEssentials
import GraftTensors

/// A table in memory. A cell is a list: JSON's arrays have several, CSV's fields one.
struct TextTable {
    let path: String
    /// The columns' names as they are written, and in lower case.
    var titles: [String] = []
    var columns: [String] { titles.map { $0.lowercased() } }
    var rows: [[[String]]] = []
    private var lines: [Int] = []

    init(_ path: String) throws {
        self.path = path
        let text = try Storage(mapping: path).withBytes { String(decoding: $0, as: UTF8.self) }
        if path.lowercased().hasSuffix(".jsonl") { try readLines(text) } else { try readCSV(text) }
    }

    func first(of names: [String]) -> Int? {
        let columns = columns
        return columns.firstIndex(where: names.contains)
    }

    func bad(_ row: Int, _ reason: String) -> PhotoTableError {
        .badRow(path, line: lines[row], reason: reason)
    }

    private mutating func readCSV(_ text: String) throws {
        var found = CommaSeparated.rows(text)
        guard !found.isEmpty else { return }
        titles = found.removeFirst()
        for (index, row) in found.enumerated() where row != [""] {
            guard row.count == titles.count else {
                throw PhotoTableError.badRow(
                    path, line: index + 2,
                    reason: "has \(row.count) fields, expected \(titles.count)")
            }
            lines.append(index + 2)
            rows.append(row.map { [$0] })
        }
    }

    private mutating func readLines(_ text: String) throws {
        var objects: [[String: JSONCell]] = []
        var line = 0
        for part in text.split(separator: "\n", omittingEmptySubsequences: false) {
            line += 1
            guard !part.allSatisfy(\.isWhitespace) else { continue }
            guard
                let object = try? JSONDecoder().decode(
                    [String: JSONCell].self, from: Data(part.utf8))
            else {
                throw PhotoTableError.badRow(path, line: line, reason: "is no JSON object")
            }
            objects.append(object)
            lines.append(line)
        }
        titles = sortedNames(objects.flatMap(\.keys))
        // Every line may have keys of its own, and every line a cell for each.
        guard titles.count <= (1 << 26) / max(objects.count, 1) else {
            throw PhotoTableError.badRow(
                path, line: line,
                reason: "is the last of \(objects.count) with \(titles.count) different keys")
        }
        rows = objects.map { object in titles.map { object[$0]?.list ?? [""] } }
    }
}

/// A JSON value as a cell: scalars as text, arrays of scalars as lists, objects as their JSON.
struct JSONCell: Decodable {
    let list: [String]
    var text: String { list.joined() }

    init(from decoder: any Decoder) throws {
        guard decoder.codingPath.count <= 16 else {
            throw DecodingError.dataCorrupted(
                .init(codingPath: [], debugDescription: "a cell nests over 16 deep"))
        }
        if let single = try? decoder.singleValueContainer() {
            if single.decodeNil() { list = [""]; return }
            if let value = try? single.decode(String.self) { list = [value]; return }
            if let value = try? single.decode(Bool.self) { list = [value ? "1" : "0"]; return }
            if let value = try? single.decode(Int.self) { list = ["\(value)"]; return }
            if let value = try? single.decode(Double.self) { list = ["\(value)"]; return }
            if let values = try? single.decode([JSONCell].self) {
                list = values.isEmpty ? [""] : values.map(\.text)
                return
            }
            if let boxes = try? single.decode(Objects.self) {
                let bytes = try JSONEncoder().encode(boxes)
                list = [String(decoding: bytes, as: UTF8.self)]
                return
            }
        }
        list = [""]
    }

    /// The one object that means something here.
    private struct Objects: Codable {
        var bbox: [[Double]]
        var categories: [Category]
    }

    private enum Category: Codable {
        case number(Int)
        case name(String)
        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let number = try? container.decode(Int.self) {
                self = .number(number)
            } else {
                self = .name(try container.decode(String.self))
            }
        }
        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .number(let number): try container.encode(number)
            case .name(let name): try container.encode(name)
            }
        }
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
