// Names of classes as programs write them: lines, JSON lists and maps, and Python's way of printing those.

internal import FoundationEssentials
internal import GraftArchitectures
internal import GraftTensors

/// Reads the names of a model's outputs.
public enum LabelNames {
    /// The largest file that is read.
    static let maximumByteCount = 16 << 20

    /// The names in a file of lines, of `index name` lines, or of JSON.
    ///
    /// - Throws: `ModelError.unusable` if it holds none, `FileError` if it cannot be read.
    public static func read(_ path: String) throws -> [String] {
        guard let names = parse(try text(at: path)), !names.isEmpty else {
            throw ModelError.unusable(
                path, reason: "expected class names, found none",
                hint: "write one name per line, or a JSON list of names")
        }
        return names
    }

    /// The text of a small file.
    static func text(at path: String) throws -> String {
        let storage = try Storage(mapping: path)
        guard storage.byteCount <= maximumByteCount else {
            throw ModelError.unusable(
                path,
                reason: "expected at most \(maximumByteCount) bytes, found \(storage.byteCount)",
                hint: nil)
        }
        var text = storage.withBytes { String(decoding: $0, as: UTF8.self) }
        if text.hasPrefix("\u{FEFF}") { text.removeFirst() }
        return text
    }

    /// The names in a text of JSON, of Python's lists and dictionaries, or of lines.
    static func parse(_ text: String) -> [String]? {
        let trimmed = text.drop { $0.isWhitespace }
        if trimmed.hasPrefix("[") || trimmed.hasPrefix("{") {
            return json(String(trimmed)).flatMap(names(in:))
                ?? python(String(trimmed)).flatMap(names(in:))
        }
        return lines(text)
    }

    /// A JSON text as a tree, if it is one of a sensible depth.
    static func json(_ text: String) -> JSONTree? {
        guard JSONTree.depth(of: text) <= 64 else { return nil }
        return try? JSONDecoder().decode(JSONTree.self, from: Data(text.utf8))
    }

    /// `{0: 'cat', 1: 'dog'}` and `['cat', 'dog']`, as Python prints them: its quotes and keys become
    /// JSON's.
    private static func python(_ text: String) -> JSONTree? {
        var result = ""
        var quote: Character?
        var isEscaped = false
        var number = ""
        func flush(before next: Character) {
            guard !number.isEmpty else { return }
            result += next == ":" ? "\"\(number)\"" : number
            number = ""
        }
        for character in text {
            if let open = quote {
                if isEscaped {
                    isEscaped = false
                    result += character == "'" ? "'" : "\\\(character)"
                } else if character == "\\" {
                    isEscaped = true
                } else if character == open {
                    quote = nil
                    result += "\""
                } else {
                    result += character == "\"" ? "\\\"" : String(character)
                }
                continue
            }
            if character.isNumber {
                number.append(character)
                continue
            }
            if !character.isWhitespace { flush(before: character) }
            if character == "'" || character == "\"" {
                quote = character
                result += "\""
            } else {
                result.append(character)
            }
        }
        return json(result)
    }

    /// The names in a list, in a map from index to name, or in one from name to index.
    static func names(in tree: JSONTree) -> [String]? {
        func name(_ value: JSONTree) -> String? {
            // Keras' class index: `"0": ["n01440764", "tench"]`.
            value.string ?? value.array?.last?.string
        }
        if let values = tree.array {
            let names = values.compactMap(name)
            return names.count == values.count && !names.isEmpty ? names : nil
        }
        guard case .object(let members) = tree, !members.isEmpty else { return nil }
        var found: [Int: String] = [:]
        for (key, value) in members {
            if let index = value.integer {
                found[index] = key
            } else if let index = Int(key), let name = name(value) {
                found[index] = name
            } else {
                return nil
            }
        }
        guard found.count == members.count else { return nil }
        let names = (0..<members.count).compactMap { found[$0] }
        return names.count == members.count ? names : nil
    }

    /// A name per line; numbers from 0 before all names are dropped, as Teachable Machine writes
    /// them.
    private static func lines(_ text: String) -> [String]? {
        var lines = text.split(omittingEmptySubsequences: false) { $0.isNewline }.map { line in
            String(line.drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
        }
        while lines.last?.isEmpty == true { lines.removeLast() }
        guard !lines.isEmpty, !lines.contains("") else { return nil }
        let numbered = lines.enumerated().compactMap { index, line -> String? in
            guard line.hasPrefix("\(index)") else { return nil }
            let rest = line.dropFirst("\(index)".count)
            guard let separator = rest.first, separator == ":" || separator.isWhitespace else {
                return nil
            }
            return String(rest.drop { $0 == ":" || $0.isWhitespace })
        }
        return numbered.count == lines.count && !numbered.contains("") ? numbered : lines
    }
}
