// What a server means when it does not give what was asked for, in words that help.

import FoundationEssentials

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension HTTP {
    /// The error that an answer is; `detail` is the beginning of its body.
    func refusal(_ location: Location, _ head: Head, _ detail: [UInt8] = []) -> any Error {
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
                hint: "ask for access on its page, then set `HF_TOKEN` to a token of that account",
                kind: .gated)
        case "RepoNotFound":
            return HubError(
                "`\(shown)`: there is no such repository, or it is private",
                hint: "check the name and `--repo-type`; for a private one set `HF_TOKEN`",
                kind: .missingRepository)
        default: break
        }
        let hint: String? =
            switch head.status {
            case 401, 403: "it wants credentials, or you may not read it; for a hub set `HF_TOKEN`"
            case 404, 410: "check the name: nothing is published there"
            case 429: "too many requests; wait a little, or set `HF_TOKEN` for a larger quota"
            default: nil
            }
        let request = ["x-request-id", "x-amzn-trace-id", "x-amz-cf-id"].compactMap {
            head.fields[$0]
        }.first
        let reason = HubError(
            "`\(shown)` was refused: expected HTTP status `200`, found `\(head.status)`\(said)"
                + (request.map { " (request \($0))" } ?? ""),
            hint: hint)
        guard [408, 425, 429, 500, 502, 503, 504].contains(head.status) else { return reason }
        return TransientError(
            reason: reason,
            retryAfter: RetryAfter.seconds(head.fields, now: Double(time(nil))))
    }
}

private enum Refusal {
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
        return String(
            text.unicodeScalars.map { $0.value < 32 || $0.value == 127 ? " " : Character($0) }
                .prefix(300))
    }
}
