// One connection of a transfer: a request for a part of a file, and the bytes that answer it.

import CCurl
import GraftCache
import GraftSystem
import GraftTensors

/// A request under way. libcurl calls back into it, on the thread of the queue only.
final class Connection {
    let transfer: Transfer
    /// Which of the transfer's sources answers.
    let source: Int
    /// What it fetches; the end is open where the size is unknown, and moves down when another
    /// connection takes over the tail.
    var claim: Range<Int>
    /// Where the next byte goes.
    var cursor: Int
    private(set) var location: Location
    private var redirects: Redirects
    var hops: Int { redirects.count }
    private let begun: Double
    private var received = 0
    private(set) var head = Head()
    /// The first bytes of an answer that is no file.
    private(set) var detail: [UInt8] = []
    private(set) var failure: (any Error)?
    /// The part that was asked for; nil for the whole file.
    private(set) var range: String?
    /// Whether its part is complete, or is no longer wanted.
    private(set) var isSatisfied = false
    /// Whether it waits for the allowance of the rate limit.
    private(set) var isPaused = false
    var hasBegun = false
    /// When the last byte came.
    var lastByte: Double
    /// libcurl's handle, which belongs to the queue.
    let easy: UnsafeMutableRawPointer
    private var headers: UnsafeMutablePointer<curl_slist>?

    init(
        _ transfer: Transfer, source: Int, claim: Range<Int>, location: Location,
        easy: UnsafeMutableRawPointer, now: Double
    ) {
        self.easy = easy
        self.transfer = transfer
        self.source = source
        self.claim = claim
        self.location = location
        redirects = Redirects(location)
        begun = now
        cursor = claim.lowerBound
        lastByte = now
    }

    deinit { curl_slist_free_all(headers) }

    /// Sets the request up.
    func prepare(_ http: HTTP) {
        http.configure(easy, location)
        curl_slist_free_all(headers)
        headers = nil
        func add(_ header: String) { headers = curl_slist_append(headers, header) }
        add("Accept-Encoding: identity")
        if let header = transfer.credentials(of: source)?.header(for: location) {
            add(header)
        } else {
            http.useNetrc(easy)
        }
        if transfer.isCoded {
            graft_curl_set_string(easy, CURLOPT_ACCEPT_ENCODING, "gzip, deflate")
        }
        range = transfer.rangeHeader(for: self)
        if let range {
            add("Range: bytes=" + range)
            if let etag = transfer.etagForIfRange(source) { add("If-Range: " + etag) }
        }
        graft_curl_set_list(easy, CURLOPT_HTTPHEADER, headers)
        // Segments want connections of their own: streams of one HTTP/2 connection share its window.
        let isLarge = (transfer.byteCount ?? .max) > Transfer.segmentedFrom
        graft_curl_set_long(
            easy, CURLOPT_HTTP_VERSION,
            isLarge ? Int(CURL_HTTP_VERSION_1_1) : Int(CURL_HTTP_VERSION_2TLS))
        graft_curl_set_long(easy, CURLOPT_PIPEWAIT, isLarge ? 0 : 1)
        let isSmall = transfer.isRateLimited || (transfer.byteCount ?? .max) < 32 << 10
        graft_curl_set_long(easy, CURLOPT_BUFFERSIZE, isSmall ? 16_384 : 262_144)
        let context = Unmanaged.passUnretained(self).toOpaque()
        graft_curl_set_pointer(easy, CURLOPT_PRIVATE, context)
        graft_curl_set_pointer(easy, CURLOPT_WRITEDATA, context)
        graft_curl_set_pointer(easy, CURLOPT_HEADERDATA, context)
        graft_curl_set_sink(easy, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
            guard let context else { return 0 }
            return Unmanaged<Connection>.fromOpaque(context).takeUnretainedValue()
                .receive(UnsafeRawBufferPointer(start: bytes, count: size * count))
        }
        graft_curl_set_sink(easy, CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
            guard let context else { return 0 }
            let line = UnsafeRawBufferPointer(start: bytes, count: size * count)
            Unmanaged<Connection>.fromOpaque(context).takeUnretainedValue()
                .head.readLine(line)
            return size * count
        }
    }

    /// Asks the next place of a chain of redirects.
    func follow(_ target: String, _ http: HTTP) throws {
        location = try redirects.next(target, of: location, http)
        head = Head()
        detail = []
    }

    /// Stops where it is: what is left is somebody else's.
    func giveUpRest() {
        claim = claim.lowerBound..<max(claim.lowerBound, cursor)
        isSatisfied = true
    }

    /// The allowance is back.
    func resume(now: Double) {
        guard isPaused else { return }
        isPaused = false
        lastByte = now
        curl_easy_pause(easy, CURLPAUSE_CONT)
    }

    /// Shows the request, now that it ended.
    func show(now: Double) {
        Notices.show(
            "GET", location, range: range, status: head.status, bytes: received,
            seconds: now - begun)
    }

    private func receive(_ bytes: UnsafeRawBufferPointer) -> Int {
        received += bytes.count
        guard (200..<300).contains(head.status) else {
            if detail.count < 4096 { detail += bytes.prefix(4096 - detail.count) }
            return bytes.count
        }
        do {
            if !hasBegun { try transfer.begin(self) }
            if isSatisfied { return 0 }
            guard transfer.mayTake() else {
                isPaused = true
                return Int(CURL_WRITEFUNC_PAUSE)
            }
            let wanted = min(bytes.count, max(0, claim.upperBound - cursor))
            try transfer.store(UnsafeRawBufferPointer(rebasing: bytes[..<wanted]), from: self)
            if cursor == claim.upperBound, wanted < bytes.count { isSatisfied = true }
            return isSatisfied ? 0 : bytes.count
        } catch {
            failure = error
            return 0
        }
    }
}
