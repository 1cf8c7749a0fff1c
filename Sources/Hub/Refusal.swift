// What a server means when it does not give what was asked for, in words that help.

import FoundationEssentials

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension HTTP {
    /// The error that an answer is; `detail` is the beginning of its body.
    func refusal(
        _ location: Location, _ head: Head, _ detail: [UInt8] = [], credentials: Credentials? = nil
    ) -> any Error {
        let found = judged(location, head, detail, credentials)
        guard var reason = found as? HubError else { return found }
        reason.status = head.status
        return reason
    }

    private func judged(
        _ location: Location, _ head: Head, _ detail: [UInt8], _ credentials: Credentials?
    ) -> any Error {
        let shown = location.shown
        if head.fields["x-error-message"] == "Access to this resource is disabled." {
            return HubError(
                "`\(shown)` is disabled: the hub gives it to nobody",
                hint: "its page may say why; look for another publisher of the same files")
        }
        let said = Refusal.words(head, detail).map { ": \($0)" } ?? ""
        switch head.fields["x-error-code"] {
        case "RevisionNotFound":
            return HubError(
                "`\(shown)`: the repository has no such revision",
                hint: "check `--revision`, or leave it out for `main`", kind: .missingRevision)
        case "EntryNotFound":
            return HubError(
                "`\(shown)`: the repository has no such file",
                hint: "`graft fetch --dry-run hf://organisation/name` lists its files",
                kind: .missingFile)
        case "GatedRepo":
            return HubError(
                "`\(shown)` is gated: its authors want to know who reads it",
                hint:
                    "accept its conditions at \(Refusal.page(location)), then set `HF_TOKEN` to a token "
                    + "of that account" + Refusal.sent(credentials, to: location),
                kind: .gated)
        case "RepoNotFound":
            return HubError(
                "`\(shown)`: there is no such repository, or it is private",
                hint: "check the name and `--repo-type`; for a private one set `HF_TOKEN`"
                    + Refusal.sent(credentials, to: location),
                kind: .missingRepository)
        default: break
        }
        let hint: String? =
            switch head.status {
            case 401, 403: Refusal.hint(credentials, location)
            case 404, 410: "check the name: nothing is published there"
            case 429: "too many requests; wait a little, or set `HF_TOKEN` for a larger quota"
            default: nil
            }
        let request = ["x-request-id", "x-amzn-trace-id", "x-amz-cf-id"].compactMap {
            head.fields[$0]
        }.first
        let reason = HubError(
            "`\(shown)` was refused: expected HTTP status `200`, found `\(head.status)`\(said)"
                + (request.map { " (request \(Refusal.line($0)))" } ?? ""),
            hint: hint, kind: (400..<500).contains(head.status) ? .refused : .other)
        guard [408, 425, 429, 500, 502, 503, 504].contains(head.status) else { return reason }
        let quota = RetryAfter.quota(head.fields).map { " (\($0))" } ?? ""
        return TransientError(
            reason: reason,
            retryAfter: RetryAfter.seconds(head.fields, now: Double(time(nil))),
            limit: head.status == 429 ? "`\(location.host)` limits requests\(quota)" : nil)
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

    /// Which credentials were sent, for a hint.
    static func sent(_ credentials: Credentials?, to location: Location) -> String {
        guard let credentials, credentials.header(for: location) != nil else { return "" }
        return "; the token of \(credentials.source) was sent"
    }

    /// What to do about credentials that are missing or refused.
    static func hint(_ credentials: Credentials?, _ location: Location) -> String {
        guard let credentials, credentials.header(for: location) != nil else {
            return "no credentials were sent; for a hub set `HF_TOKEN`, for another server add "
                + "`machine \(location.host) login … password …` to ~/.netrc"
        }
        return
            "the credentials of \(credentials.source) were sent and refused: renew them, or unset "
            + "them for what is public"
    }
}
