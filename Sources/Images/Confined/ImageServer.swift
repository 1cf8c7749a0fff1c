// The child process: opens the libraries, gives up its rights, then decodes one image after another.

import GraftSystem

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The process in which libheif, libtiff and giflib decode images that nobody vouches for.
///
/// Descriptor 0 is a socket to the parent. Once the libraries are open the process can neither open
/// files nor reach a network, whatever an image makes them do.
public enum ImageServer {
    /// The first argument that makes a program this server.
    public static let command = "--decode-images"

    /// Bytes of address space: an image of 100 million pixels in the forms that decoders keep it in.
    private static let memory: UInt64 = 6 << 30
    /// Seconds of processor time for all images of a process, see ``ImageWorkers``.
    private static let processorSeconds: UInt64 = 3_600

    /// Serves the parent until it hangs up. Returns the status to exit with.
    public static func run() -> Int32 {
        for codec in LoadedCodec.allCases { codec.open() }
        let held = Confinement.enter(
            seconds: processorSeconds, bytes: memory, threads: true)
        send(.held, [UInt8(truncatingIfNeeded: held.rawValue)])
        while let bytes = receive(DecodeRequest.encodedByteCount) {
            guard let (request, byteCount) = DecodeRequest.decoded(bytes) else { return 65 }
            do {
                let image = try request.decode(ParentBytes(count: byteCount))
                send(.image, image.encodedSize)
                image.pixels.withUnsafeBytes(put)
            } catch {
                let refusal = Refusal(error)
                send(.refusal, refusal.encoded)
            }
        }
        return 0
    }

    /// The bytes of the image, which the parent hands over as they are asked for.
    private final class ParentBytes: ByteSource {
        let count: Int

        init(count: Int) { self.count = count }

        func read(at offset: Int, into target: UnsafeMutableRawBufferPointer) -> Bool {
            guard offset >= 0, offset <= count, target.count <= count - offset else { return false }
            guard !target.isEmpty else { return true }
            var range: [UInt8] = []
            range.append(little: UInt64(offset))
            range.append(little: UInt64(target.count))
            ImageServer.send(.need, range)
            return ImageServer.fill(target)
        }
    }

    private static func receive(_ count: Int) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        return bytes.withUnsafeMutableBytes(fill) ? bytes : nil
    }

    private static func fill(_ target: UnsafeMutableRawBufferPointer) -> Bool {
        var rest = target
        while !rest.isEmpty {
            let count = read(0, rest.baseAddress, min(rest.count, 1 << 30))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            rest = UnsafeMutableRawBufferPointer(rebasing: rest[count...])
        }
        return true
    }

    /// Sends a message: its kind, the number of bytes that follow in two bytes, and those.
    private static func send(_ kind: Reply, _ bytes: [UInt8]) {
        var message = [kind.rawValue, UInt8(bytes.count & 255), UInt8(bytes.count >> 8 & 255)]
        message += bytes
        message.withUnsafeBytes(put)
    }

    private static func put(_ bytes: UnsafeRawBufferPointer) {
        var rest = bytes
        while !rest.isEmpty {
            let count = write(0, rest.baseAddress, min(rest.count, 1 << 30))
            if count < 0, errno == EINTR { continue }
            // The parent is gone, and with it the reason to go on.
            guard count > 0 else { exit(0) }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }
}
