// Patterns of names as the shell has them.

internal import CGraftSystem

/// A pattern with `*`, `?` and `[…]`, in which a slash is a character as any other.
package enum ShellPattern {
    /// Whether a text is as a pattern says, in which `\\` quotes the next character if it `escapes`.
    package static func matches(
        _ text: String, pattern: String, escapes: Bool = true
    ) -> Bool {
        fnmatch(pattern, text, escapes ? 0 : FNM_NOESCAPE) == 0
    }
}
