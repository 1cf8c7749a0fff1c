// What every error of graft says: what happened, and what to type about it.

public import FoundationEssentials

/// An error that a person can act on.
///
/// `message` names the thing and both values ("expected … got …"), without a period, values in
/// backticks. `hint` is a command to type or a step to take. The command line prints them as
/// `error: …` and `hint: …` and exits with 1. As a `LocalizedError` it says the same: servers log
/// `localizedDescription`.
public protocol Diagnostic: LocalizedError, CustomStringConvertible {
    /// What happened, to what, with the expected and the found value.
    var message: String { get }
    /// What to do about it, where there is something to do.
    var hint: String? { get }
}

extension Diagnostic {
    /// What to do about it.
    public var hint: String? { nil }

    /// The message.
    public var errorDescription: String? { message }

    /// The hint.
    public var recoverySuggestion: String? { hint }

    /// Nothing: the message says it.
    public var failureReason: String? { nil }

    /// Nothing.
    public var helpAnchor: String? { nil }

    /// The message, and the hint on a line of its own.
    public var description: String { hint.map { "\(message)\nhint: \($0)" } ?? message }
}
