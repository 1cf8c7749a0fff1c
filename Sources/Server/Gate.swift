// The bytes of a connection before they are parsed, and connections that cannot stay.

import NIOCore
import NIOHTTP1

/// Lets a connection see bytes before the parser does.
final class Gate: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let connection: Connection

    init(_ connection: Connection) { self.connection = connection }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard connection.accepts(byteCount: unwrapInboundIn(data).readableBytes) else { return }
        context.fireChannelRead(data)
        connection.checkLengths()
    }
}

/// Turns away a connection for which there is no room.
final class Refusal: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    func channelActive(context: ChannelHandlerContext) {
        let text =
            "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
            + "Connection: close\r\n\r\n"
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: text)), promise: nil)
        context.close(promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}
}

extension HTTPVersion {
    /// Whether it is HTTP/1.0: no chunks, and a connection closes unless both sides want to keep it.
    var isOld: Bool { major == 1 && minor == 0 }
}
