// One connection: what is read, what is answered, and what is timed.

import NIOCore
import NIOHTTP1
import NIOPosix

/// Reads requests one after another and sends their answers. All of it runs on the connection's event loop, but for
/// the handler and the reading of files.
final class Connection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// What all connections of a server share.
    struct Shared: Sendable {
        let limits: ServerLimits
        let tokens: [[UInt8]]
        let handler: HTTPServer.Handler
        let admission: Admission
        let pool: NIOThreadPool
        let journal: Journal
        let start = NIODeadline.now()
    }

    /// Where the parser is.
    private enum Parse {
        /// Before the first byte of a head.
        case between
        /// In a head of which so many bytes came.
        case head(Int)
        case body
    }

    /// A request of which the head is there.
    private struct Current {
        var head: HTTPRequestHead
        var body: [UInt8] = []
        var started = NIODeadline.now()
    }

    private let number: Int
    private let shared: Shared
    private var context: ChannelHandlerContext?
    private var parse = Parse.between
    private var current: Current?
    private var pending = CircularBuffer<HTTPServerRequestPart>()
    private var isAnswering = false
    private var isHandling = false
    private var isAdmitted = false
    private var isClosing = false
    private var closesAfter = false
    private var sent = 0
    private var status = 0
    private var deadline: Scheduled<Void>?

    /// How many bytes of a file are read and sent at once.
    private static let pieceByteCount = 128 << 10

    private init(number: Int, shared: Shared) {
        self.number = number
        self.shared = shared
    }

    /// Makes a new connection answer, or turns it away.
    static func set(up channel: any Channel, _ shared: Shared) throws {
        let pipeline = channel.pipeline.syncOperations
        guard let number = shared.admission.enter(channel) else {
            return try pipeline.addHandler(Refusal())
        }
        let connection = Connection(number: number, shared: shared)
        try pipeline.addHandler(Gate(connection))
        try pipeline.addHandler(
            ByteToMessageHandler(HTTPRequestDecoder(leftOverBytesStrategy: .dropBytes)))
        try pipeline.addHandler(HTTPResponseEncoder())
        try pipeline.addHandler(connection)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        arm(shared.limits.idleTime)
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
        if isAnswering, !isHandling { release() }
    }

    // MARK: Reading

    /// Notes bytes before they are parsed; false if they are not wanted any more.
    func accepts(byteCount: Int) -> Bool {
        guard !isClosing else { return false }
        switch parse {
        case .between:
            parse = .head(byteCount)
            if !isAnswering { arm(shared.limits.headTime) }
        case .head(let count): parse = .head(count + byteCount)
        case .body:
            guard !isAnswering else { break }
            arm(shared.limits.bodyTime)
            shared.admission.set(number, isIdle: true)
        }
        return true
    }

    /// Refuses a head that does not end.
    func checkHead() {
        guard case .head(let count) = parse, count > shared.limits.headByteCount else { return }
        refuse(431)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosing, !closesAfter else { return }
        let part = unwrapInboundIn(data)
        switch part {
        case .head: parse = .body
        case .body: break
        case .end: parse = .between
        }
        if isAnswering || !pending.isEmpty { pending.append(part) } else { take(part) }
    }

    private func take(_ part: HTTPServerRequestPart) {
        switch part {
        case .head(let head): begin(head)
        case .body(let buffer):
            guard !isClosing else { return }
            guard (current?.body.count ?? 0) + buffer.readableBytes <= shared.limits.bodyByteCount
            else { return refuse(413) }
            current?.body += buffer.readableBytesView
        case .end: if !isClosing { answer() }
        }
    }

    private func begin(_ head: HTTPRequestHead) {
        current = Current(head: head)
        arm(shared.limits.bodyTime)
        let limits = shared.limits
        let byteCount = head.headers.reduce(head.uri.utf8.count) {
            $0 + $1.name.utf8.count + $1.value.utf8.count + 4
        }
        if head.uri.utf8.count > limits.targetByteCount { return refuse(414) }
        if head.headers.count > limits.fieldCount || byteCount > limits.headByteCount {
            return refuse(431)
        }
        if let length = head.headers.first(name: "Content-Length").flatMap({ Int($0) }),
            length > limits.bodyByteCount
        {
            return refuse(413)
        }
        // The parser reads no further after these.
        if head.method == .CONNECT || head.headers.contains(name: "Upgrade") { closesAfter = true }
        if head.headers.first(name: "Expect")?.lowercased() == "100-continue" {
            let more = HTTPResponseHead(version: head.version, status: .continue)
            context?.writeAndFlush(wrapOutboundOut(.head(more)), promise: nil)
        }
        // What follows an upgrade is not read: the request has ended.
        if closesAfter { answer() }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is HTTPParserError || error is ByteToMessageDecoderError else {
            return context.close(promise: nil)
        }
        // Those before it are answered.
        if isAnswering { closesAfter = true } else { refuse(400) }
    }

    // MARK: Answering

    private func answer() {
        guard var request = current, let context else { return }
        request.started = .now()
        current = request
        (isAnswering, sent) = (true, 0)
        shared.admission.set(number, isIdle: false)
        deadline?.cancel()
        reads(false)
        let head = request.head
        let path = head.uri.prefix { $0 != "?" }
        if path == "/health", head.method == .GET || head.method == .HEAD { return send(health()) }
        guard isAllowed(head) else {
            var response = ServerResponse.text(status: 401, "expected a valid token")
            response.fields["WWW-Authenticate"] = "Bearer"
            return send(response)
        }
        let asked = ServerRequest(
            method: head.method.rawValue, target: head.uri, fields: Self.fields(head.headers),
            body: request.body, client: context.remoteAddress?.ipAddress ?? "")
        current?.body = []
        let (shared, loop) = (shared, context.eventLoop)
        let connection = NIOLoopBound(self, eventLoop: loop)
        isHandling = true
        isAdmitted = shared.admission.admit {
            shared.pool.submit { state in
                let response =
                    state == .active
                    ? shared.handler(asked) : ServerResponse.text(status: 503, "stopping")
                loop.execute { connection.value.handled(response) }
            }
        }
        guard !isAdmitted else { return }
        isHandling = false
        var busy = ServerResponse.text(status: 503, "too many requests at once")
        busy.fields["Retry-After"] = "1"
        send(busy)
    }

    private func handled(_ response: ServerResponse) {
        isHandling = false
        guard context != nil else { return release() }
        send(response)
    }

    private func release() {
        guard isAdmitted else { return }
        isAdmitted = false
        shared.admission.done()
    }

    private func health() -> ServerResponse {
        let counts = shared.admission.counts
        let isStopping = shared.admission.isStopping
        let seconds = (NIODeadline.now() - shared.start).nanoseconds / 1_000_000_000
        let text = """
            {"answered":\(counts.answered),"connections":\(counts.connections),\
            "running":\(counts.running),"seconds":\(seconds),\
            "status":"\(isStopping ? "stopping" : "ok")"}
            """
        return ServerResponse(
            status: isStopping ? 503 : 200, fields: ["Content-Type": "application/json"],
            body: .bytes(Array((text + "\n").utf8)))
    }

    /// Whether a request shows a token, in a time that does not depend on it.
    private func isAllowed(_ head: HTTPRequestHead) -> Bool {
        guard !shared.tokens.isEmpty else { return true }
        let field = head.headers.first(name: "Authorization") ?? ""
        guard field.utf8.count > 7, field.prefix(7).lowercased() == "bearer " else { return false }
        let shown = Array(field.utf8.dropFirst(7))
        return shared.tokens.reduce(false) { found, token in
            var difference = UInt8(token.count == shown.count ? 0 : 1)
            for (index, byte) in token.enumerated() {
                difference |= byte ^ (shown.isEmpty ? 0 : shown[index % shown.count])
            }
            return found || difference == 0
        }
    }

    private static func fields(_ headers: HTTPHeaders) -> [String: String] {
        headers.reduce(into: [:]) { fields, field in
            let name = field.name.lowercased()
            fields[name] = fields[name].map { $0 + ", " + field.value } ?? field.value
        }
    }

    private func send(_ response: ServerResponse) {
        guard let request = current, context != nil else { return }
        status = response.status
        if !request.head.isKeepAlive || shared.admission.isStopping { closesAfter = true }
        write(response, version: request.head.version)
        arm(shared.limits.answerTime)
        guard request.head.method != .HEAD else { return end() }
        switch response.body {
        case .bytes(let bytes):
            sent = bytes.count
            if !bytes.isEmpty { context?.write(body(bytes), promise: nil) }
            end()
        case .source(let source, let range): pump(source, range.lowerBound, range.upperBound)
        }
    }

    private func write(_ response: ServerResponse, version: HTTPVersion) {
        var headers = HTTPHeaders()
        for (name, value) in response.fields.sorted(by: { $0.key < $1.key }) {
            // What a handler took from elsewhere ends no line.
            let isSound = (name + value).utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
            if isSound, !name.isEmpty { headers.add(name: name, value: value) }
        }
        headers.replaceOrAdd(name: "Content-Length", value: "\(response.byteCount)")
        headers.replaceOrAdd(name: "Date", value: HTTPDate.now)
        if closesAfter || isClosing {
            headers.replaceOrAdd(name: "Connection", value: "close")
        } else if version.minor == 0 {
            headers.replaceOrAdd(name: "Connection", value: "keep-alive")
        }
        let head = HTTPResponseHead(
            version: version, status: HTTPResponseStatus(statusCode: response.status),
            headers: headers)
        context?.write(wrapOutboundOut(.head(head)), promise: nil)
    }

    private func body(_ bytes: [UInt8]) -> NIOAny {
        wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: bytes))))
    }

    /// Sends a source piece by piece: the next is read when the last has left.
    private func pump(_ source: any ResponseSource, _ offset: Int, _ last: Int) {
        guard let context else { return release() }
        guard offset < last else { return end() }
        let (loop, connection) = (
            context.eventLoop, NIOLoopBound(self, eventLoop: context.eventLoop)
        )
        isHandling = true
        shared.pool.submit { state in
            let count = min(Self.pieceByteCount, last - offset)
            let bytes = state == .active ? source.read(at: offset, count: count) : []
            loop.execute { connection.value.pumped(bytes, source, offset, last) }
        }
    }

    private func pumped(
        _ bytes: [UInt8], _ source: any ResponseSource, _ offset: Int, _ last: Int
    ) {
        isHandling = false
        guard let context else { return release() }
        guard !bytes.isEmpty, bytes.count <= last - offset else {
            return finish("the file ended early")
        }
        let written = context.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(body(bytes), promise: written)
        written.futureResult.assumeIsolated().whenComplete { result in
            guard case .success = result else { return self.finish("the client went away") }
            self.sent += bytes.count
            self.arm(self.shared.limits.answerTime)
            self.pump(source, offset + bytes.count, last)
        }
    }

    private func end() {
        guard let context else { return release() }
        let written = context.eventLoop.makePromise(of: Void.self)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
        written.futureResult.assumeIsolated().whenComplete { result in
            guard case .success = result else { return self.finish("the client went away") }
            self.finish(nil)
        }
    }

    /// Ends an answer, and goes on with what has been read meanwhile.
    private func finish(_ problem: String?) {
        guard isAnswering else { return }
        release()
        note(problem)
        isAnswering = false
        current = nil
        guard let context else { return }
        guard problem == nil, !closesAfter else {
            isClosing = true
            return context.close(promise: nil)
        }
        shared.admission.set(number, isIdle: true)
        arm(shared.limits.idleTime)
        // Not now: a thousand short requests in one read would go as deep.
        let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
        context.eventLoop.execute { connection.value.proceed() }
    }

    private func proceed() {
        while !isAnswering, !isClosing, let part = pending.popFirst() { take(part) }
        guard !isAnswering, !isClosing else { return }
        reads(true)
        if shared.admission.isStopping { context?.close(promise: nil) }
    }

    private func note(_ problem: String?) {
        let milliseconds = current.map { (NIODeadline.now() - $0.started).nanoseconds / 1_000_000 }
        shared.journal.add(
            AccessRecord(
                time: HTTPDate.timestamp, client: context?.remoteAddress?.ipAddress ?? "",
                method: current?.head.method.rawValue ?? "",
                path: current.map { String($0.head.uri.prefix { $0 != "?" }.prefix(1024)) } ?? "",
                status: status, bytes: sent, milliseconds: Int(milliseconds ?? 0), problem: problem)
        )
    }

    // MARK: Refusing

    /// Answers what is not read to its end, and closes: what still comes is dropped for a second, so
    /// that the client reads why before the connection is reset.
    private func refuse(_ status: Int) {
        guard !isClosing, let context else { return }
        isClosing = true
        self.status = status
        (current, sent) = (nil, 0)
        let response = ServerResponse.text(
            status: status, HTTPResponseStatus(statusCode: status).reasonPhrase)
        write(response, version: .http1_1)
        if case .bytes(let bytes) = response.body { context.write(body(bytes), promise: nil) }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        note("refused")
        context.close(mode: .output, promise: nil)
        reads(true)
        arm(.seconds(1))
    }

    private func reads(_ wanted: Bool) {
        try? context?.channel.syncOptions?.setOption(.autoRead, value: wanted)
    }

    // MARK: Time

    private func arm(_ time: Duration) {
        deadline?.cancel()
        guard let context else { return }
        let connection = NIOLoopBound(self, eventLoop: context.eventLoop)
        deadline = context.eventLoop.scheduleTask(in: TimeAmount(time)) {
            connection.value.expired()
        }
    }

    private func expired() {
        guard let context else { return }
        if isClosing { return context.close(promise: nil) }
        if isAnswering { return finish("the client does not read") }
        switch parse {
        case .between: context.close(promise: nil)
        case .head, .body: refuse(408)
        }
    }
}

/// Turns a connection away that has no place.
private final class Refusal: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func channelActive(context: ChannelHandlerContext) {
        let text = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
        context.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}
}
