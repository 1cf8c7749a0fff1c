// Where the files of a tar archive lie in it: POSIX ustar, pax names and GNU's long names.

import GraftTensors

/// The regular files of an uncompressed tar archive, by name and place. Nothing is copied.
public enum TarArchive {
    /// A file in the archive.
    public struct Member: Sendable, Hashable {
        /// Its name, as it is written.
        public var name: String
        /// Its bytes in the archive.
        public var range: Range<Int>
    }

    /// The regular files of the archive at `path`, in its order; links and devices are left out.
    ///
    /// - Throws: `FormatError` for a header whose sum is wrong or a file that ends too early.
    public static func members(_ path: String) throws -> [Member] {
        try Storage(mapping: path).withBytes { bytes in
            try contents(bytes, path).members
        }
    }

    /// The number of links in the archive at `path`, which ``members(_:)`` leaves out.
    package static func linkCount(_ path: String) throws -> Int {
        try Storage(mapping: path).withBytes { try contents($0, path).links }
    }

    static func members(_ bytes: UnsafeRawBufferPointer, _ path: String) throws -> [Member] {
        try contents(bytes, path).members
    }

    private static func contents(_ bytes: UnsafeRawBufferPointer, _ path: String) throws
        -> (members: [Member], links: Int)
    {
        func malformed(_ flaw: TarFlaw) -> FormatError {
            .malformed(path: path, format: "tar", .tar(flaw))
        }
        func text(_ range: Range<Int>) -> String {
            String(decoding: bytes[range].prefix { $0 != 0 }, as: UTF8.self)
        }
        var members: [Member] = []
        var links = 0
        var longName: String?
        var at = 0
        while at <= bytes.count - 512 {
            // Two blocks of zeros end an archive; one is enough to be sure.
            if bytes[at..<(at + 512)].allSatisfy({ $0 == 0 }) {
                return (members, links)
            }
            guard let size = number(bytes, at + 124, 12), let sum = number(bytes, at + 148, 8)
            else {
                throw malformed(.noSize(at: at))
            }
            var total = 0
            for index in at..<(at + 512) {
                total += (at + 148..<at + 156).contains(index) ? 32 : Int(bytes[index])
            }
            guard total == sum else {
                throw malformed(.wrongSum(at: at))
            }
            let start = at + 512
            guard size <= bytes.count - start else {
                throw malformed(.outside(at: at))
            }
            let content = start..<(start + size)
            switch bytes[at + 156] {
            case UInt8(ascii: "0"), 0:
                let prefix =
                    text((at + 257)..<(at + 262)) == "ustar" ? text((at + 345)..<(at + 500)) : ""
                let short = text(at..<(at + 100))
                let name = longName ?? (prefix.isEmpty ? short : prefix + "/" + short)
                members.append(
                    Member(
                        name: name.hasPrefix("./") ? String(name.dropFirst(2)) : name,
                        range: content))
                longName = nil
            case UInt8(ascii: "L"): longName = text(content)
            case UInt8(ascii: "x"): longName = paxName(bytes[content]) ?? longName
            case UInt8(ascii: "g"): break
            case UInt8(ascii: "1"), UInt8(ascii: "2"):
                links += 1
                longName = nil
            default: longName = nil
            }
            let blocks = size / 512 + (size % 512 == 0 ? 0 : 1)
            at = start + blocks * 512
        }
        guard at == bytes.count else {
            throw malformed(members.isEmpty ? .noHeader : .truncated(after: bytes.count))
        }
        return (members, links)
    }

    /// Octal digits between spaces and zeros; nil for anything else or what does not fit.
    private static func number(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ count: Int) -> Int?
    {
        var value = 0
        var digits = 0
        for byte in bytes[start..<(start + count)] {
            if byte == 32 || byte == 0 {
                if digits > 0 { break }
                continue
            }
            guard (48...55).contains(byte) else { return nil }
            value = value << 3 | Int(byte - 48)
            digits += 1
        }
        return digits > 0 && digits < 14 ? value : nil
    }

    /// The `path` of a pax header: lines of `length key=value`.
    private static func paxName(_ content: Slice<UnsafeRawBufferPointer>) -> String? {
        for line in content.split(separator: UInt8(ascii: "\n")) {
            guard let space = line.firstIndex(of: 32) else { continue }
            let pair = line[(space + 1)...]
            if pair.starts(with: "path=".utf8) {
                return String(decoding: pair.dropFirst(5), as: UTF8.self)
            }
        }
        return nil
    }
}
