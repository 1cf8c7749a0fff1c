// Which paths of a repository may become paths on this machine.

/// Paths that others chose for files that we write.
public enum RelativePath {
    /// The reason for which a path is not taken.
    public enum Flaw: String, Sendable {
        /// Nothing at all.
        case empty = "it is empty"
        /// Longer than a path may be.
        case long = "it is longer than 4096 bytes"
        /// A control character in it.
        case control = "it holds a control character"
        /// A way out of its folder.
        case outside = "it leads out of its folder"
        /// A part that is longer than a name may be.
        case part = "a part of it is longer than 255 bytes"
        /// A drive of some systems.
        case drive = "it begins with a drive such as `C:`, as only some systems know them"
    }

    /// Whether a path stays under the folder that it is put in, on every platform.
    ///
    /// Refused are `..`, `.` and empty parts (also behind `\`), absolute paths, drives and network
    /// names, control characters, and parts of more than 255 bytes.
    public static func isSafe(_ path: String) -> Bool { flaw(path) == nil }

    /// Why a path is not safe; nil where it is.
    package static func flaw(_ path: String) -> Flaw? {
        let bytes = path.utf8
        if bytes.isEmpty { return .empty }
        if bytes.count > 4096 { return .long }
        if !bytes.allSatisfy({ $0 >= 32 && $0 != 127 }) { return .control }
        let parts = bytes.split(omittingEmptySubsequences: false) {
            $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "\\")
        }
        for part in parts {
            if part.isEmpty || part.elementsEqual(".".utf8) || part.elementsEqual("..".utf8) {
                return .outside
            }
            if part.count > 255 { return .part }
            if isDrive(part) { return .drive }
        }
        return nil
    }

    /// `C:` and what follows it.
    private static func isDrive(_ part: Substring.UTF8View.SubSequence) -> Bool {
        guard let first = part.first else { return false }
        return part.dropFirst().first == UInt8(ascii: ":") && (97...122).contains(first | 0x20)
    }

    /// A file that is also the folder of another one, where there is such a pair.
    public static func conflict(among paths: [String]) -> (file: String, inside: String)? {
        let files = Set(paths.map { ExactText($0) })
        for path in paths {
            var rest = path
            while let parent = rest.pathParent {
                rest = parent
                if files.contains(ExactText(rest)) { return (rest, path) }
            }
        }
        return nil
    }
}
