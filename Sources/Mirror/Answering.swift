// The addresses of the Hub, and what answers each: the protocol without a socket.

import GraftCache
import GraftServer

/// Answers requests as the Hugging Face Hub does.
struct Answering: Sendable {
    let shelf: Shelf
    /// The record of what was last used.
    let usage: Cache
    let commits: CommitWriter
    /// The parts that write; nil for a mirror that is read-only.
    let writing: Writing?
    /// The hub behind; nil for none.
    let upstream: Upstream?
    /// Whether requests without a token are refused.
    let needsToken: Bool

    /// A repository that a path begins with, and what follows it.
    struct Place {
        let name: HubName
        let verb: String?
        let arguments: [String]

        /// The arguments after the first, as a path.
        var path: String { arguments.dropFirst().joined(separator: "/") }
    }

    func answer(_ request: MirrorRequest) async throws -> ServerResponse {
        if let answer = try await answerWrite(request) { return answer }
        guard ["GET", "HEAD", "POST"].contains(request.method) else { return .readOnly }
        let parts = request.parts
        if parts.first == "api" {
            return try await answerAPI(request, parts: Array(parts.dropFirst()))
        }
        guard request.method != "POST" else { return .readOnly }
        guard let place = place(parts), let verb = place.verb,
            verb == "resolve" || verb == "raw", place.arguments.count >= 2
        else { return .unknownAddress }
        return try await resolve(place, for: request)
    }

    /// The hub behind, for a repository that was not made here.
    func upstream(of name: HubName) -> Upstream? {
        commits.isHosted(name) ? nil : upstream
    }

    /// The commit of a branch, tag or commit.
    /// - Throws: `Refused` where there is none.
    func commit(_ name: HubName, revision: String) async throws -> String {
        let heads = "refs/heads/"
        let revision =
            revision.hasPrefix(heads) ? String(revision.dropFirst(heads.utf8.count)) : revision
        if let upstream = upstream(of: name) {
            return try await upstream.commit(name, revision: revision)
        }
        guard shelf.has(name) else { throw Refused(.missing(name)) }
        guard let commit = shelf.commit(name, revision: revision) else {
            throw Refused(.missing(name, revision: revision))
        }
        return commit
    }

    /// The files of a commit: those that are here, or those that the hub behind lists.
    func listing(_ name: HubName, commit: String) async throws -> CommitListing {
        guard let upstream = upstream(of: name) else {
            return try shelf.listing(name, commit: commit)
        }
        return try await upstream.listing(name, commit: commit)
    }

    /// The name of a repository in a web address: `org/name`, `datasets/org/name`.
    static func name(ofWeb parts: [String]) -> HubName? {
        let kind = HubName.Kind.allCases.first { $0 != .model && parts.first == $0.rawValue + "s" }
        let id = kind == nil ? parts[...] : parts.dropFirst()
        return HubName(kind ?? .model, id.joined(separator: "/"))
    }

    /// The repository of a web address: `org/name/…`, `datasets/org/name/…`.
    private func place(_ parts: [String]) -> Place? {
        let kind = HubName.Kind.allCases.first { $0 != .model && parts.first == $0.rawValue + "s" }
        return place(Array(kind == nil ? parts[...] : parts.dropFirst()), kind: kind ?? .model)
    }

    private func place(_ parts: [String], kind: HubName.Kind) -> Place? {
        let verbs: Set = [
            "resolve", "raw", "revision", "tree", "paths-info", "refs", "auth-check", "commits",
        ]
        let isShort =
            parts.count == 1
            || (parts.count > 1 && verbs.contains(parts[1])
                && !(parts.count > 2 && verbs.contains(parts[2])
                    && HubName(kind, parts[0] + "/" + parts[1]).map(shelf.has) == true))
        let count = isShort ? 1 : 2
        guard parts.count >= count,
            let name = HubName(kind, parts.prefix(count).joined(separator: "/"))
        else { return nil }
        return Place(
            name: name, verb: parts.dropFirst(count).first,
            arguments: Array(parts.dropFirst(count + 1)))
    }

    private func answerAPI(
        _ request: MirrorRequest, parts: [String]
    ) async throws -> ServerResponse {
        if parts == ["whoami-v2"] { return whoAmI(request) }
        guard let first = parts.first,
            let kind = HubName.Kind.allCases.first(where: { $0.rawValue + "s" == first })
        else { return .unknownAddress }
        let rest = Array(parts.dropFirst())
        if rest.isEmpty { return list(kind, for: request) }
        guard let place = place(rest, kind: kind) else {
            return .refusal(404, saying: "invalid name of a repository", code: "RepoNotFound")
        }
        let (name, verb, arguments) = (place.name, place.verb, place.arguments)
        if request.method == "POST", verb != "paths-info" { return .readOnly }
        switch (verb, arguments.count) {
        case (nil, _): return try await info(name, revision: "main", request)
        case ("auth-check", 0):
            _ = try await commit(name, revision: "main")
            return .json(["ok": true])
        case ("refs", 0):
            guard shelf.has(name) else { return .missing(name) }
            return refs(name)
        case ("revision", 1): return try await info(name, revision: arguments[0], request)
        case ("tree", 1...): return try await tree(place, for: request)
        case ("paths-info", 1): return try await paths(place, for: request)
        default: return .unknownAddress
        }
    }

    private struct Person: Encodable {
        let type = "user"
        let id = "0"
        let name: String
        let fullname: String
        let orgs: [String] = []
        let auth: Auth

        struct Auth: Encodable {
            struct Token: Encodable {
                let displayName: String
                let role: String
            }
            let type = "access_token"
            let accessToken: Token
        }
    }

    /// The holder of the token; a mirror without tokens takes every one for the same reader.
    private func whoAmI(_ request: MirrorRequest) -> ServerResponse {
        guard request.fields["authorization"] != nil else {
            return .refusal(401, saying: "Invalid username or password.")
        }
        let holder = request.request.holder
        let name = holder?.name ?? "anonymous"
        let role = holder?.mayWrite ?? false ? "write" : "read"
        return .json(
            Person(
                name: name, fullname: name,
                auth: .init(accessToken: .init(displayName: name, role: role))))
    }
}
