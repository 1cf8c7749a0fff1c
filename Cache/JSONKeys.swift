// Keys of JSON objects past Foundation's coders, which take `é` in one code point and in two for one key.

/// Writes keys that are not plain ASCII as the text of their own JSON spelling (`é` becomes the six
/// characters `\u00e9`), which no two keys share, and back.
package enum JSONKeys {
    /// JSON whose keys can be decoded: what `ByPath` reads.
    package static func protected(_ json: [UInt8]) -> [UInt8] {
        guard json.contains(where: { $0 >= 128 || $0 == backslash }) else { return json }
        return rewritten(json) { token in
            guard token.contains(where: { $0 >= 128 || $0 == backslash }) else { return nil }
            var key: [UInt8] = []
            for unit in String(decoding: token, as: UTF8.self).utf16 {
                if unit < 128 {
                    if unit == UInt16(backslash) || unit == UInt16(quote) { key.append(backslash) }
                    key.append(UInt8(unit))
                } else {
                    key += [backslash] + escape(unit)
                }
            }
            return key
        }
    }

    /// JSON as others read it, from what was encoded with keys of `ByPath`.
    package static func plain(_ json: [UInt8]) -> [UInt8] {
        guard json.contains(backslash) else { return json }
        return rewritten(json) { token in
            guard token.contains(backslash) else { return nil }
            var key: [UInt8] = []
            var rest = token.makeIterator()
            while let byte = rest.next() {
                key.append(byte == backslash ? rest.next() ?? backslash : byte)
            }
            return key
        }
    }

    /// The key that stands for a path while it is encoded.
    static func key(_ path: String) -> String {
        let isPlain = path.utf8.allSatisfy {
            (32..<127).contains($0) && $0 != backslash && $0 != quote
        }
        guard !isPlain else { return path }
        var key: [UInt8] = []
        for unit in path.utf16 {
            switch unit {
            case UInt16(quote), UInt16(backslash): key += [backslash, UInt8(unit)]
            case 32..<127: key.append(UInt8(unit))
            default: key += escape(unit)
            }
        }
        return String(decoding: key, as: UTF8.self)
    }

    /// The path that a decoded key stands for; nil where its escapes are none.
    static func text(_ key: String) -> String? {
        guard key.utf8.contains(backslash) else { return key }
        var units: [UInt16] = []
        var rest = key.utf16.makeIterator()
        while let unit = rest.next() {
            guard unit == UInt16(backslash) else {
                units.append(unit)
                continue
            }
            guard let sign = rest.next() else { return nil }
            switch sign {
            case UInt16(quote), UInt16(backslash), UInt16(UInt8(ascii: "/")): units.append(sign)
            case UInt16(UInt8(ascii: "b")): units.append(8)
            case UInt16(UInt8(ascii: "f")): units.append(12)
            case UInt16(UInt8(ascii: "n")): units.append(10)
            case UInt16(UInt8(ascii: "r")): units.append(13)
            case UInt16(UInt8(ascii: "t")): units.append(9)
            case UInt16(UInt8(ascii: "u")):
                var value: UInt16 = 0
                for _ in 0..<4 {
                    guard let digit = rest.next().flatMap(digit) else { return nil }
                    value = value << 4 | digit
                }
                units.append(value)
            default: return nil
            }
        }
        return String(validating: units, as: UTF16.self)
    }

    private static let backslash = UInt8(ascii: "\\")
    private static let quote = UInt8(ascii: "\"")

    private static func digit(_ unit: UInt16) -> UInt16? {
        switch unit {
        case 48...57: unit - 48
        case 65...70: unit - 55
        case 97...102: unit - 87
        default: nil
        }
    }

    private static func escape(_ unit: UInt16) -> [UInt8] {
        let digits = Array("0123456789abcdef".utf8)
        return [backslash, UInt8(ascii: "u")]
            + [12, 8, 4, 0].map { digits[Int(unit >> $0 & 15)] }
    }

    /// Replaces what stands between the quotes of keys, where `body` gives something else.
    private static func rewritten(
        _ json: [UInt8], _ body: (ArraySlice<UInt8>) -> [UInt8]?
    ) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(json.count)
        var at = 0
        while at < json.count {
            guard json[at] == quote else {
                result.append(json[at])
                at += 1
                continue
            }
            var end = at + 1
            while end < json.count, json[end] != quote { end += json[end] == backslash ? 2 : 1 }
            guard end < json.count else { break }
            var next = end + 1
            while next < json.count, [9, 10, 13, 32].contains(json[next]) { next += 1 }
            let token = json[(at + 1)..<end]
            if next < json.count, json[next] == UInt8(ascii: ":"), let key = body(token) {
                result.append(quote)
                result += key
                result.append(quote)
            } else {
                result += json[at...end]
            }
            at = end + 1
        }
        // A string without an end is no JSON: the decoder says so.
        return at < json.count ? result + json[at...] : result
    }
}
