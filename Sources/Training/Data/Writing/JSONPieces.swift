// JSON written piece by piece: files of annotations may be larger than memory likes.

import GraftFormats
import GraftImages
import GraftTensors

/// A file that is written through a buffer.
struct TextFile: ~Copyable {
    private var file: AtomicFile
    private var buffer: [UInt8] = []
    private static let size = 1 << 18

    /// Starts a file.
    init(_ path: String) throws {
        file = try AtomicFile(replacing: path)
    }

    /// Appends text.
    mutating func put(_ text: String) throws {
        buffer += Array(text.utf8)
        guard buffer.count >= Self.size else { return }
        try file.write(buffer)
        buffer.removeAll(keepingCapacity: true)
    }

    /// Writes the rest and puts the file in its place.
    consuming func finish() throws {
        try file.write(buffer)
        try file.commit(durably: false)
    }
}

/// Numbers and texts as JSON, CSV, XML and YOLO have them.
enum Written {
    /// The shortest text that is read back as the same number; whole numbers without a point.
    static func number(_ value: Double) -> String {
        guard value.isFinite else { return "0" }
        if value == value.rounded(), abs(value) < 1e15 { return "\(Int(value))" }
        return "\(value)"
    }

    static func numbers(_ values: [Double]) -> String {
        "[" + values.map(number).joined(separator: ",") + "]"
    }

    static func quoted(_ text: String) -> String { text.jsonQuoted }

    /// The text in an address, with everything escaped but letters of ASCII, digits and `-._~`.
    static func escaped(_ text: String) -> String {
        text.utf8.reduce(into: "") { result, byte in
            let scalar = Unicode.Scalar(byte)
            if scalar.isASCII,
                scalar.properties.isAlphabetic || (48...57).contains(byte)
                    || "-._~".unicodeScalars.contains(scalar)
            {
                result.unicodeScalars.append(scalar)
            } else {
                let code = String(byte, radix: 16, uppercase: true)
                result += "%" + (code.count == 1 ? "0" : "") + code
            }
        }
    }

    /// The text in XML, without the characters that XML cannot hold.
    static func xml(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "\u{0}"..<"\u{20}" where scalar != "\t": result += " "
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

extension [Annotation.Point] {
    /// The coordinates one after the other: x, y, x, y, …
    var flat: [Double] { flatMap { [$0.x, $0.y] } }
}

extension [[Annotation.Point]] {
    /// One outline around all: from the first corner over to each other outline and back, which covers no
    /// more than they do.
    var joined: [Annotation.Point] {
        guard count > 1, let start = first?.first else { return first ?? [] }
        var points = (first ?? []) + [start]
        for outline in dropFirst() {
            guard let corner = outline.first else { continue }
            points += outline + [corner, start]
        }
        return points
    }
}
