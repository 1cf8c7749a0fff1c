// What a fetch can meet, and what to type about it.

public import GraftTensors

/// A reference that could not be fetched.
public struct HubError: Diagnostic, Equatable {
    /// What happened.
    public let message: String
    /// What to do about it.
    public let hint: String?

    /// What a hub means by its refusal, where it says so.
    enum Kind { case missingFile, missingRevision, missingRepository, gated, other }
    let kind: Kind
    /// Whether it may pass by itself.
    var isTransient = false

    init(_ message: String, hint: String? = nil, kind: Kind = .other) {
        self.message = message
        self.hint = hint
        self.kind = kind
    }

    static func offline(_ reference: String) -> HubError {
        HubError(
            "`\(reference)` is not in the cache and `--offline` forbids to fetch it",
            hint: "run once without `--offline`")
    }

    static func wrongDigest(_ url: String, expected: String, found: String) -> HubError {
        HubError(
            "`\(url)` is not what was asked for: expected `\(expected)`, found `\(found)`",
            hint: "the file was thrown away; check the digest, or who answers under that address")
    }
}

/// A failure of the network, which may pass: the caller tries again.
struct TransientError: Error {
    let reason: HubError
    /// Seconds that the server asks us to wait.
    var retryAfter: Double?
    /// Whether only an address that was remembered has to be found anew.
    var isStale = false
}

extension TransientError {
    /// The reason, for those who do not try again.
    var final: HubError {
        var reason = reason
        reason.isTransient = true
        return reason
    }
}
