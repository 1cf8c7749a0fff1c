// Which paths of a repository may become paths on this machine.

/// Paths that others chose for files that we write.
public enum RelativePath {
    /// Whether a path stays under the folder that it is put in, on every platform.
    ///
    /// Refused are `..`, `.` and empty parts (also behind `\`), absolute paths, drives and network
    /// names, control characters, and parts of more than 255 bytes.
    public static func isSafe(_ path: String) -> Bool {
        let bytes = path.utf8
        guard !bytes.isEmpty, bytes.count <= 4096,
            bytes.allSatisfy({ $0 >= 32 && $0 != 127 })
        else { return false }
        let parts = bytes.split(omittingEmptySubsequences: false) {
            $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\")
        }
        return parts.allSatisfy { part in
            !part.isEmpty && part.count <= 255 && !part.elementsEqual(".".utf8)
                && !part.elementsEqual("..".utf8) && !isDrive(part)
        }
    }

    /// `C:` and what follows it.
    private static func isDrive(_ part: Substring.UTF8View.SubSequence) -> Bool {
        guard let first = part.first else { return false }
        return part.dropFirst().first == UInt8(ascii: ":") && (97...122).contains(first | 0x20)
    }

    /// A file that is also the folder of another one, where there is such a pair.
    public static func conflict(among paths: [String]) -> (file: String, inside: String)? {
        let files = Set(paths)
        for path in paths {
            var rest = path[...]
            while let slash = rest.lastIndex(of: "/") {
                rest = rest[..<slash]
                if files.contains(String(rest)) { return (String(rest), path) }
            }
        }
        return nil
    }
}
