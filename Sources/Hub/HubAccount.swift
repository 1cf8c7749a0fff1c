// Whose token requests carry: `graft auth whoami`.

import FoundationEssentials
import GraftCache

/// The account of a token at a hub.
public struct HubAccount: Sendable, Encodable {
    /// The user's name.
    public let name: String
    /// The organisations that the user is a member of.
    public let organizations: [String]
    /// What the token may do: `read`, `write` or `fineGrained`; nil where the hub does not say.
    public let role: String?
    /// Where the token was found.
    public let source: String
    /// The hub that was asked.
    public let endpoint: String
}

extension Hub {
    /// The account of the token that requests carry.
    /// - Throws: ``HubError`` where there is no token, or where the hub refuses it.
    public func account() async throws -> HubAccount {
        try await onOwnThread { cancellation in
            let access = try HubAccess(
                token: options.token, tokenFile: options.tokenFile, endpoint: options.endpoint)
            guard let credentials = access.credentials else {
                throw HubError.noToken(endpoint: access.endpoint, isUpload: false)
            }
            guard !offline, !HubAccess.isOffline else {
                throw HubError.needsNetwork(.account)
            }
            struct Answer: Decodable {
                struct Organization: Decodable { let name: String }
                struct Auth: Decodable {
                    struct Token: Decodable { let role: String? }
                    let accessToken: Token?
                }
                let name: String
                let orgs: [Organization]?
                let auth: Auth?
            }
            let address = access.endpoint + "/api/whoami-v2"
            let (_, body) = try HTTP(cancellation: cancellation)
                .text(try Location(address), credentials: credentials)
            guard let answer = try? JSONDecoder().decode(Answer.self, from: Data(body)) else {
                throw HubError.notAHub(url: address, .account)
            }
            return HubAccount(
                name: answer.name, organizations: (answer.orgs ?? []).map(\.name),
                role: answer.auth?.accessToken?.role, source: credentials.source,
                endpoint: access.endpoint)
        }
    }
}
