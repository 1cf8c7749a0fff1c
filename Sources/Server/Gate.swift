// Counts what comes in before the parser sees it: a head that never ends is not parsed for ever.

import NIOCore

/// Stands between the socket and the parser.
final class Gate: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private let connection: Connection

    init(_ connection: Connection) { self.connection = connection }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard connection.accepts(byteCount: unwrapInboundIn(data).readableBytes) else { return }
        context.fireChannelRead(data)
        connection.checkHead()
    }
}
