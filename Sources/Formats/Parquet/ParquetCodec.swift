// Pages of a Parquet file decompressed by the codecs' own libraries, into exactly the bytes that they state.

import CBrotli
import CLZ4
import CSnappy
import CZlib
import CZstd

extension ParquetCodec {
    /// The codec's name in messages.
    package var name: String {
        switch self {
        case .uncompressed: "none"
        case .snappy: "snappy"
        case .gzip: "gzip"
        case .brotli: "brotli"
        case .lz4Hadoop, .lz4: "lz4"
        case .zstd: "zstd"
        }
    }

    /// Fills `target` with what `source` decompresses to; another size is an error.
    func decompress(_ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer)
        throws(ParquetFlaw)
    {
        let found: Int? =
            switch self {
            case .uncompressed: copy(source, into: target)
            case .snappy: snappy(source, into: target)
            case .gzip: gzip(source, into: target)
            case .brotli: brotli(source, into: target)
            case .lz4Hadoop: hadoop(source, into: target) ?? lz4(source, into: target)
            case .lz4: lz4(source, into: target)
            case .zstd: zstd(source, into: target)
            }
        guard found == target.count else {
            throw .decompression(name, expected: target.count, found: found)
        }
    }

    private func copy(
        _ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    )
        -> Int?
    {
        if source.count == target.count { target.copyMemory(from: source) }
        return source.count
    }

    private func snappy(
        _ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    )
        -> Int?
    {
        let bytes = source.assumingMemoryBound(to: CChar.self)
        var count = 0
        guard snappy_uncompressed_length(bytes.baseAddress, source.count, &count) == SNAPPY_OK,
            count == target.count
        else { return count }
        let status = snappy_uncompress(
            bytes.baseAddress, source.count,
            target.assumingMemoryBound(to: CChar.self).baseAddress, &count)
        return status == SNAPPY_OK ? count : nil
    }

    private func zstd(
        _ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    )
        -> Int?
    {
        let count = ZSTD_decompress(
            target.baseAddress, target.count, source.baseAddress, source.count)
        return ZSTD_isError(count) == 0 ? count : nil
    }

    private func lz4(
        _ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    )
        -> Int?
    {
        guard let size = Int32(exactly: source.count), let room = Int32(exactly: target.count)
        else { return nil }
        let count = LZ4_decompress_safe(
            source.assumingMemoryBound(to: CChar.self).baseAddress,
            target.assumingMemoryBound(to: CChar.self).baseAddress, size, room)
        return count >= 0 ? Int(count) : nil
    }

    /// Frames of two big-endian sizes, decompressed and compressed, and a block.
    private func hadoop(
        _ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    )
        -> Int?
    {
        var (at, filled) = (0, 0)
        while at < source.count {
            guard source.count - at >= 8 else { return nil }
            let size = Int(
                UInt32(bigEndian: source.loadUnaligned(fromByteOffset: at, as: UInt32.self)))
            let stored = Int(
                UInt32(bigEndian: source.loadUnaligned(fromByteOffset: at + 4, as: UInt32.self)))
            at += 8
            guard stored <= source.count - at, size <= target.count - filled else { return nil }
            let block = UnsafeRawBufferPointer(rebasing: source[at..<(at + stored)])
            let room = UnsafeMutableRawBufferPointer(rebasing: target[filled..<(filled + size)])
            guard lz4(block, into: room) == size else { return nil }
            at += stored
            filled += size
        }
        return filled
    }

    private func brotli(
        _ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    )
        -> Int?
    {
        var count = target.count
        let status = BrotliDecoderDecompress(
            source.count, source.assumingMemoryBound(to: UInt8.self).baseAddress, &count,
            target.assumingMemoryBound(to: UInt8.self).baseAddress)
        return status == BROTLI_DECODER_RESULT_SUCCESS ? count : nil
    }

    private func gzip(
        _ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    )
        -> Int?
    {
        var stream = z_stream()
        guard graft_inflate_start(&stream) == Z_OK else { return nil }
        defer { inflateEnd(&stream) }
        guard let size = UInt32(exactly: source.count), let room = UInt32(exactly: target.count)
        else { return nil }
        // zlib never writes through it.
        stream.next_in = UnsafeMutablePointer(
            mutating: source.assumingMemoryBound(to: UInt8.self).baseAddress)
        stream.avail_in = size
        stream.next_out = target.assumingMemoryBound(to: UInt8.self).baseAddress
        stream.avail_out = room
        while true {
            switch inflate(&stream, Z_FINISH) {
            case Z_STREAM_END:
                // Several members may follow each other.
                guard stream.avail_in > 0, stream.avail_out > 0 else {
                    return target.count - Int(stream.avail_out)
                }
                guard inflateReset(&stream) == Z_OK else { return nil }
            default: return nil
            }
        }
    }

    /// The bytes compressed; for the writer, which uses three of them.
    func compress(_ source: [UInt8]) throws(ParquetFlaw) -> [UInt8] {
        switch self {
        case .uncompressed: return source
        case .snappy:
            var count = snappy_max_compressed_length(source.count)
            return [UInt8](unsafeUninitializedCapacity: count) { target, initialized in
                source.withUnsafeBytes { bytes in
                    // It fails for too small a target only.
                    _ = snappy_compress(
                        bytes.assumingMemoryBound(to: CChar.self).baseAddress, bytes.count,
                        UnsafeMutableRawBufferPointer(target).assumingMemoryBound(to: CChar.self)
                            .baseAddress, &count)
                }
                initialized = count
            }
        case .zstd:
            let bound = ZSTD_compressBound(source.count)
            var failed = false
            let bytes = [UInt8](unsafeUninitializedCapacity: bound) { target, initialized in
                let count = ZSTD_compress(
                    target.baseAddress, bound, source, source.count, 3)
                failed = ZSTD_isError(count) != 0
                initialized = failed ? 0 : count
            }
            guard !failed else {
                throw .decompression(name, expected: source.count, found: nil)
            }
            return bytes
        default: throw .codec(rawValue)
        }
    }

    /// The checksum that a page's header may have: CRC-32 of its bytes as stored.
    static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
        UInt32(
            truncatingIfNeeded: crc32_z(
                0, bytes.assumingMemoryBound(to: UInt8.self).baseAddress, bytes.count))
    }
}
