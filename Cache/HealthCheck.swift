// One thing that `graft doctor` looked at.

/// What was looked at, and how it is.
public struct HealthCheck: Sendable, Encodable {
    /// How a thing is.
    public enum State: String, Sendable, Encodable {
        /// As it should be.
        case ok
        /// It works, with less than there could be.
        case note
        /// It does not work.
        case broken
    }

    /// What it belongs to: `program`, `network` or `cache`.
    public let area: String
    /// What it is called.
    public let name: String
    /// How it is.
    public let state: State
    /// What was found.
    public let found: String
    /// What to do about it.
    public let hint: String?

    /// Something that was looked at.
    public init(
        _ area: String, _ name: String, _ state: State = .ok, _ found: String, hint: String? = nil
    ) {
        self.area = area
        self.name = name
        self.state = state
        self.found = found
        self.hint = hint
    }
}
