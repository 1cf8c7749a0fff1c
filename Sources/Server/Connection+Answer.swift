// The answer of a request: who is answered, and how bytes are sent without filling memory.

import NIOCore
import NIOHTTP1

extension Connection {
    /// Starts the answer of a request whose head was read.
    func start(_ head: HTTPRequestHead) {
        guard context != nil else { return }
        let path = head.uri.prefix { $0 != "?" }
        if path == "/health", head.method == .GET || head.method == .HEAD {
            shared.admission.noteAnswered()
            return sendWhole(health())
        }
        let fields = Self.fields(head.headers)
        guard case .allowed(let holder) = shared.tokens.judge(fields["authorization"]) else {
            shared.admission.noteAnswered()
            var response = ServerResponse.json(
                ["error": "expected a valid token"], status: 401)
            response.fields["WWW-Authenticate"] = "Bearer"
            return sendWhole(response)
        }
        current?.holder = holder
        guard let exchange = current else { return }
        let request = ServerRequest(
            method: head.method.rawValue, target: head.uri, fields: fields, body: exchange.body,
            client: address, holder: holder)
        current?.request = request
        let limit = shared.bodyLimit?(request) ?? shared.limits.bodyByteCount
        current?.bodyLimit = limit
        if let length = head.headers.first(name: "Content-Length"),
            Int(length).map({ $0 > limit }) ?? true
        {
            return refuse(413)
        }
        current?.expectsContinue =
            !head.version.isOld && fields["expect"]?.lowercased() == "100-continue"
        let isLong =
            head.headers.contains(name: "Transfer-Encoding")
            || head.headers.first(name: "Content-Length").map { $0 != "0" } ?? false
        // The others start when their body is there, or much of it.
        if !isLong || current?.expectsContinue == true { run() }
    }

    /// Runs the handler, when it is this request's turn.
    func run() {
        guard let context, let exchange = current, !exchange.isStarted else { return }
        current?.isStarted = true
        shared.admission.set(number, isIdle: false)
        let request = exchange.request
        let sender = Sender(
            self, on: context.eventLoop, isHead: exchange.head.method == .HEAD, shared: shared)
        let (shared, address) = (shared, address)
        let isAdmitted = shared.admission.admit(address) {
            let task = Task(executorPreference: shared.executor) {
                let response = await sender.respond(to: request)
                // Sending takes no turn: that a client reads slowly is not the others' business.
                shared.admission.done(address)
                if let response { await sender.send(response) }
            }
            sender.note(task)
        }
        guard !isAdmitted else { return }
        var busy = ServerResponse.json(["error": "too many requests at the same time"], status: 503)
        busy.fields["Retry-After"] = "1"
        sendWhole(busy)
    }

    private func health() -> ServerResponse {
        struct Health: Encodable {
            let answered: Int
            let connections: Int
            let running: Int
            let seconds: Int
            let status: String
            let waiting: Int
        }
        let counts = shared.admission.counts
        let isStopping = shared.admission.isStopping
        let seconds = (NIODeadline.now() - shared.start).nanoseconds / 1_000_000_000
        return .json(
            Health(
                answered: counts.answered, connections: counts.connections,
                running: counts.running, seconds: Int(seconds),
                status: isStopping ? "stopping" : "ok", waiting: counts.waiting),
            status: isStopping ? 503 : 200)
    }

    private static func fields(_ headers: HTTPHeaders) -> [String: String] {
        headers.reduce(into: [:]) { fields, field in
            let name = field.name.lowercased()
            fields[name] = fields[name].map { $0 + ", " + field.value } ?? field.value
        }
    }

    // MARK: Sending

