// The addresses of the Hub, and what answers each: the protocol without a socket.

import GraftCache
import GraftServer

/// Answers requests as the Hugging Face Hub does.
struct Answering: Sendable {
    let shelf: Shelf
    /// The record of what was last used.
    let usage: Cache

    init(shelf: Shelf, usage: Cache = Cache()) {
        self.shelf = shelf
        self.usage = usage
    }

    /// A repository that a path begins with, and what follows it.
    struct Place {
        let name: HubName
        let verb: String?
        let arguments: [String]

        /// The arguments after the first, as a path.
        var path: String { arguments.dropFirst().joined(separator: "/") }
    }

    func answer(_ request: MirrorRequest) async throws -> ServerResponse {
        guard ["GET", "HEAD", "POST"].contains(request.method) else { return .readOnly }
        let parts = request.parts
        if parts.first == "api" {
            return try await answerAPI(request, parts: Array(parts.dropFirst()))
        }
        guard request.method != "POST" else { return .readOnly }
        guard let place = place(parts), let verb = place.verb,
            verb == "resolve" || verb == "raw", place.arguments.count >= 2
        else { return .unknownAddress }
        return try await resolve(place, request)
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
        if rest.isEmpty { return list(kind, request) }
        guard let place = place(rest, kind: kind) else {
            return .refusal(404, "invalid name of a repository", code: "RepoNotFound")
        }
        let (name, verb, arguments) = (place.name, place.verb, place.arguments)
        guard shelf.has(name) else { return .missing(name) }
        if request.method == "POST", verb != "paths-info" { return .readOnly }
        switch (verb, arguments.count) {
        case (nil, _): return try info(name, revision: "main", request)
        case ("auth-check", 0): return .json(["ok": true])
        case ("refs", 0): return refs(name)
        case ("revision", 1): return try info(name, revision: arguments[0], request)
        case ("tree", 1...): return try tree(place, request)
        case ("paths-info", 1): return try await paths(place, request)
        default: return .unknownAddress
        }
    }

    private struct Person: Encodable {
        let type = "user"
        let id = "0"
        let name: String
        let fullname: String
        let orgs: [String] = []
        let auth = ["type": "access_token"]
    }

    /// The holder of the token; a mirror without tokens takes every one for the same reader.
    private func whoAmI(_ request: MirrorRequest) -> ServerResponse {
        guard request.fields["authorization"] != nil else {
            return .refusal(401, "Invalid username or password.")
        }
        let name = request.request.holder?.name ?? "anonymous"
        return .json(Person(name: name, fullname: name))
    }
}
