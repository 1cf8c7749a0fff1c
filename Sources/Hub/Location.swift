// Addresses: parsed and resolved by libcurl, so that what we check is what it connects to.

import CCurl
import GraftCache

/// An http(s) URL.
struct Location: Sendable {
    let text: String
    let scheme: String
    let host: String
    let port: String

    /// Parses `text`, relative to `base` where there is one.
    init(_ text: String, relativeTo base: Location? = nil) throws {
        guard let handle = curl_url() else { throw HubError("out of memory") }
        defer { curl_url_cleanup(handle) }
        if let base { curl_url_set(handle, CURLUPART_URL, base.text, 0) }
        guard curl_url_set(handle, CURLUPART_URL, text, 0) == CURLUE_OK else {
            throw HubError("`\(text)` is not an address", hint: "expected `https://host/path`")
        }
        curl_url_set(handle, CURLUPART_FRAGMENT, nil, 0)
        func part(_ part: CURLUPart, _ flags: UInt32 = 0) -> String {
            var value: UnsafeMutablePointer<CChar>?
            guard curl_url_get(handle, part, &value, flags) == CURLUE_OK, let value else {
                return ""
            }
            defer { curl_free(value) }
            return String(cString: value)
        }
        self.text = part(CURLUPART_URL)
        scheme = part(CURLUPART_SCHEME).lowercased()
        host = part(CURLUPART_HOST).lowercased()
        port = part(CURLUPART_PORT, UInt32(CURLU_DEFAULT_PORT))
        let loopback = ["localhost", "127.0.0.1", "[::1]", "::1"].contains(host)
        guard scheme == "https" || (scheme == "http" && loopback) else {
            throw HubError(
                "refused to fetch `\(self.text)`: expected `https`, found `\(scheme)`",
                hint: "`http` is for servers on this machine only")
        }
    }

    /// Who answers: credentials never leave it.
    var origin: String { "\(scheme)://\(host):\(port)" }

    /// What errors and logs may show: signed addresses carry their secrets in the query.
    var shown: String { String(text.prefix { $0 != "?" }) }

    /// The last part of the path, percent-decoded; nil where it is not a file name.
    var fileName: String? {
        let path = text.prefix { $0 != "?" && $0 != "#" }
        let rest = path.dropFirst(scheme.count + 3)
        guard let slash = rest.firstIndex(of: "/") else { return nil }
        return rest[slash...].split(separator: "/").last.flatMap { PercentCoding.decoded($0) }
    }
}
