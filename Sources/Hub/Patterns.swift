// `--include` and `--exclude`: the patterns of Python's fnmatch, in which `*` also crosses `/`.

import GraftSystem

/// Which files of a repository are wanted.
struct Patterns: Sendable, Equatable {
    var include: [String] = []
    var exclude: [String] = []

    /// Whether a path is wanted: by one of the included patterns, where there are any, and by none of
    /// the excluded ones.
    func wants(_ path: String) -> Bool {
        (include.isEmpty || include.contains { Self.matches(path, $0) })
            && !exclude.contains { Self.matches(path, $0) }
    }

    /// Whether a path matches a pattern; one that ends in `/` means what is below it.
    static func matches(_ path: String, _ pattern: String) -> Bool {
        let pattern = pattern.hasSuffix("/") ? pattern + "*" : pattern
        // Without flags, `*` and `?` match `/` and a leading dot, as in Python.
        return ShellPattern.matches(path, pattern: pattern, escapes: false)
    }

    /// The pattern that a path alone matches.
    static func escaped(_ path: String) -> String {
        path.map { "*?[".contains($0) ? "[\($0)]" : String($0) }.joined()
    }
}
