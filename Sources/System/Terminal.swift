// The terminal: whether there is one, and how wide it is.

internal import CGraftSystem

/// A standard stream of this process.
package enum StandardStream: Int32, Sendable {
    case input = 0
    case output = 1
    case error = 2

    /// Whether it is a terminal.
    package var isTerminal: Bool { isatty(rawValue) == 1 }

    /// The width of the terminal in characters; nil where it is none, or does not say.
    package var columns: Int? {
        let columns = Int(graft_terminal_columns(rawValue))
        return columns > 0 ? columns : nil
    }
}
