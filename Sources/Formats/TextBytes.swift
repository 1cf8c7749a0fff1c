// Bytes to text: a byte-order mark decides, then UTF-16 by its zeros, then UTF-8, else Windows-1252.

package import GraftTensors

/// The text of a file and the encoding that it was found in.
package struct TextBytes: Sendable {
    /// An encoding that people's files have.
    package enum Encoding: String, Sendable {
        case utf8 = "UTF-8"
        case utf16 = "UTF-16"
        case windows1252 = "Windows-1252"
    }

    /// The text without a byte-order mark.
    package let text: String
    /// The encoding of the bytes.
    package let encoding: Encoding

    /// Reads the file at `path`.
    package init(path: String) throws(FileError) {
        self = try Storage(mapping: path).withBytes { TextBytes($0) }
    }

    /// Decodes bytes; every byte sequence is text in some encoding.
    package init(_ bytes: UnsafeRawBufferPointer) {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]),
            let text = String(validating: bytes.dropFirst(3), as: UTF8.self)
        {
            (self.text, encoding) = (text, .utf8)
        } else if let isBig = Self.isBigEndian(bytes) {
            var units: [UInt16] = []
            for at in stride(from: 0, to: bytes.count - 1, by: 2) {
                let first = UInt16(bytes[at])
                let second = UInt16(bytes[at + 1])
                units.append(isBig ? first << 8 | second : second << 8 | first)
            }
            if units.first == 0xFEFF { units.removeFirst() }
            text = String(decoding: units, as: UTF16.self)
            encoding = .utf16
        } else if let text = String(validating: bytes, as: UTF8.self) {
            (self.text, encoding) = (text, .utf8)
        } else {
            var scalars = String.UnicodeScalarView()
            for byte in bytes { scalars.append(Self.scalar(byte)) }
            (text, encoding) = (String(scalars), .windows1252)
        }
    }

    /// Whether bytes are UTF-16, and of which order: a mark, or ASCII characters with zeros between.
    private static func isBigEndian(_ bytes: UnsafeRawBufferPointer) -> Bool? {
        guard bytes.count >= 2 else { return nil }
        if bytes.starts(with: [0xFF, 0xFE]) { return false }
        if bytes.starts(with: [0xFE, 0xFF]) { return true }
        let head = bytes.prefix(64)
        guard head.count >= 8 else { return nil }
        let zeros = (0..<2).map { parity in
            stride(from: parity, to: head.count, by: 2).count { head[$0] == 0 }
        }
        if zeros[0] == head.count / 2, zeros[1] == 0 { return true }
        if zeros[1] == head.count / 2, zeros[0] == 0 { return false }
        return nil
    }

    private static func scalar(_ byte: UInt8) -> Unicode.Scalar {
        guard (0x80...0x9F).contains(byte) else { return Unicode.Scalar(byte) }
        return high[Int(byte) - 0x80]
    }

    /// 0x80 to 0x9F of Windows-1252; the five that it leaves open stay control characters.
    private static let high: [Unicode.Scalar] = [
        "\u{20AC}", "\u{81}", "\u{201A}", "\u{192}", "\u{201E}", "\u{2026}", "\u{2020}", "\u{2021}",
        "\u{2C6}", "\u{2030}", "\u{160}", "\u{2039}", "\u{152}", "\u{8D}", "\u{17D}", "\u{8F}",
        "\u{90}", "\u{2018}", "\u{2019}", "\u{201C}", "\u{201D}", "\u{2022}", "\u{2013}",
        "\u{2014}",
        "\u{2DC}", "\u{2122}", "\u{161}", "\u{203A}", "\u{153}", "\u{9D}", "\u{17E}", "\u{178}",
    ]
}

extension TextBytes {
    /// The lines with their numbers from 1, whatever ends them: LF, CRLF or CR.
    package var lines: [(number: Int, text: Substring.UnicodeScalarView)] {
        var found: [(number: Int, text: Substring.UnicodeScalarView)] = []
        let scalars = text.unicodeScalars
        var start = scalars.startIndex
        var at = start
        var number = 1
        while at < scalars.endIndex {
            let scalar = scalars[at]
            let next = scalars.index(after: at)
            if scalar == "\n" || scalar == "\r" {
                found.append((number, Substring(scalars[start..<at]).unicodeScalars))
                number += 1
                start = next
                if scalar == "\r", next < scalars.endIndex, scalars[next] == "\n" {
                    start = scalars.index(after: next)
                }
                at = start
            } else {
                at = next
            }
        }
        if start < scalars.endIndex {
            found.append((number, Substring(scalars[start...]).unicodeScalars))
        }
        return found
    }
}
