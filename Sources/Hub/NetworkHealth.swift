// Whether the hub answers, as whom, through which proxy and with whose certificates.

import CCurl
import FoundationEssentials
public import GraftCache
import GraftSystem
import GraftTensors

/// Asks the network a few short questions. No answer shows a token.
public enum NetworkHealth {
    /// What libcurl calls itself and what it is made of.
    public static var libraryVersion: String { String(cString: curl_version()) }

    /// What was found; each question waits `seconds` at most.
    public static func checks(offline: Bool, seconds: Int = 5) -> [HealthCheck] {
        var checks = settings()
        let token = HubAccess.tokenSource()
        checks.append(
            HealthCheck("network", "token", .ok, token.map { "from \($0)" } ?? "none: anonymous"))
        guard !offline, !HubAccess.isOffline else {
            checks.append(
                HealthCheck(
                    "network", "hub", .note, "not asked: offline",
                    hint: offline ? nil : "`HF_HUB_OFFLINE` is set"))
            return checks
        }
        do {
            let access = try HubAccess()
            checks += hub(access, seconds, hasToken: access.credentials != nil)
        } catch {
            let known = error as? any Diagnostic
            checks.append(
                HealthCheck(
                    "network", "hub", .broken, known?.message ?? "\(error)", hint: known?.hint))
        }
        return checks
    }

    /// Proxies and certificates, as the environment sets them.
    private static func settings() -> [HealthCheck] {
        var checks: [HealthCheck] = []
        let proxies = [
            "https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY",
        ]
        .compactMap { name in Environment.setting(name).map { "\(name)=\(withoutSecrets($0))" } }
        let except =
            (Environment.setting("no_proxy") ?? Environment.setting("NO_PROXY")).map {
                ", not for \($0)"
            } ?? ""
        checks.append(
            HealthCheck(
                "network", "proxy", .ok,
                proxies.isEmpty ? "none" : proxies.joined(separator: ", ") + except))
        let names = ["SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"]
        guard let name = names.first(where: { Environment.setting($0) != nil }),
            let path = Environment.setting(name)
        else {
            checks.append(HealthCheck("network", "certificates", .ok, "those of the system"))
            return checks
        }
        let isThere = FileSystem.isReadable(path)
        checks.append(
            HealthCheck(
                "network", "certificates", isThere ? .ok : .broken,
                "\(name)=\(path)" + (isThere ? "" : ", which cannot be read"),
                hint: isThere ? nil : "every https request fails: name a file of certificates"))
        return checks
    }

    /// An address without the name and password in it.
    private static func withoutSecrets(_ address: String) -> String {
        guard let at = address.lastIndex(of: "@") else { return address }
        let start = address.firstIndex(of: ":").map { address[...$0] } ?? ""
        let scheme = address.hasPrefix(start + "//") ? start + "//" : ""
        return scheme + "…@" + address[address.index(after: at)...]
    }

    /// Asks the hub without a token, and with one where there is one.
    private static func hub(
        _ access: HubAccess, _ seconds: Int, hasToken: Bool
    ) -> [HealthCheck] {
        var http = HTTP()
        http.patience = seconds
        http.connectPatience = seconds
        func ask(_ headers: [String]) throws -> (head: Head, body: [UInt8], milliseconds: Int) {
            let start = Clock.monotonicSeconds
            var body: [UInt8] = []
            let head = try http.exchange(
                try Location(access.endpoint + "/api/whoami-v2"), headers: headers
            ) { _, bytes in body += bytes.prefix(max(0, 65536 - body.count)) }
            let elapsed = (Clock.monotonicSeconds - start) * 1000
            return (head, body, Int(elapsed))
        }
        var checks: [HealthCheck] = []
        do {
            let answer = try ask([])
            // 401 is what a hub says to strangers; 404 what a mirror says that knows no accounts.
            let isFine = answer.head.status < 500 && answer.head.status != 407
            checks.append(
                HealthCheck(
                    "network", "hub", isFine ? .ok : .broken,
                    "`\(access.endpoint)` answers in \(answer.milliseconds) ms"
                        + (isFine ? "" : " with HTTP status \(answer.head.status)"),
                    hint: isFine ? nil : "the hub or a proxy before it is in trouble; try later"))
        } catch {
            let reason = ((error as? TransientError)?.reason ?? error) as? any Diagnostic
            checks.append(
                HealthCheck(
                    "network", "hub", .broken,
                    "`\(access.endpoint)` does not answer: \(reason?.message ?? "\(error)")",
                    hint: reason?.hint
                        ?? "check the network, `HF_ENDPOINT` and the proxy; `--offline` skips this")
            )
            return checks
        }
        guard hasToken, let location = try? Location(access.endpoint),
            let header = access.credentials?.header(for: location)
        else { return checks }
        struct Account: Decodable { let name: String? }
        do {
            let answer = try ask([header])
            let account = try? JSONDecoder().decode(Account.self, from: Data(answer.body))
            switch answer.head.status {
            case 200..<300:
                checks.append(
                    HealthCheck(
                        "network", "account", .ok,
                        account?.name.map { "`\($0)`" } ?? "the token is accepted"))
            case 401, 403:
                checks.append(
                    HealthCheck(
                        "network", "account", .broken,
                        "the token is refused with HTTP status \(answer.head.status)",
                        hint: "make a new one on the hub, or unset it to be anonymous"))
            default:
                checks.append(
                    HealthCheck(
                        "network", "account", .note,
                        "the hub does not say whose the token is (HTTP status \(answer.head.status))"
                    ))
            }
        } catch {
            checks.append(
                HealthCheck(
                    "network", "account", .broken,
                    "the hub answers strangers, and not with the token",
                    hint: "unset the token and try again"))
        }
        return checks
    }
}
