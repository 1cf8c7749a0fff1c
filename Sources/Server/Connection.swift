// One connection: what is read from it. Connection+Answer.swift is what is sent, Connection+Time.swift what is timed.

import NIOCore
import NIOHTTP1
import NIOPosix

/// Reads requests one after another, starts their handlers and sends the answers. All of it runs on the
/// connection's event loop, but for the handler and the reading of files.
final class Connection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// What all connections of a server share.
    struct Shared: Sendable {
        let limits: ServerLimits
        let tokens: AccessTokens
        let bodyLimit: HTTPServer.BodyLimit?
        let handler: HTTPServer.Handler
        let admission: Admission
        let executor: WorkerExecutor
        let log: AccessLog?
        let start = NIODeadline.now()
    }

    /// The place of the parser.
    enum Parse: Equatable {
        /// Before the first byte of a head.
        case between
        /// In a head.
        case head
        case body
    }

    /// What the deadline is for.
    enum Phase: Equatable { case idle, head, body, drain, answer, linger, none }

    /// A request of which the head is there, until its answer has ended.
    struct Exchange {
        let head: HTTPRequestHead
        let body: RequestBody
        let started = NIODeadline.now()
        var request: ServerRequest
        var bodyLimit = 0
        var holder: TokenHolder?
        var task: Task<Void, Never>?
        var isBodyComplete = false
        var isBodyBroken = false
        /// Whether the handler has been started.
        var isStarted = false
        var expectsContinue = false
        var received = 0
        var sent = 0
        var status = 0
        var problem: String?

        init(head: HTTPRequestHead, body: RequestBody) {
            self.head = head
            self.body = body
            request = ServerRequest(method: head.method.rawValue, target: head.uri, body: body)
        }
    }

    let shared: Shared
    let address: String
    let number: Int
    var context: ChannelHandlerContext?
    var current: Exchange?
    /// Whether the connection closes after the current answer.
    var closesAfter = false
    /// Writes that the client has not taken yet.
    var unfinishedWrites = 0
    var isClosing = false
    var parse = Parse.between
    private var pending = CircularBuffer<HTTPServerRequestPart>()
    private var requestCount = 0
    var isReading = true
    /// The bytes of an unread body that may still be dropped; nil while none is.
    var drain: Int?
    /// Bytes on the wire since the head began; some of them may be of requests before it.
    private var headByteCount = 0
    /// Bytes on the wire since the head ended, chunk heads and trailers among them.
    private var rawBodyByteCount = 0
    var periodByteCount = 0
    var phase = Phase.none
    var deadline: Scheduled<Void>?

    private var lingeredByteCount = 0

    /// Bytes that are dropped after a refusal, before the connection is reset.
    private static let lingeringByteCount = 1 << 20
    /// Bytes of a body with which a handler starts: a slow sender of a small body takes no turn.
    private static let startByteCount = 64 << 10
    /// Bytes of a body that are dropped to keep a connection whose handler did not want them.
    private static let drainedByteCount = 256 << 10

    private init(number: Int, address: String, shared: Shared) {
        self.number = number
        self.address = address
        self.shared = shared
    }

    /// Makes a new connection answer, or turns it away.
    static func set(up channel: any Channel, _ shared: Shared) throws {
        let pipeline = channel.pipeline.syncOperations
        let address = channel.remoteAddress?.ipAddress ?? ""
        guard let number = shared.admission.enter(channel, address: address) else {
            return try pipeline.addHandler(Refusal())
        }
        let connection = Connection(number: number, address: address, shared: shared)
        var limits = NIOHTTPDecoderLimitConfiguration()
        limits.maxHeaderFieldCount = shared.limits.fieldCount
        limits.maxHeaderFieldSize = shared.limits.headByteCount
        limits.maxHeaderListSize = shared.limits.headByteCount
        try pipeline.addHandler(Gate(connection))
        try pipeline.addHandler(
            ByteToMessageHandler(
                HTTPRequestDecoder(
                    leftOverBytesStrategy: .dropBytes, limitConfiguration: limits)))
        try pipeline.addHandler(HTTPResponseEncoder())
        try pipeline.addHandler(connection)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        arm()
    }

    func handlerRemoved(context: ChannelHandlerContext) { leave() }

    func channelInactive(context: ChannelHandlerContext) {
        leave()
        context.fireChannelInactive()
    }

    private func leave() {
        guard context != nil else { return }
        context = nil
        deadline?.cancel()
        pending.removeAll()
        shared.admission.leave(number)
        current?.body.fail(.interrupted)
        current?.task?.cancel()
        // A request that no task answers, or whose task waits for its turn, ends here.
        if current != nil, current?.task == nil { finish("the client closed the connection") }
    }

    // MARK: Reading

    /// Notes bytes before they are parsed; false if they are dropped.
    func accepts(byteCount: Int) -> Bool {
        guard !isClosing else {
            lingeredByteCount += byteCount
            if lingeredByteCount > Self.lingeringByteCount { context?.close(promise: nil) }
            return false
        }
        switch parse {
        case .between:
            parse = .head
            headByteCount = byteCount
            if current == nil { arm() }
        case .head: headByteCount += byteCount
        case .body:
            rawBodyByteCount += byteCount
            periodByteCount += byteCount
        }
        return true
    }

    /// Looks for what the parser does not limit: empty lines before a head, and a body whose chunk heads,
    /// extensions and trailers are much longer than its content.
    func checkLengths() {
        if parse == .head, headByteCount > (64 << 10) + shared.limits.headByteCount, current == nil
        {
            return refuse(431)
        }
        guard parse == .body, let exchange = current, !exchange.isBodyComplete,
            !exchange.isBodyBroken,
            rawBodyByteCount > (64 << 10) + 16 * exchange.received
        else { return }
        breakBody(.malformed)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosing else { return }
        let part = unwrapInboundIn(data)
        switch part {
        case .head:
            parse = .body
            rawBodyByteCount = 0
        case .body: break
        case .end: parse = .between
        }
        let isOwn = current.map { !$0.isBodyComplete } ?? true
        if isOwn, pending.isEmpty { take(part) } else { pending.append(part) }
    }

    private func take(_ part: HTTPServerRequestPart) {
        switch part {
        case .head(let head): begin(head)
        case .body(let buffer): takeBody(buffer)
        case .end: endBody()
        }
    }

    private func takeBody(_ buffer: ByteBuffer) {
        guard current != nil else {
            let rest = (drain ?? 0) - buffer.readableBytes
            drain = rest
            return rest < 0 ? linger() : ()
        }
        guard current?.isBodyBroken == false else { return }
        current?.received += buffer.readableBytes
        guard let exchange = current, exchange.received <= exchange.bodyLimit else {
            return breakBody(.tooLarge(limit: current?.bodyLimit ?? 0))
        }
        let wantsMore = exchange.body.add(Array(buffer.readableBytesView))
        if !exchange.isStarted, exchange.received >= Self.startByteCount { run() }
        if !wantsMore { updateReading() }
    }

    private func endBody() {
        guard current != nil else {
            drain = nil
            return proceed()
        }
        guard current?.isBodyBroken == false else { return }
        current?.isBodyComplete = true
        current?.body.complete()
        if current?.isStarted == false { run() }
        updateReading()
        arm()
    }

    /// Ends a body that does not come to its end; the handler hears of it, and the connection closes after
    /// the answer.
    func breakBody(_ reason: BodyError) {
        if current?.isStarted == false { return refuse(reason.status) }
        current?.isBodyBroken = true
        closesAfter = true
        current?.body.fail(reason)
        updateReading()
        arm()
    }

    /// The handler wants more of the body.
    func demanded() {
        guard let exchange = current, let context, !exchange.isBodyComplete, !isClosing else {
            return
        }
        if exchange.expectsContinue, exchange.body.isAsked, exchange.status == 0 {
            current?.expectsContinue = false
            let more = HTTPResponseHead(version: exchange.head.version, status: .continue)
            context.writeAndFlush(wrapOutboundOut(.head(more)), promise: nil)
        }
        updateReading()
        arm()
    }

    /// Reads while a head or wanted bytes of a body are waited for, and not otherwise: a client that sends
    /// faster than it is served fills its own buffers.
    private func updateReading() {
        let wanted: Bool
        if let current, !isClosing {
            wanted =
                !current.isBodyComplete && !current.isBodyBroken
                && (!current.isStarted || current.body.wantsBytes)
        } else {
            wanted = true
        }
        guard wanted != isReading, let context else { return }
        isReading = wanted
        try? context.channel.syncOptions?.setOption(.autoRead, value: wanted)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !isClosing else { return }
        let isParser =
            error is HTTPParserError || error is ByteToMessageDecoderError
            || error is NIOHTTPDecoderError
        guard isParser else { return context.close(promise: nil) }
        guard let exchange = current else {
            let isTooLong = (error as? HTTPParserError) == .headerOverflow
            return refuse(isTooLong ? 431 : 400)
        }
        // The request before the bytes that cannot be read is answered, and nothing after it.
        if exchange.isBodyComplete { closesAfter = true } else { breakBody(.malformed) }
    }

    // MARK: Requests

    private func begin(_ head: HTTPRequestHead) {
        requestCount += 1
        let demand = demandAction()
        current = Exchange(head: head, body: RequestBody(demand: demand))
        let limits = shared.limits
        if let status = flaw(of: head) { return refuse(status) }
        if !head.isKeepAlive || requestCount >= limits.requestsPerConnection
            || shared.admission.isStopping
        {
            closesAfter = true
        }
        start(head)
        updateReading()
        arm()
    }

    private func demandAction() -> @Sendable () -> Void {
        guard let context else { return {} }
        let loop = context.eventLoop
        let connection = NIOLoopBound(self, eventLoop: loop)
        return { loop.execute { connection.value.demanded() } }
    }

    /// The status of a head that is not answered otherwise.
    private func flaw(of head: HTTPRequestHead) -> Int? {
        let limits = shared.limits
        if head.uri.utf8.count > limits.targetByteCount { return 414 }
        let hosts = head.headers["Host"].count
        let isOld = head.version.isOld
        if hosts > 1 || hosts == 0 && !isOld { return 400 }
        let isChunked = head.headers.contains(name: "Transfer-Encoding")
        // What a proxy in front and this parser could read in two ways is not read at all.
        if isChunked, isOld || head.headers.contains(name: "Content-Length") { return 400 }
        if head.headers["Content-Length"].count > 1 { return 400 }
        // The parser reads no further after these.
        if head.method == .CONNECT { return 405 }
        return nil
    }

    /// Ends an answer, and continues with what has been read meanwhile.
    func finish(_ problem: String?) {
        guard let exchange = current else { return }
        note(exchange, problem: problem)
        current = nil
        unfinishedWrites = 0
        guard let context, !isClosing else { return }
        let isWhole = exchange.isBodyComplete
        if problem != nil || closesAfter {
            // The client may still be sending: it should read the answer before a reset.
            if problem == nil, !isWhole || !pending.isEmpty { return linger() }
            isClosing = true
            return context.close(promise: nil)
        }
        shared.admission.set(number, isIdle: true)
        if !isWhole { drain = Self.drainedByteCount }
        // Not now: a thousand short requests in one read would nest as deeply.
        let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.execute { connection.value.proceed() }
    }

    private func proceed() {
        while current == nil || current?.isBodyComplete == false, !isClosing,
            let part = pending.popFirst()
        {
            take(part)
        }
        guard current == nil, !isClosing else { return }
        if shared.admission.isStopping { return close() }
        updateReading()
        arm()
    }

    private func close() {
        isClosing = true
        context?.close(promise: nil)
    }

    // MARK: Refusing

    /// Answers what is not read to its end, and closes.
    func refuse(_ status: Int) {
        guard !isClosing, context != nil else { return }
        let reason = HTTPResponseStatus(statusCode: status).reasonPhrase
        closesAfter = true
        writeRefusal(.text(status: status, reason), version: current?.head.version ?? .http1_1)
        let exchange =
            current
            ?? Exchange(
                head: HTTPRequestHead(version: .http1_1, method: .RAW(value: ""), uri: ""),
                body: RequestBody([]))
        current = nil
        var noted = exchange
        noted.status = status
        exchange.body.fail(.malformed)
        note(noted, problem: "refused")
        linger()
    }

    /// Stops sending, and drops what still comes for a moment, so that the client reads the answer before the
    /// connection is reset.
    func linger() {
        guard let context, !isClosing else { return }
        isClosing = true
        pending.removeAll()
        shared.admission.set(number, isIdle: true)
        context.close(mode: .output, promise: nil)
        updateReading()
        arm()
    }
}
