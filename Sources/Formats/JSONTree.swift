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
    package fileprivate(set) var members: [Member] = []

    /// A name and its value.
    package struct Member: Sendable, Equatable {
        package let key: String
        package let value: JSONTree
    }

    /// The value of a name; of a repeated one the last, as in Python.
    package subscript(key: String) -> JSONTree? { members.last { $0.key == key }?.value }
}

extension JSONTree {
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
        var parser = Parser(bytes: bytes, path: path, line: line)
        return try parser.document()
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

    private struct Parser {
        private static let depthLimit = 64
        /// A value takes up to thirty times the two bytes that it may have in the text.
        private static let countLimit = 100_000_000

        let bytes: UnsafeRawBufferPointer
        let path: String
        var line: Int
        var at = 0
        var count = 0

        init(bytes: UnsafeRawBufferPointer, path: String, line: Int) {
            self.bytes = bytes
            self.path = path
            self.line = line
        }

        func failure(_ flaw: DocumentFlaw) -> DocumentError {
            DocumentError(path: path, format: "JSON", line: line, flaw: flaw)
        }

        func unexpected(_ expected: String) -> DocumentError {
            let found =
                at < bytes.count
                ? "`\(String(decoding: bytes[at..<min(at + 12, bytes.count)].prefix { $0 > 31 }, as: UTF8.self))`"
                : "the end of the file"
            return failure(.expected(expected, found: found))
        }

        mutating func document() throws(DocumentError) -> JSONTree {
            if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { at = 3 }
            let value = try value(depth: 0)
            skipSpace()
            guard at == bytes.count else { throw unexpected("the end of the file") }
            return value
        }

        mutating func skipSpace() {
            while at < bytes.count {
                switch bytes[at] {
                case 0x0A: line += 1
                case 0x20, 0x09, 0x0D: break
                default: return
                }
                at += 1
            }
        }

        mutating func accept(_ character: Unicode.Scalar) -> Bool {
            skipSpace()
            guard at < bytes.count, bytes[at] == UInt8(ascii: character) else { return false }
            at += 1
            return true
        }

        mutating func word(_ word: StaticString) -> Bool {
            let count = word.utf8CodeUnitCount
            guard
                count <= bytes.count - at,
                (0..<count).allSatisfy({ bytes[at + $0] == word.utf8Start[$0] })
            else { return false }
            at += count
            return true
        }

        mutating func value(depth: Int) throws(DocumentError) -> JSONTree {
            guard depth < Self.depthLimit else { throw failure(.tooDeep(limit: Self.depthLimit)) }
            count += 1
            guard count <= Self.countLimit else {
                throw failure(.tooManyValues(limit: Self.countLimit))
            }
            skipSpace()
            guard at < bytes.count else { throw unexpected("a value") }
            switch bytes[at] {
            case UInt8(ascii: "{"): return .object(try object(depth: depth))
            case UInt8(ascii: "["): return try list(depth: depth)
            case UInt8(ascii: "\""): return .text(try string())
            case UInt8(ascii: "t") where word("true"): return .bool(true)
            case UInt8(ascii: "f") where word("false"): return .bool(false)
            case UInt8(ascii: "n") where word("null"): return .null
            // Python writes these.
            case UInt8(ascii: "N") where word("NaN"): return .number(.nan)
            case UInt8(ascii: "I") where word("Infinity"): return .number(.infinity)
            case UInt8(ascii: "-") where word("-Infinity"): return .number(-.infinity)
            default: return try number()
            }
        }

        mutating func list(depth: Int) throws(DocumentError) -> JSONTree {
            at += 1
            if accept("]") { return .list([]) }
            var numbers: [Double] = []
            var values: [JSONTree] = []
            repeat {
                let next = try value(depth: depth + 1)
                switch next {
                case .integer(let value) where values.isEmpty && value.magnitude <= 1 << 53:
                    numbers.append(Double(value))
                case .number(let value) where values.isEmpty: numbers.append(value)
                default:
                    if values.isEmpty { values = numbers.map { .number($0) } }
                    values.append(next)
                }
            } while accept(",")
            guard accept("]") else { throw unexpected("`,` or `]`") }
            return values.isEmpty ? .numbers(numbers) : .list(values)
        }

