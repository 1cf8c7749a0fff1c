// A strict JSON reader that keeps the order of keys and refuses duplicates, and a string writer.

/// A JSON value with its keys in the order of the text.
enum JSONValue: Equatable {
    case null
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case string(String)
    case array([JSONValue])
    case object([Member])

    struct Member: Equatable {
        let key: String
        let value: JSONValue
    }

    subscript(key: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.key == key }?.value
    }
    var string: String? { if case .string(let text) = self { text } else { nil } }

    /// The integers of an array of sizes.
    var sizes: [Int]? {
        guard case .array(let values) = self else { return nil }
        var sizes: [Int] = []
        for value in values {
            guard case .integer(let size) = value, size >= 0 else { return nil }
            sizes.append(size)
        }
        return sizes
    }

    /// Reads one value that fills `bytes`, but for white space.
    init(parsing bytes: UnsafeRawBufferPointer, in source: Source) throws {
        var parser = try JSONParser(bytes, source)
        self = try parser.document()
    }
}

private struct JSONParser {
    private let bytes: UnsafeRawBufferPointer
    private let source: Source
    private var at = 0
    private var count = 0

    /// A value takes many times the two bytes that it may have in the text.
    private static let valueLimit = 10_000_000

    init(_ bytes: UnsafeRawBufferPointer, _ source: Source) throws {
        self.bytes = bytes
        self.source = source
        // Foundation's readers accept broken UTF-8 in places; check the whole once.
        guard String(validating: bytes, as: UTF8.self) != nil else {
            throw source.malformed("its JSON is not UTF-8")
        }
    }

    mutating func document() throws -> JSONValue {
        let value = try value(depth: 0)
        skipSpace()
        guard at == bytes.count else { throw unexpected("the end of the JSON") }
        return value
    }

    private func unexpected(_ expected: String) -> FormatError {
        let found =
            at < bytes.count
            ? "`\(Character(Unicode.Scalar(bytes[at])))`" : "its end"
        return source.malformed("expected \(expected) at byte \(at) of its JSON, found \(found)")
    }

    private mutating func skipSpace() {
        while at < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[at]) { at += 1 }
    }

    private mutating func accept(_ byte: UInt8) -> Bool {
        skipSpace()
        guard at < bytes.count, bytes[at] == byte else { return false }
        at += 1
        return true
    }

    private mutating func word(_ word: StaticString, _ value: JSONValue) throws -> JSONValue {
        let count = word.utf8CodeUnitCount
        guard
            count <= bytes.count - at,
            (0..<count).allSatisfy({ bytes[at + $0] == word.utf8Start[$0] })
        else { throw unexpected("`\(word)`") }
        at += count
        return value
    }

    private mutating func value(depth: Int) throws -> JSONValue {
        guard depth < 64 else { throw source.malformed("its JSON nests deeper than 64 levels") }
        count += 1
        guard count <= Self.valueLimit else {
            throw source.malformed("its JSON has over \(Self.valueLimit) values")
        }
        skipSpace()
        guard at < bytes.count else { throw unexpected("a value") }
        switch bytes[at] {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["):
            at += 1
            var values: [JSONValue] = []
            if accept(UInt8(ascii: "]")) { return .array([]) }
            repeat { values.append(try value(depth: depth + 1)) } while accept(UInt8(ascii: ","))
            guard accept(UInt8(ascii: "]")) else { throw unexpected("`]`") }
            return .array(values)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    private mutating func object(depth: Int) throws -> JSONValue {
        at += 1
        if accept(UInt8(ascii: "}")) { return .object([]) }
        var members: [JSONValue.Member] = []
        var keys: Set<String> = []
        repeat {
            skipSpace()
            guard at < bytes.count, bytes[at] == UInt8(ascii: "\"") else {
                throw unexpected("a name in quotes")
            }
            let key = try string()
            guard keys.insert(key).inserted else {
                throw source.malformed("the name `\(key)` occurs twice")
            }
            guard accept(UInt8(ascii: ":")) else { throw unexpected("`:`") }
            members.append(.init(key: key, value: try value(depth: depth + 1)))
        } while accept(UInt8(ascii: ","))
        guard accept(UInt8(ascii: "}")) else { throw unexpected("`}`") }
        return .object(members)
    }

    private mutating func number() throws -> JSONValue {
        let start = at
        while at < bytes.count, "+-.eE0123456789".utf8.contains(bytes[at]) { at += 1 }
        let text = String(decoding: bytes[start..<at], as: UTF8.self)
        let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
        let isPlain = digits.first?.isNumber == true && (digits.first != "0" || digits.count == 1)
        if isPlain, let integer = Int(text) { return .integer(integer) }
        guard let first = digits.first, first.isNumber, let number = Double(text) else {
            at = start
            throw unexpected("a value")
        }
        return .number(number)
    }

    private mutating func string() throws -> String {
        at += 1
        var text: [UInt8] = []
        while at < bytes.count {
            let byte = bytes[at]
            switch byte {
            case UInt8(ascii: "\""):
                at += 1
                return String(decoding: text, as: UTF8.self)
            case 0..<0x20: throw unexpected("a printable character")
            case UInt8(ascii: "\\"):
                at += 1
                try escape(&text)
            default:
                text.append(byte)
                at += 1
            }
        }
        throw unexpected("`\"`")
    }

    private mutating func escape(_ text: inout [UInt8]) throws {
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
            if code & 0xFC00 == 0xD800 {
                guard
                    at + 1 < bytes.count, bytes[at] == UInt8(ascii: "\\"),
                    bytes[at + 1] == UInt8(ascii: "u")
                else { throw unexpected("the second half of a surrogate pair") }
                at += 2
                let low = try hexadecimal()
                guard low & 0xFC00 == 0xDC00 else {
                    throw unexpected("the second half of a surrogate pair")
                }
                code = 0x10000 + ((code & 0x3FF) << 10) + (low & 0x3FF)
            }
            guard let scalar = Unicode.Scalar(code) else { throw unexpected("a character") }
            text.append(contentsOf: String(Character(scalar)).utf8)
        default:
            at -= 1
            throw unexpected("an escape")
        }
    }

    private mutating func hexadecimal() throws -> UInt32 {
        guard
            at + 4 <= bytes.count,
            bytes[at..<(at + 4)].allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
            let code = UInt32(String(decoding: bytes[at..<(at + 4)], as: UTF8.self), radix: 16)
        else { throw unexpected("four hexadecimal digits") }
        at += 4
        return code
    }
}

extension String {
    /// The text as a JSON string, in quotes.
    package var jsonQuoted: String {
        var out = "\""
        for scalar in unicodeScalars {
            switch scalar {
            case "\"": out += "\\\""
            case "\\": out += "\\\\"
            case "\n": out += "\\n"
            case "\r": out += "\\r"
            case "\t": out += "\\t"
            case "\u{0}"..<"\u{20}":
                let code = String(scalar.value, radix: 16)
                out += "\\u" + String(repeating: "0", count: 4 - code.count) + code
            default: out.unicodeScalars.append(scalar)
            }
        }
        return out + "\""
    }
}
