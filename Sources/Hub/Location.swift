// Addresses: parsed and resolved by libcurl, so that what we check is what it connects to.

import CCurl
import FoundationEssentials
import GraftCache

/// An http(s) URL. The user name and password of an address are kept apart from its text.
struct Location: Sendable {
    let text: String
    let scheme: String
    let host: String
    let port: String
    /// What the address itself says of who asks; only its origin may hear it.
    let credentials: Credentials?

    /// Parses `text`, relative to `base` where there is one.
    init(_ text: String, relativeTo base: Location? = nil) throws {
        guard let handle = curl_url() else { throw HubError.outOfMemory }
        defer { curl_url_cleanup(handle) }
        if let base { curl_url_set(handle, CURLUPART_URL, base.text, 0) }
        guard curl_url_set(handle, CURLUPART_URL, text, 0) == CURLUE_OK else {
            throw HubError.notAddress(text)
        }
        func part(_ part: CURLUPart, _ flags: UInt32 = 0) -> String {
            var value: UnsafeMutablePointer<CChar>?
            guard curl_url_get(handle, part, &value, flags) == CURLUE_OK, let value else {
                return ""
            }
            defer { curl_free(value) }
            return String(cString: value)
        }
        let user = part(CURLUPART_USER, UInt32(CURLU_URLDECODE))
        let password = part(CURLUPART_PASSWORD, UInt32(CURLU_URLDECODE))
        for secret in [CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_OPTIONS, CURLUPART_FRAGMENT] {
            curl_url_set(handle, secret, nil, 0)
        }
        self.text = part(CURLUPART_URL)
        scheme = part(CURLUPART_SCHEME).lowercased()
        host = part(CURLUPART_HOST).lowercased()
        port = part(CURLUPART_PORT, UInt32(CURLU_DEFAULT_PORT))
        credentials =
            user.isEmpty && password.isEmpty
            ? nil
            : Credentials(
                user: user, password: password, origin: "\(scheme)://\(host):\(port)",
                source: "the address")
        guard scheme == "https" || scheme == "http" && PlainHTTP.allows(host, port: port) else {
            throw HubError.insecure(url: self.text, scheme: scheme, host: host)
        }
    }

    /// Who answers: credentials never leave it.
    var origin: String { "\(scheme)://\(host):\(port)" }

    /// What errors and logs may show: signed addresses carry their secrets in the query.
    var shown: String { String(text.prefix { $0 != "?" }) }

    /// The last part of the path, percent-decoded; nil where it is not a file name.
    var fileName: String? {
        let path = text.utf8.prefix { $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
        let parts = String(decoding: path.dropFirst(scheme.utf8.count + 3), as: UTF8.self).pathParts
        return parts.count < 2 ? nil : parts.last.flatMap { PercentCoding.decoded($0) }
    }
}