        mutating func object(depth: Int) throws(DocumentError) -> JSONObject {
            var object = JSONObject(line: line)
            at += 1
            if accept("}") { return object }
            repeat {
                skipSpace()
                guard at < bytes.count, bytes[at] == UInt8(ascii: "\"") else {
                    throw unexpected("a name in quotes")
                }
                let key = try string()
                guard accept(":") else { throw unexpected("`:`") }
                object.members.append(.init(key: key, value: try value(depth: depth + 1)))
            } while accept(",")
            guard accept("}") else { throw unexpected("`,` or `}`") }
            return object
        }

        mutating func number() throws(DocumentError) -> JSONTree {
            let start = at
            while at < bytes.count, "+-.eE0123456789".utf8.contains(bytes[at]) { at += 1 }
            let text = String(decoding: bytes[start..<at], as: UTF8.self)
            let digits =
                text.utf8.first == UInt8(ascii: "-") ? text.utf8.dropFirst() : text.utf8[...]
            guard let first = digits.first, (48...57).contains(first) else {
                at = start
                throw unexpected("a value")
            }
            if let integer = Int(text) { return .integer(integer) }
            guard let number = Double(text) else {
                at = start
                throw unexpected("a number")
            }
            return .number(number)
        }

        mutating func string() throws(DocumentError) -> String {
            at += 1
            let start = at
            // Most have no escape: they are copied at once.
            while at < bytes.count, bytes[at] != UInt8(ascii: "\""), bytes[at] != UInt8(ascii: "\\")
            {
                if bytes[at] == 0x0A { line += 1 }
                at += 1
            }
            var text = Array(bytes[start..<at])
            while at < bytes.count {
                let byte = bytes[at]
                at += 1
                switch byte {
                case UInt8(ascii: "\""):
                    guard let string = String(validating: text, as: UTF8.self) else {
                        throw failure(.notText)
                    }
                    return string
                case UInt8(ascii: "\\"): try escape(&text)
                default:
                    if byte == 0x0A { line += 1 }
                    text.append(byte)
                }
            }
            throw unexpected("`\"`")
        }

        mutating func escape(_ text: inout [UInt8]) throws(DocumentError) {
            guard at < bytes.count else { throw unexpected("an escape") }
            let byte = bytes[at]
            at += 1
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
            case UInt8(ascii: "b"): text.append(8)
            case UInt8(ascii: "f"): text.append(12)
            case UInt8(ascii: "n"): text.append(10)
            case UInt8(ascii: "r"): text.append(13)
            case UInt8(ascii: "t"): text.append(9)
            case UInt8(ascii: "u"):
                var code = try hexadecimal()
                if code & 0xFC00 == 0xD800, word("\\u") {
                    let low = try hexadecimal()
                    code =
                        low & 0xFC00 == 0xDC00
                        ? 0x10000 + ((code & 0x3FF) << 10) + (low & 0x3FF) : 0xFFFD
                }
                // Half of a pair alone: Python writes such names for bytes that are no text.
                let scalar = Unicode.Scalar(code) ?? "\u{FFFD}"
                text.append(contentsOf: String(Character(scalar)).utf8)
            default:
                at -= 1
                throw unexpected("an escape")
            }
        }

        mutating func hexadecimal() throws(DocumentError) -> UInt32 {
            var code: UInt32 = 0
            for _ in 0..<4 {
                guard at < bytes.count,
                    let digit = Character(Unicode.Scalar(bytes[at])).hexDigitValue
                else { throw unexpected("four hexadecimal digits") }
                code = code << 4 | UInt32(digit)
                at += 1
            }
            return code
        }
    }
}
