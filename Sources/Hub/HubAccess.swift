// Which hub is asked, and as whom: found where Python's huggingface_hub finds it.

import GraftCache
import GraftSystem
import GraftTensors

/// The hub's address, the token, and what the `HF_*` variables say.
struct HubAccess: Sendable {
    /// `$HF_ENDPOINT`, without a slash at the end.
    let endpoint: String
    let location: Location
    let credentials: Credentials?
    /// Hubs that may have the same files; they are told no token.
    let mirrors: [String]

    /// Everything that a `HUB` of this environment would use; `token` and
    /// `tokenFile` come before it.
    init(
        token: String? = nil, tokenFile: String? = nil, mirrors: [String] = [],
        endpoint: String? = nil
    ) throws {
        func stripped(_ text: String) -> String {
            var text = text
            while text.hasSuffix("/") { text.removeLast() }
            return text
        }
        location = try Location(
            stripped(endpoint ?? Environment.setting("HF_ENDPOINT") ?? "https://huggingface.co"))
        self.endpoint = stripped(location.text)
        let own = HubHosts.origins.union([location.origin])
        let given = token.flatMap(Self.cleaned)
        guard token == nil || given != nil else { throw HubError.notToken }
        let found = try given.map { ($0, "`--token`") } ?? Self.token(tokenFile)
        credentials =
            found.map {
                Credentials(authorization: "Bearer " + $0.0, origins: own, source: $0.1)
            } ?? location.credentials
        self.mirrors = mirrors.map(stripped)
    }

    /// Whether nothing may be sent.
    static var isOffline: Bool {
        HubCache.isSet("HF_HUB_OFFLINE") || HubCache.isSet("TRANSFORMERS_OFFLINE")
    }

    /// Where the token is found; nil where there is none.
    static func tokenSource() -> String? {
        guard !HubCache.isSet("HF_HUB_DISABLE_IMPLICIT_TOKEN") else { return nil }
        for name in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] where Environment.setting(name) != nil {
            return "`$\(name)`"
        }
        let path = HubCache.setting("HF_TOKEN_PATH") ?? HubCache.home + "/token"
        return Files.size(of: path).map { _ in "`\(path)`" }
    }

    /// The token: of `file`, else `$HF_TOKEN`, else of `$HF_TOKEN_PATH`; nil where there is none.
    private static func token(_ file: String?) throws -> (token: String, source: String)? {
        if let file {
            guard let bytes = Files.read(file, limit: 1 << 16) else {
                throw FileError("read", file)
            }
            guard let token = cleaned(String(decoding: bytes, as: UTF8.self)) else {
                throw HubError.noTokenInFile(file)
            }
            return (token, "`\(file)`")
        }
        guard !HubCache.isSet("HF_HUB_DISABLE_IMPLICIT_TOKEN") else { return nil }
        for name in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] {
            if let token = Environment.setting(name).flatMap(cleaned) {
                return (token, "`$\(name)`")
            }
        }
        let path = HubCache.setting("HF_TOKEN_PATH") ?? HubCache.home + "/token"
        return Files.read(path, limit: 1 << 16)
            .flatMap { cleaned(String(decoding: $0, as: UTF8.self)) }.map { ($0, "`\(path)`") }
    }

    /// A token without what surrounds it; one that could end a header line is none.
    private static func cleaned(_ text: String) -> String? {
        let token = trimmed(text[...])
        return token.isEmpty || !token.utf8.allSatisfy { (33...126).contains($0) } ? nil : token
    }
}
