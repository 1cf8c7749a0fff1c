// JSON as other programs' files of annotations have it: NaN, repeated keys and long lists of numbers.

import GraftTensors

/// A JSON value. Lists of nothing but numbers are kept packed: files of annotations are full of them.
package enum JSONTree: Sendable, Equatable {
    case null
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case text(String)
    case numbers([Double])
    case list([JSONTree])
    case object(JSONObject)
}

/// An object with its members in the order of the text.
package struct JSONObject: Sendable, Equatable {
    /// The line of the opening brace.
    package let line: Int
    package internal(set) var members: [Member] = []

    /// A name and its value.
    package struct Member: Sendable, Equatable {
        package let key: String
        package let value: JSONTree
    }

    /// The value of a name; of a repeated one the last, as in Python.
    package subscript(key: String) -> JSONTree? { members.last { $0.key == key }?.value }
}

extension JSONTree {
    /// The value of a member of an object.
    subscript(key: String) -> JSONTree? { object?[key] }

    /// The sizes of a list of whole numbers, as ``init(strictly:in:)`` keeps them.
    var sizes: [Int]? {
        guard case .list(let values) = self else { return nil }
        var sizes: [Int] = []
        for value in values {
            guard case .integer(let size) = value, size >= 0 else { return nil }
            sizes.append(size)
        }
        return sizes
    }

    package var object: JSONObject? { if case .object(let object) = self { object } else { nil } }
    package var string: String? { if case .text(let text) = self { text } else { nil } }

    /// The elements of a list of any kind.
    package var list: [JSONTree]? {
        switch self {
        case .list(let values): values
        case .numbers(let values): values.map { .number($0) }
        default: nil
        }
    }

    /// The number, also where it is written as text.
    package var number: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        case .text(let text): Double(text)
        case .bool(let value): value ? 1 : 0
        default: nil
        }
    }

    /// The numbers of a list, also where they are written as texts; nil if one is none.
    package var numbers: [Double]? {
        switch self {
        case .numbers(let values): return values
        case .list(let values):
            var numbers: [Double] = []
            for value in values {
                guard case .bool = value else {
                    guard let number = value.number else { return nil }
                    numbers.append(number)
                    continue
                }
                return nil
            }
            return numbers
        default: return nil
        }
    }

    /// A scalar as the text that identifies something: `7`, `7.0` and `"7"` are the same.
    package var name: String? {
        switch self {
        case .text(let text): text
        case .integer(let value): "\(value)"
        case .number(let value): Int(exactly: value).map { "\($0)" } ?? "\(value)"
        default: nil
        }
    }

    /// The truth of `true`, `1`, `"1"` and `"true"`.
    package var truth: Bool? {
        switch self {
        case .bool(let value): value
        case .integer, .number: number.map { $0 != 0 }
        case .text(let text):
            switch text.lowercased() {
            case "true", "1", "yes": true
            case "false", "0", "no", "": false
            default: nil
            }
        default: nil
        }
    }
}

extension JSONTree {
    /// The value in the file at `path`.
    package static func read(_ path: String) throws -> JSONTree {
        let storage = try Storage(mapping: path)
        return try storage.withBytes { bytes in
            if bytes.count > 1,
                bytes[0] == 0xFF || bytes[0] == 0xFE || bytes[0] == 0 || bytes[1] == 0
            {
                var text = TextBytes(bytes).text
                return try text.withUTF8 { try parse(UnsafeRawBufferPointer($0), path: path) }
            }
            return try parse(bytes, path: path)
        }
    }

    /// The value that bytes in UTF-8 hold; `line` is the number of their first line.
    package static func parse(_ bytes: UnsafeRawBufferPointer, path: String, line: Int = 1)
        throws(DocumentError) -> JSONTree
    {
        var parser = JSONParser(bytes: bytes, path: path, line: line, rules: .lenient)
        return try parser.document()
    }

    /// The value that the bytes hold in a file of weights, where nothing is forgiven.
    init(strictly bytes: UnsafeRawBufferPointer, in source: Source) throws {
        do {
            var parser = JSONParser(bytes: bytes, path: source.path, line: 1, rules: .strict)
            self = try parser.document()
        } catch {
            throw source.malformed(.json(error.flaw, line: error.line))
        }
    }

    /// The value of a text.
    package static func parse(_ text: String, path: String, line: Int = 1) throws(DocumentError)
        -> JSONTree
    {
        let bytes = Array(text.utf8)
        let result = bytes.withUnsafeBytes { buffer in
            Result { () throws(DocumentError) in try parse(buffer, path: path, line: line) }
        }
        return try result.get()
    }
}
