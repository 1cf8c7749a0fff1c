// One HTTP request and its answer, on libcurl's easy interface; the only caller of libcurl's transfers.

import CCurl
import GraftCache
import GraftSystem
import Synchronization

/// What an answer says before its body.
struct Head {
    var status = 0
    /// Names in lower case.
    var fields: [String: String] = [:]
    /// Every `Link` field, of which there may be several.
    var links: [String] = []

    /// Fields beyond so many say nothing that is needed.
    private static let maximumFieldCount = 1000

    /// Reads a line of a head; a status line begins a new one. Taken apart at bytes: what a stranger sends
    /// need not be text, and a mark behind a colon does not hide it.
    mutating func readLine(_ line: UnsafeRawBufferPointer) {
        if line.starts(with: "HTTP/".utf8) {
            self = Head()
            let code = line.split(separator: 32).dropFirst().first ?? line[..<0]
            status = ByteCount.parsed(trimmed(code)) ?? 0
        } else if let colon = line.firstIndex(of: UInt8(ascii: ":")),
            fields.count < Self.maximumFieldCount, links.count < Self.maximumFieldCount
        {
            let name = String(decoding: line[..<colon], as: UTF8.self).lowercased()
            let value = trimmed(line[(colon + 1)...])
            fields[name] = value
            if name == "link" { links.append(value) }
        }
    }

    private func trimmed(_ bytes: Slice<UnsafeRawBufferPointer>) -> String {
        func isBlank(_ byte: UInt8) -> Bool { byte <= 32 }
        let rest = bytes.drop(while: isBlank)
        let end = rest.lastIndex { !isBlank($0) }
        return end.map { String(decoding: rest[...$0], as: UTF8.self) } ?? ""
    }
}

/// Tells a transfer on another thread to stop.
final class Cancellation: Sendable {
    let isCancelled = Atomic<Bool>(false)
}

/// A request that is under way: libcurl calls back into it.
private final class Exchange {
    var head = Head()
    var failure: (any Error)?
    var received = 0
    var accept: (Head, UnsafeRawBufferPointer) throws -> Void
    let cancellation: Cancellation

    init(
        _ cancellation: Cancellation,
        _ accept: @escaping (Head, UnsafeRawBufferPointer) throws -> Void
    ) {
        self.cancellation = cancellation
        self.accept = accept
    }
}

/// Sends requests.
struct HTTP: Sendable {
    /// The certificates to trust, in a file, for networks with an authority of their own.
    var certificates: String? =
        Environment.setting("SSL_CERT_FILE") ?? Environment.setting("CURL_CA_BUNDLE")
        ?? Environment.setting("REQUESTS_CA_BUNDLE")
    /// The same, as a folder.
    var certificateFolder: String? = Environment.setting("SSL_CERT_DIR")
    var cancellation = Cancellation()
    /// Where what a mirrored hub says of `huggingface.co` is asked instead.
    var endpoint: Location?
    /// How long a short request may bring nothing, in seconds.
    var patience = 30
    /// How long a connection may take to come about, in seconds.
    var connectPatience = 20
    private let handles = Handles()

    static let isReady = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    /// Sends one request, without following redirects, and hands over the body as it comes.
    func exchange(
        _ location: Location, headers: [String], head only: Bool = false, decodes: Bool = false,
        prepare: (UnsafeMutableRawPointer) -> Void = { _ in },
        _ accept: (Head, UnsafeRawBufferPointer) throws -> Void
    ) throws -> Head {
        guard HTTP.isReady, let curl = handles.take() else { throw HubError.noLibrary }
        defer { handles.giveBack(curl) }
        return try withoutActuallyEscaping(accept) { accept in
            let exchange = Exchange(cancellation, accept)
            var list: UnsafeMutablePointer<curl_slist>?
            for header in headers { list = curl_slist_append(list, header) }
            defer { curl_slist_free_all(list) }
            configure(curl, location, exchange)
            graft_curl_set_list(curl, CURLOPT_HTTPHEADER, list)
            if only { graft_curl_set_long(curl, CURLOPT_NOBODY, 1) }
            // A proxy may code an answer although the bytes as they are were asked for.
            if decodes { graft_curl_set_string(curl, CURLOPT_ACCEPT_ENCODING, "gzip, deflate") }
            if !headers.contains(where: { $0.hasPrefix("Authorization:") }) { useNetrc(curl) }
            prepare(curl)
            let start = Clock.monotonicSeconds
            let code = withExtendedLifetime(exchange) { curl_easy_perform(curl) }
            Notices.show(
                only ? "HEAD" : "GET", location, range: nil, status: exchange.head.status,
                bytes: exchange.received, seconds: Clock.monotonicSeconds - start)
            if let failure = exchange.failure { throw failure }
            if cancellation.isCancelled.load(ordering: .relaxed) { throw CancellationError() }
            guard code == CURLE_OK else { throw HTTP.failure(code, location) }
            return exchange.head
        }
    }

