// Which failures may pass by themselves, and what a hub means by its refusal.

import CCurl

extension HubError {
    /// Whether the same request may succeed later.
    public var isRetryable: Bool {
        switch self {
        case .refused(let refused): Self.passing.contains(refused.status)
        case .unreachable(_, let code): !Self.lasting.contains(CURLcode(rawValue: code))
        case .busy, .endedEarly, .expiredAddress, .wrongPart, .brokenRange, .noBytesAfter,
            .notSentWhole,
            .changedMeanwhile:
            true
        default: false
        }
    }

    /// The statuses of servers that are busy or in trouble.
    static let passing: Set<Int> = [408, 425, 429, 500, 502, 503, 504]
    /// The failures that another attempt does not change.
    private static let lasting: [CURLcode] = [
        CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_UNSUPPORTED_PROTOCOL,
        CURLE_URL_MALFORMAT, CURLE_OUT_OF_MEMORY, CURLE_BAD_CONTENT_ENCODING,
    ]

    /// The HTTP status that it comes from, if it does.
    var status: Int? {
        switch self {
        case .refused(let refused): refused.status
        case .disabled(_, let status), .noRevision(_, let status), .noFile(_, let status): status
        case .gated(_, let status, _, _): status
        case .noRepository(_, let status, _): status
        default: nil
        }
    }

    /// Whether the repository is there and the file is not.
    package var isMissingFile: Bool {
        switch self {
        case .noFile, .nothingWanted: true
        default: false
        }
    }

    /// Whether a hub refuses this client now; what it says of a file or a revision is no refusal.
    var isRefusal: Bool {
        switch self {
        case .noFile, .noRevision: false
        default: status.map { [401, 402, 403, 404, 410, 451].contains($0) } ?? false
        }
    }

    /// Whether the server does not know the address itself, and says nothing of a repository.
    var isUnknownAddress: Bool {
        if case .refused(let refused) = self {
            [404, 405, 501].contains(refused.status)
        } else {
            false
        }
    }
}

/// A failure of the network, which may pass: the caller tries again.
struct TransientError: Error {
    let reason: HubError
    /// Seconds that the server asks us to wait.
    var retryAfter: Double?
    /// The limit of requests, if that is the cause: `hub.example.org limits requests (500 per 300 s)`.
    var limit: String?
    /// Whether only an address that was remembered has to be resolved again.
    var isStale = false
}

extension TransientError {
    /// The words before waiting for some seconds; nil for a wait that is not noticed.
    func waiting(_ seconds: Double) -> String? {
        guard seconds >= 2 else { return nil }
        let wait = Int(seconds.rounded(.up))
        return limit.map { "\($0): waiting \(wait) s" }
            ?? "\(reason.message): trying again in \(wait) s"
    }

    /// The reason where the wait would be too long.
    func tooLong(waited: Double) -> HubError {
        guard let retryAfter else { return reason }
        return .busy(limit ?? reason.message, waited: waited, wait: retryAfter)
    }
}