    /// Sends an answer whose body is in memory, and ends the exchange.
    func sendWhole(_ response: ServerResponse) {
        guard current != nil, let context else { return }
        current?.isStarted = true
        sendHead(response)
        if case .bytes(let bytes) = response.body, !bytes.isEmpty, !isBodyless(response) {
            current?.sent = bytes.count
            context.write(
                wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: bytes)))), promise: nil)
        }
        flushEnd()
    }

    /// Ends the body of an answer, and the exchange when the client has taken it.
    func flushEnd() {
        guard let context else { return finish("the client closed the connection") }
        tracked(context) { promise in
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: promise)
        }.assumeIsolated().whenComplete { result in
            guard case .success = result else {
                return self.finish("the client closed the connection")
            }
            self.finish(nil)
        }
    }

    /// Answers `HEAD`.
    func sendHeadAlone(_ response: ServerResponse) {
        guard let context else { return finish("the client closed the connection") }
        guard response.byteCount == nil else {
            sendHead(response)
            return flushEnd()
        }
        // The encoder would end a body of unknown length with an empty chunk, which is one byte too many here.
        closesAfter = true
        guard let head = answerHead(response) else { return }
        tracked(context) { promise in
            context.writeAndFlush(wrapOutboundOut(.head(head)), promise: promise)
        }.assumeIsolated().whenComplete { _ in self.finish(nil) }
    }

    /// Sends a piece of a body; the result comes when the client has taken it.
    func send(_ buffer: ByteBuffer) -> EventLoopFuture<Void>? {
        guard let context, current != nil else { return nil }
        let count = buffer.readableBytes
        let written = tracked(context) { promise in
            context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(buffer))), promise: promise)
        }
        written.assumeIsolated().whenSuccess { self.current?.sent += count }
        return written
    }

    /// Counts a write until the client has taken it: the deadline is for the oldest one.
    private func tracked(
        _ context: ChannelHandlerContext, _ write: (EventLoopPromise<Void>) -> Void
    ) -> EventLoopFuture<Void> {
        let promise = context.eventLoop.makePromise(of: Void.self)
        promise.futureResult.assumeIsolated().whenComplete { _ in
            self.unfinishedWrites = max(0, self.unfinishedWrites - 1)
            self.shared.admission.set(
                self.number, isSending: self.unfinishedWrites > 0)
            self.arm(restarting: true)
        }
        if unfinishedWrites == 0 { shared.admission.set(number, isSending: true) }
        unfinishedWrites += 1
        arm()
        write(promise)
        return promise.futureResult
    }

    /// Sends the status and the fields.
    func sendHead(_ response: ServerResponse) {
        guard let context, let head = answerHead(response) else { return }
        context.write(wrapOutboundOut(.head(head)), promise: nil)
    }

    private func answerHead(_ response: ServerResponse) -> HTTPResponseHead? {
        guard let exchange = current else { return nil }
        if shared.admission.isStopping { closesAfter = true }
        if exchange.expectsContinue { closesAfter = true }
        // Nothing else ends a body of unknown length for an old client.
        if response.byteCount == nil, exchange.head.version.isOld { closesAfter = true }
        current?.status = response.status
        return Self.head(
            response, version: exchange.head.version, closes: closesAfter,
            hasBody: HTTPResponseStatus(statusCode: response.status).mayHaveResponseBody)
    }

    /// Sends a refusal outside of an exchange.
    func writeRefusal(_ response: ServerResponse, version: HTTPVersion) {
        guard let context else { return }
        let head = Self.head(response, version: version, closes: true, hasBody: true)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        if case .bytes(let bytes) = response.body {
            context.write(
                wrapOutboundOut(.body(.byteBuffer(ByteBuffer(bytes: bytes)))), promise: nil)
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    /// Whether no body follows the head.
    private func isBodyless(_ response: ServerResponse) -> Bool {
        current?.head.method == .HEAD
            || !HTTPResponseStatus(statusCode: response.status).mayHaveResponseBody
    }

    private static func head(
        _ response: ServerResponse, version: HTTPVersion, closes: Bool, hasBody: Bool
    ) -> HTTPResponseHead {
        var headers = HTTPHeaders()
        for (name, value) in response.fields.sorted(by: { $0.key < $1.key })
        where isSound(name: name, value: value) {
            headers.add(name: name, value: value)
        }
        if hasBody, let count = response.byteCount {
            headers.replaceOrAdd(name: "Content-Length", value: "\(count)")
        }
        headers.replaceOrAdd(name: "Date", value: Moment.httpDate)
        if closes {
            headers.replaceOrAdd(name: "Connection", value: "close")
        } else if version.isOld {
            headers.replaceOrAdd(name: "Connection", value: "keep-alive")
        }
        return HTTPResponseHead(
            version: version, status: HTTPResponseStatus(statusCode: response.status),
            headers: headers)
    }

    private static func isSound(name: String, value: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy {
                (48...57).contains($0) || (97...122).contains($0 | 0x20) || $0 == 45
            }
            && value.utf8.allSatisfy { $0 >= 32 && $0 != 127 || $0 == 9 }
    }

    // MARK: The log

    func note(_ exchange: Exchange, problem: String?) {
        guard let log = shared.log else { return }
        let time = (NIODeadline.now() - exchange.started).nanoseconds / 1_000_000
        let reason =
            problem ?? exchange.problem ?? (exchange.isBodyBroken ? "the body did not end" : nil)
        log.add(
            AccessRecord(
                time: Moment.rfc3339, client: address, holder: exchange.holder?.name,
                method: exchange.head.method.rawValue,
                path: String(exchange.head.uri.prefix { $0 != "?" }.prefix(1024)),
                status: exchange.status, bytes: exchange.sent, milliseconds: Int(time),
                agent: exchange.head.headers.first(name: "User-Agent").map {
                    String($0.prefix(256))
                }, problem: reason))
    }
}
