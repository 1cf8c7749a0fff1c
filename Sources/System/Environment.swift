// Environment variables.

internal import CGraftSystem

/// The environment of this process.
package enum Environment {
    /// The value of a variable; nil where it is not set.
    package static func value(of name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }

    /// The value of a variable that is set to something; nil where it is not set, or empty.
    package static func setting(_ name: String) -> String? {
        value(of: name).flatMap { $0.isEmpty ? nil : $0 }
    }
}