    private func configure(
        _ curl: UnsafeMutableRawPointer, _ location: Location, _ exchange: Exchange
    ) {
        configure(curl, location)
        let context = Unmanaged.passUnretained(exchange).toOpaque()
        // A connection that stalls is given up and taken up again.
        graft_curl_set_long(curl, CURLOPT_LOW_SPEED_LIMIT, 16)
        graft_curl_set_long(curl, CURLOPT_LOW_SPEED_TIME, patience)
        graft_curl_set_pointer(curl, CURLOPT_WRITEDATA, context)
        graft_curl_set_sink(curl, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
            guard let context else { return 0 }
            let exchange = Unmanaged<Exchange>.fromOpaque(context).takeUnretainedValue()
            let total = size * count
            guard !exchange.cancellation.isCancelled.load(ordering: .relaxed) else { return 0 }
            exchange.received += total
            do {
                try exchange.accept(
                    exchange.head, UnsafeRawBufferPointer(start: bytes, count: total))
                return total
            } catch {
                exchange.failure = error
                return 0
            }
        }
        graft_curl_set_pointer(curl, CURLOPT_HEADERDATA, context)
        graft_curl_set_sink(curl, CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
            guard let context else { return 0 }
            let exchange = Unmanaged<Exchange>.fromOpaque(context).takeUnretainedValue()
            let line = UnsafeRawBufferPointer(start: bytes, count: size * count)
            exchange.head.readLine(line)
            return size * count
        }
    }

    /// Has libcurl look for the host in `$NETRC` or ~/.netrc, as pip and huggingface_hub do.
    func useNetrc(_ curl: UnsafeMutableRawPointer) {
        graft_curl_set_long(curl, CURLOPT_NETRC, graft_curl_netrc_optional)
        if let file = Environment.setting("NETRC") {
            graft_curl_set_string(curl, CURLOPT_NETRC_FILE, file)
        }
    }

    /// What every request has in common.
    func configure(_ curl: UnsafeMutableRawPointer, _ location: Location) {
        graft_curl_set_string(curl, CURLOPT_URL, location.text)
        graft_curl_set_string(curl, CURLOPT_PROTOCOLS_STR, "http,https")
        graft_curl_set_string(curl, CURLOPT_USERAGENT, "graft/0.1.0")
        graft_curl_set_long(curl, CURLOPT_NOSIGNAL, 1)
        graft_curl_set_long(curl, CURLOPT_CONNECTTIMEOUT, connectPatience)
        if let certificates { graft_curl_set_string(curl, CURLOPT_CAINFO, certificates) }
        if let certificateFolder {
            graft_curl_set_string(curl, CURLOPT_CAPATH, certificateFolder)
        }
        // libcurl reads this one in lower case only, Python in both.
        if location.scheme == "http", Environment.setting("http_proxy") == nil,
            let proxy = Environment.setting("HTTP_PROXY")
        {
            graft_curl_set_string(curl, CURLOPT_PROXY, proxy)
        }
    }

    static func failure(_ code: CURLcode, _ location: Location) -> any Error {
        let reason = HubError.unreachable(url: location.shown, code: code.rawValue)
        return reason.isRetryable ? TransientError(reason: reason) : reason
    }
}

/// Easy handles that are used again, as each keeps its connections open.
private final class Handles: @unchecked Sendable {
    private var idle: [UnsafeMutableRawPointer] = []
    private let lock = Mutex<Void>(())

    func take() -> UnsafeMutableRawPointer? {
        lock.withLock { _ in idle.popLast() } ?? curl_easy_init()
    }

    func giveBack(_ curl: UnsafeMutableRawPointer) {
        curl_easy_reset(curl)
        lock.withLock { _ in idle.append(curl) }
    }

    deinit { for curl in idle { curl_easy_cleanup(curl) } }
}
