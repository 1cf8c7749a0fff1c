// `%xx` in addresses: written and read in one way, by clients and by the mirror.

/// Text as parts of addresses (RFC 3986, 2.1).
public enum PercentCoding {
    private static let digits = Array("0123456789ABCDEF".utf8)

    /// Text as one part of a path or a query; the characters of `keeping` stay as they are.
    public static func encoded(_ text: String, keeping: String = "") -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        for byte in text.utf8 {
            let isPlain =
                (48...57).contains(byte) || (97...122).contains(byte | 0x20)
                || "-._~".utf8.contains(byte) || keeping.utf8.contains(byte)
            if isPlain {
                bytes.append(byte)
            } else {
                bytes += [37, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Text with its `%xx` resolved; nil where one is cut or no digits, or where they are no text.
    public static func decoded(_ text: some StringProtocol) -> String? {
        guard text.utf8.contains(37) else { return String(text) }
        var bytes: [UInt8] = []
        var rest = text.utf8.makeIterator()
        while let byte = rest.next() {
            guard byte == 37 else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.next().flatMap(value), let low = rest.next().flatMap(value) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case 48...57: digit - 48
        case 65...70: digit - 55
        case 97...102: digit - 87
        default: nil
        }
    }
}
