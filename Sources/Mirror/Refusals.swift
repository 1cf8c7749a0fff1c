// What a mirror refuses, worded as the Hub does: clients decide by the code.

import GraftCache
import GraftServer

extension ServerResponse {
    /// A refusal; `code` is one of the Hub's: `RepoNotFound`, `EntryNotFound`…
    static func refusal(
        _ status: Int, saying message: String, code: String? = nil, commit: String? = nil
    ) -> ServerResponse {
        var answer = json(["error": message], status: status)
        answer.fields["X-Error-Message"] = String(
            decoding: message.utf8.map { (32..<127).contains($0) ? $0 : UInt8(ascii: "?") },
            as: UTF8.self)
        answer.fields["X-Error-Code"] = code
        answer.fields["X-Repo-Commit"] = commit
        return answer
    }

    /// A repository that is not here.
    static func missing(_ name: HubName) -> ServerResponse {
        refusal(404, saying: "`\(name.webPath)` is not in this cache", code: "RepoNotFound")
    }

    /// A branch, tag or commit that is not here.
    static func missing(_ name: HubName, revision: String) -> ServerResponse {
        refusal(
            404, saying: "`\(revision)` of `\(name.webPath)` is not in this cache",
            code: "RevisionNotFound")
    }

    /// An address that means nothing to a mirror.
    static var unknownAddress: ServerResponse {
        refusal(404, saying: "this mirror does not know this address")
    }

    /// A method that a mirror does not take.
    static var readOnly: ServerResponse { refusal(405, saying: "this mirror is read-only") }
}
