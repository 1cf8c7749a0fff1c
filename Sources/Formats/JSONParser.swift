// The one reader of JSON: by the letter for files of weights, forgiving for files of annotations.

/// Reads a JSON value from bytes.
struct JSONParser {
    /// The rules of a reading: strict or lenient.
    struct Rules {
        /// Whether the text must be JSON to the letter: no NaN, no name twice, no half of a character.
        let isStrict: Bool
        /// The most values: each takes many times the two bytes that it may have in the text.
        let countLimit: Int

        /// Files of annotations, as programs of all kinds write them.
        static let lenient = Rules(isStrict: false, countLimit: 100_000_000)
        /// Files of weights.
        static let strict = Rules(isStrict: true, countLimit: 10_000_000)
    }

    let bytes: UnsafeRawBufferPointer
    let path: String
    var line: Int
    private let rules: Rules
    private var budget: DocumentBudget
    private var at = 0

    init(bytes: UnsafeRawBufferPointer, path: String, line: Int, rules: Rules) {
        self.bytes = bytes
        self.path = path
        self.line = line
        self.rules = rules
        budget = DocumentBudget(values: rules.countLimit)
    }

    private func failure(_ flaw: DocumentFlaw) -> DocumentError {
        DocumentError(path: path, format: "JSON", line: line, flaw: flaw)
    }

    private func unexpected(_ expected: String) -> DocumentError {
        let found =
            at < bytes.count
            ? "`\(String(decoding: bytes[at..<min(at + 12, bytes.count)].prefix { $0 > 31 }, as: UTF8.self))`"
            : "the end of the file"
        return failure(.expected(expected, found: found))
    }

    mutating func document() throws(DocumentError) -> JSONTree {
        if rules.isStrict {
            // Once for the whole: names and texts are cut out of it.
            guard String(validating: bytes, as: UTF8.self) != nil else { throw failure(.notText) }
        } else if bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
            at = 3
        }
        let value = try value(depth: 0)
        skipSpace()
        guard at == bytes.count else { throw unexpected("the end of the file") }
        return value
    }

    private mutating func skipSpace() {
        while at < bytes.count {
            switch bytes[at] {
            case 0x0A: line += 1
            case 0x20, 0x09, 0x0D: break
            default: return
            }
            at += 1
        }
    }

    private mutating func accept(_ character: Unicode.Scalar) -> Bool {
        skipSpace()
        guard at < bytes.count, bytes[at] == UInt8(ascii: character) else { return false }
        at += 1
        return true
    }

    private mutating func word(_ word: StaticString) -> Bool {
        let count = word.utf8CodeUnitCount
        guard
            count <= bytes.count - at,
            (0..<count).allSatisfy({ bytes[at + $0] == word.utf8Start[$0] })
        else { return false }
        at += count
        return true
    }

    private mutating func value(depth: Int) throws(DocumentError) -> JSONTree {
        if let flaw = budget.flaw(at: depth) { throw failure(flaw) }
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
        case UInt8(ascii: "N") where !rules.isStrict && word("NaN"): return .number(.nan)
        case UInt8(ascii: "I") where !rules.isStrict && word("Infinity"): return .number(.infinity)
        case UInt8(ascii: "-") where !rules.isStrict && word("-Infinity"):
            return .number(-.infinity)
        default: return try number()
        }
    }

    private mutating func list(depth: Int) throws(DocumentError) -> JSONTree {
        at += 1
        if accept("]") { return .list([]) }
        var numbers: [Double] = []
        var values: [JSONTree] = []
        repeat {
            let next = try value(depth: depth + 1)
            switch next {
            // Whether a number was written as a whole one matters to files of weights.
            case _ where rules.isStrict: values.append(next)
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

    private mutating func object(depth: Int) throws(DocumentError) -> JSONObject {
        var object = JSONObject(line: line)
        var keys: Set<String> = []
        at += 1
        if accept("}") { return object }
        repeat {
            skipSpace()
            guard at < bytes.count, bytes[at] == UInt8(ascii: "\"") else {
                throw unexpected("a name in quotes")
            }
            let key = try string()
            if rules.isStrict, !keys.insert(key).inserted { throw failure(.repeatedName(key)) }
            guard accept(":") else { throw unexpected("`:`") }
            object.members.append(.init(key: key, value: try value(depth: depth + 1)))
        } while accept(",")
        guard accept("}") else { throw unexpected("`,` or `}`") }
        return object
    }

    private mutating func number() throws(DocumentError) -> JSONTree {
        let start = at
        while at < bytes.count, "+-.eE0123456789".utf8.contains(bytes[at]) { at += 1 }
        let text = String(decoding: bytes[start..<at], as: UTF8.self)
        let digits =
            text.utf8.first == UInt8(ascii: "-") ? text.utf8.dropFirst() : text.utf8[...]
        guard let first = digits.first, (48...57).contains(first),
            !rules.isStrict || first != 48 || !(48...57).contains(digits.dropFirst().first ?? 0)
        else {
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

    private mutating func string() throws(DocumentError) -> String {
        at += 1
        let start = at
        // Most have no escape: they are copied at once.
        while at < bytes.count, bytes[at] != UInt8(ascii: "\""), bytes[at] != UInt8(ascii: "\\") {
            if bytes[at] < 0x20, rules.isStrict { throw unexpected("a printable character") }
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
                if byte < 0x20, rules.isStrict { throw unexpected("a printable character") }
                if byte == 0x0A { line += 1 }
                text.append(byte)
            }
        }
        throw unexpected("`\"`")
    }

    private mutating func escape(_ text: inout [UInt8]) throws(DocumentError) {
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
            var isHalf = false
            if code & 0xFC00 == 0xD800, word("\\u") {
                let low = try hexadecimal()
                isHalf = low & 0xFC00 != 0xDC00
                code = isHalf ? 0xFFFD : 0x10000 + ((code & 0x3FF) << 10) + (low & 0x3FF)
            }
            // Half of a pair alone: Python writes such names for bytes that are no text.
            if rules.isStrict, isHalf || Unicode.Scalar(code) == nil {
                throw unexpected("the second half of a surrogate pair")
            }
            let scalar = Unicode.Scalar(code) ?? "\u{FFFD}"
            text.append(contentsOf: String(Character(scalar)).utf8)
        default:
            at -= 1
            throw unexpected("an escape")
        }
    }

    private mutating func hexadecimal() throws(DocumentError) -> UInt32 {
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
