// What a server means when it does not give what was asked for, in words that help.

import FoundationEssentials
import GraftSystem

extension HTTP {
    /// The error that an answer is; `detail` is the beginning of its body.
    func refusal(
        _ location: Location, _ head: Head, _ detail: [UInt8] = [], credentials: Credentials? = nil
    ) -> any Error {
        let (shown, status) = (location.shown, head.status)
        let sent = credentials.flatMap { $0.header(for: location) == nil ? nil : $0.source }
        if head.fields["x-error-message"] == "Access to this resource is disabled." {
            return HubError.disabled(url: shown, status: status)
        }
        switch head.fields["x-error-code"] {
        case "RevisionNotFound": return HubError.noRevision(url: shown, status: status)
        case "EntryNotFound": return HubError.noFile(url: shown, status: status)
        case "GatedRepo":
            return HubError.gated(
                url: shown, status: status, page: Refusal.page(location), token: sent)
        case "RepoNotFound":
            return HubError.noRepository(url: shown, status: status, token: sent)
        default: break
        }
        let request = ["x-request-id", "x-amzn-trace-id", "x-amz-cf-id"].compactMap {
            head.fields[$0]
        }.first
        let reason = HubError.refused(
            HubError.Refused(
                url: shown, host: location.host, status: status,
                said: Refusal.words(head, detail), request: request.map(Refusal.line),
                credentials: sent))
        guard HubError.passing.contains(status) else { return reason }
        let quota = RetryAfter.quota(head.fields).map { " (\($0))" } ?? ""
        return TransientError(
            reason: reason,
            retryAfter: RetryAfter.seconds(head.fields, now: Double(Clock.now)),
            limit: status == 429 ? "`\(location.host)` limits requests\(quota)" : nil)
    }
}

enum Refusal {
    /// What the server says itself, in one line without control characters.
    static func words(_ head: Head, _ detail: [UInt8]) -> String? {
        struct Body: Decodable {
            let error: Texts?
            let errors: [Message]?
            struct Message: Decodable { let message: String }
        }
        struct Texts: Decodable {
            let text: String
            init(from decoder: any Decoder) throws {
                let container = try decoder.singleValueContainer()
                text =
                    try (try? container.decode(String.self))
                    ?? container.decode([String].self).joined(separator: ", ")
            }
        }
        let body = try? JSONDecoder().decode(Body.self, from: Data(detail))
        let text =
            head.fields["x-error-message"] ?? body?.error?.text
            ?? body?.errors?.first?.message
        guard let text, !text.isEmpty else { return nil }
        return line(text)
    }

    /// The beginning of a text without control characters, those of C1 among them.
    static func line(_ text: String) -> String {
        String(
            text.unicodeScalars.prefix(300).map {
                $0.value < 32 || (127..<160).contains($0.value) ? " " : Character($0)
            })
    }

    /// The page of the repository that an address of the hub is of.
    static func page(_ location: Location) -> String {
        var path = location.shown
        for verb in ["/resolve/", "/revision/", "/tree/"] {
            let parts = path.split(separator: verb, maxSplits: 1, omittingEmptySubsequences: false)
            path = String(parts.first ?? "")
        }
        let api = path.split(separator: "/api/", maxSplits: 1, omittingEmptySubsequences: false)
        guard api.count == 2 else { return path }
        let name = api[1].hasPrefix("models/") ? api[1].dropFirst("models/".count) : api[1]
        return "\(api[0])/\(name)"
    }
}
