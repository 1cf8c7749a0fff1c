// What a fetch can meet, and what to type about it.

import GraftCache
public import GraftTensors

/// A reference that could not be fetched.
public struct HubError: Diagnostic, Equatable {
    /// What happened.
    public let message: String
    /// What to do about it.
    public let hint: String?

    /// What a hub means by its refusal, where it says so.
    enum Kind { case missingFile, missingRevision, missingRepository, gated, refused, other }
    let kind: Kind
    /// Whether the repository is there and the file is not.
    package var isMissingFile: Bool { kind == .missingFile }
    /// Whether it may pass by itself.
    var isTransient = false
    /// The HTTP status that it comes from, where it does.
    var status: Int?

    /// Whether a hub gives nothing to who asks now; what it says of a file or a revision is no refusal.
    var isRefusal: Bool {
        guard let status, [401, 402, 403, 404, 410, 451].contains(status) else { return false }
        return kind != .missingFile && kind != .missingRevision
    }

    /// Whether the server does not know the address itself, and says nothing of a repository.
    var isUnknownAddress: Bool { kind == .refused && [404, 405, 501].contains(status) }

    init(_ message: String, hint: String? = nil, kind: Kind = .other) {
        self.message = Secrets.masked(message)
        self.hint = hint.map { Secrets.masked($0) }
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
    /// Who limits what, where that is why: `hub.example.org limits requests (500 per 300 s)`.
    var limit: String?
    /// Whether only an address that was remembered has to be found anew.
    var isStale = false
}

extension TransientError {
    /// What to say before waiting so many seconds; nil for a moment that nobody notices.
    func waiting(_ seconds: Double) -> String? {
        guard seconds >= 2 else { return nil }
        let wait = Int(seconds.rounded(.up))
        return limit.map { "\($0): waiting \(wait) s" }
            ?? "\(reason.message): trying again in \(wait) s"
    }

    /// The reason where the wait would be too long.
    func tooLong(waited: Double) -> HubError {
        guard let retryAfter else { return final }
        let wait = Int(min(retryAfter, 1e9).rounded(.up))
        let past = waited >= 1 ? ", after \(Int(waited)) s of waiting" : ""
        var reason = HubError(
            (limit ?? reason.message) + past + ": it asks to wait \(wait) s",
            hint: "run the same command again then; `HF_TOKEN` gives a larger quota",
            kind: reason.kind)
        reason.isTransient = true
        return reason
    }

    /// The reason, for those who do not try again.
    var final: HubError {
        var reason = reason
        reason.isTransient = true
        return reason
    }
}
