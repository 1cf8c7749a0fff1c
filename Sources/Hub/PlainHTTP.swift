// Plain http beyond this machine: refused, unless somebody allowed it for a host.

import GraftCache
import GraftSystem

/// The hosts that may be asked without encryption.
enum PlainHTTP {
    /// What the options of a fetch allow.
    @TaskLocal static var hosts: [String] = []

    /// Whether a host may be asked: this machine, or one that `--allow-http` or `GRAFT_ALLOW_HTTP` names,
    /// as `host` or `host:port`.
    static func allows(_ host: String, port: String) -> Bool {
        if ["localhost", "127.0.0.1", "[::1]", "::1"].contains(host) { return true }
        let set = (Environment.setting("GRAFT_ALLOW_HTTP") ?? "").split { ", \t".contains($0) }.map(
            String.init)
        let names = [bare(host), "\(bare(host)):\(port)", "[\(bare(host))]:\(port)"]
        guard (hosts + set).contains(where: { names.contains(bare($0.lowercased())) }) else {
            return false
        }
        Notices.sayOnce(
            "warning: `\(host)` is asked over plain http: others on the network can read and change "
                + "what it answers; only files with a published digest are verified")
        return true
    }

    /// The host without the brackets of an IPv6 address.
    private static func bare(_ host: String) -> String {
        host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
    }
}
