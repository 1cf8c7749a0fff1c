// The locale of names: without one whose texts are UTF-8, C libraries give no names beyond ASCII.

internal import CGraftSystem

/// A locale whose texts are UTF-8, for one thread at a time.
package enum TextLocale {
    private struct Locale: @unchecked Sendable {
        // Sendable because it is created once and never changed or freed.
        let value: locale_t?
    }

    private static let locale = Locale(value: graft_text_locale())

    /// Opens the locale, before the process can open no files.
    package static func prepare() { _ = locale.value }

    /// Runs `body` on this thread with the locale in use.
    package static func whileInUse<Result>(_ body: () throws -> Result) rethrows -> Result {
        let before = locale.value.map { uselocale($0) }
        defer { if let before { _ = uselocale(before) } }
        return try body()
    }
}
