// Passwords, tokens and signatures in addresses: they are used, and neither written nor shown.

/// Text without what only its sender may know.
package enum Secrets {
    /// What stands for the value of a query that is one.
    package static let mask = "***"

    /// A text whose addresses lost their user names, passwords and the values of signatures and tokens.
    package static func masked(_ text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: ":")) else { return text }
        var result = ""
        var rest = text[...]
        while let start = scheme(in: rest) {
            result += rest[..<start]
            rest = rest[start...]
            let end = rest.utf8.firstIndex(where: ends) ?? rest.endIndex
            result += address(rest[..<end])
            rest = rest[end...]
        }
        return result + rest
    }

    /// An address without the user name and password in it.
    package static func withoutUser(_ text: String) -> String {
        guard let start = scheme(in: text[...]) else { return text }
        let rest = text[start...]
        let end = rest.utf8.firstIndex { "/?#".utf8.contains($0) || ends($0) } ?? rest.endIndex
        guard let at = rest[..<end].utf8.lastIndex(of: UInt8(ascii: "@")) else { return text }
        return String(text[..<start]) + rest[rest.utf8.index(after: at)...]
    }

    /// Where what follows the next `://` begins.
    private static func scheme(in text: Substring) -> String.Index? {
        var bytes = text.utf8[...]
        while let colon = bytes.firstIndex(of: UInt8(ascii: ":")) {
            bytes = bytes[bytes.index(after: colon)...]
            if bytes.starts(with: "//".utf8) { return bytes.index(bytes.startIndex, offsetBy: 2) }
        }
        return nil
    }

    private static func ends(_ byte: UInt8) -> Bool {
        byte <= 32 || "`\"<>".utf8.contains(byte)
    }

    /// Host, path and query of an address.
    private static func address(_ text: Substring) -> String {
        let query = text.utf8.firstIndex(of: UInt8(ascii: "?"))
        let path = withoutUser("://" + text[..<(query ?? text.endIndex)]).dropFirst(3)
        guard let query else { return String(path) }
        let fragment = text[query...].utf8.firstIndex(of: UInt8(ascii: "#")) ?? text.endIndex
        let pairs = text[text.utf8.index(after: query)..<fragment].utf8
            .split(separator: UInt8(ascii: "&"), omittingEmptySubsequences: false)
            .map { pair in
                let pair = text[pair.startIndex..<pair.endIndex]
                guard let sign = pair.utf8.firstIndex(of: UInt8(ascii: "=")) else {
                    return String(pair)
                }
                let value = pair[pair.utf8.index(after: sign)...]
                let isSecret = !value.isEmpty && isSecret(pair[..<sign].lowercased(), value)
                return isSecret ? "\(pair[..<sign])=\(mask)" : String(pair)
            }
        return path + "?" + pairs.joined(separator: "&") + text[fragment...]
    }

    private static func isSecret(_ name: String, _ value: Substring) -> Bool {
        let parts = [
            "signature", "token", "secret", "passw", "credential", "apikey", "api_key", "api-key",
            "access_key", "accesskey", "policy", "key-pair-id", "authorization",
        ]
        return ["sig", "auth", "jwt", "hmac"].contains(name)
            || parts.contains { name.utf8.count >= $0.utf8.count && name.contains($0) }
            || name == "key" && value.hasPrefix("AIza")
    }
}
