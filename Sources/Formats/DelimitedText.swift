// Tables of text: fields between separators, in quotes where they hold one (RFC 4180 and its relatives).

import GraftTensors

/// The rows of a table, with the separator that was found.
package struct DelimitedText: Sendable {
    /// A row and the line that it starts on.
    package struct Row: Sendable, Equatable {
        package var line: Int
        package var fields: [String]
    }

    /// The separators that are tried, the commonest first.
    package static let separators: [Unicode.Scalar] = [",", ";", "\t", "|"]

    /// The rows without empty lines; the first may be a header.
    package private(set) var rows: [Row] = []
    /// What is between fields.
    package let separator: Unicode.Scalar

    /// Reads a table. Without `separator`, the one is taken that divides the first line and the lines
    /// after it into the same number of fields.
    package init(_ text: String, path: String, separator: Unicode.Scalar? = nil)
        throws(DocumentError)
    {
        if let separator {
            self.separator = separator
            rows = try Self.rows(text, path: path, separator, limit: .max)
            return
        }
        var best: (same: Int, width: Int, separator: Unicode.Scalar)?
        for candidate in Self.separators {
            // A quote that never closes shows when the whole is read.
            guard
                let some = try? Self.rows(text, path: path, candidate, limit: 20),
                let width = some.first?.fields.count, width > 1
            else { continue }
            let same = some.count { $0.fields.count == width }
            if (same, width) > (best?.same ?? 0, best?.width ?? 0) {
                best = (same, width, candidate)
            }
        }
        self.separator = best?.separator ?? ","
        rows = try Self.rows(text, path: path, self.separator, limit: .max)
    }

    private static func rows(
        _ text: String, path: String, _ separator: Unicode.Scalar, limit: Int
    ) throws(DocumentError) -> [Row] {
        var rows: [Row] = []
        var row = Row(line: 1, fields: [])
        var field = Field()
        var line = 1
        var quoteLine = 1
        var isQuoted = false
        var scalars = text.unicodeScalars.makeIterator()
        var next = scalars.next()
        func isEmpty(_ row: Row) -> Bool { row.fields.allSatisfy(\.isEmpty) }
        while let scalar = next {
            next = scalars.next()
            let endsLine = scalar == "\n" || (scalar == "\r" && next != "\n")
            if endsLine { line += 1 }
            if isQuoted {
                if scalar != "\"" {
                    field.quoted(scalar)
                } else if next == "\"" {
                    field.quoted("\"")
                    next = scalars.next()
                } else {
                    isQuoted = false
                }
                continue
            }
            switch scalar {
            case "\"" where field.isBlank:
                isQuoted = true
                quoteLine = line
                field.beginQuotes()
            case separator:
                row.fields.append(field.take())
            case "\r" where next == "\n": break
            case "\n", "\r":
                row.fields.append(field.take())
                if !isEmpty(row) { rows.append(row) }
                if rows.count >= limit { return rows }
                row = Row(line: line, fields: [])
            default: field.plain(scalar)
            }
        }
        guard !isQuoted else {
            throw DocumentError(path: path, format: "CSV", line: quoteLine, flaw: .openQuote)
        }
        row.fields.append(field.take())
        if !isEmpty(row) { rows.append(row) }
        return rows
    }

    /// A field as it grows. Blanks around it do not count, unless they are in quotes.
    private struct Field {
        private var text = String.UnicodeScalarView()
        private var blanks = String.UnicodeScalarView()
        private var wasQuoted = false

        var isBlank: Bool { text.isEmpty && !wasQuoted }

        mutating func beginQuotes() {
            wasQuoted = true
            blanks = .init()
        }

        mutating func quoted(_ scalar: Unicode.Scalar) { text.append(scalar) }

        mutating func plain(_ scalar: Unicode.Scalar) {
            if scalar.properties.isWhitespace {
                if !isBlank { blanks.append(scalar) }
                return
            }
            text.append(contentsOf: blanks)
            blanks = .init()
            text.append(scalar)
        }

        mutating func take() -> String {
            let result = String(text)
            self = Field()
            return result
        }
    }
}
