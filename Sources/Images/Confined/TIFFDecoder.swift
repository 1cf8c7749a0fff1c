// The first image of a TIFF through libtiff, by rows or tiles, so that memory holds some of them and the result.

import CImageCodecs

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

enum TIFFDecoder {
    static func decode(_ source: any ByteSource, _ request: DecodeRequest)
        throws(ImageError) -> Image
    {
        let tiff = try LoadedCodec.tiff(request)
        let reader = ByteReader(source)
        let client = UnsafeMutablePointer<graft_tiff_client>.allocate(capacity: 1)
        client.initialize(to: graft_tiff_client())
        client.pointee.reader = Unmanaged.passUnretained(reader).toOpaque()
        defer {
            client.deallocate()
            withExtendedLifetime(reader) {}
        }
        // `m`: no mapping of the file, which may be no file.
        let file = tiff.open(
            "image", "rm", client,
            { user, target, count in
                guard let reader = owner(of: user), let target, count > 0 else { return 0 }
                return reader.read(UnsafeMutableRawBufferPointer(start: target, count: count)) ?? -1
            }, { _, _, _ in -1 },
            { user, offset, whence in
                guard let reader = owner(of: user) else { return UInt64.max }
                let base =
                    whence == SEEK_SET
                    ? 0 : whence == SEEK_CUR ? reader.position : reader.source.count
                // Offsets from elsewhere than the start may be negative.
                let (place, overflow) = base.addingReportingOverflow(
                    Int(Int64(bitPattern: offset)))
                guard !overflow, place >= 0 else { return UInt64.max }
                reader.seek(place)
                return UInt64(place)
            }, { _ in 0 }, { user in UInt64(owner(of: user)?.source.count ?? 0) },
            { _, _, _ in 0 }, { _, _, _ in })
        guard let file else { throw failure(client, request) }
        defer { tiff.close(file) }
        return try TIFFImage(tiff: tiff, file: file, client: client, request: request).image()
    }

    /// What libtiff says is wrong.
    static func failure(
        _ client: UnsafePointer<graft_tiff_client>, _ request: DecodeRequest
    ) -> ImageError {
        let reason = String(cString: graft_tiff_error(client))
        let isShort = [
            "ead error", "ot enough data", "nexpected EOF", "read past end", "Cannot read",
        ]
        .contains { reason.contains($0) }
        if isShort { return request.truncated }
        return request.malformed(reason.isEmpty ? "libtiff does not say why" : reason)
    }
}

/// Who reads the file that libtiff's calls are of.
private func owner(of user: UnsafeMutableRawPointer?) -> ByteReader? {
    let client = user?.assumingMemoryBound(to: graft_tiff_client.self)
    return (client?.pointee.reader).map {
        Unmanaged<ByteReader>.fromOpaque($0).takeUnretainedValue()
    }
}

/// An open TIFF, whose first directory is decoded.
private struct TIFFImage {
    /// The bytes that a strip, a tile or a band of tiles may take.
    private static let largestPiece = 512 << 20

    let tiff: graft_tiff
    let file: UnsafeMutableRawPointer
    let client: UnsafePointer<graft_tiff_client>
    let request: DecodeRequest
    private let width: Int
    private let height: Int
    private let layout: TIFFLayout
    private let isPlanar: Bool
    private let isTiled: Bool
    /// Whether libtiff converts to RGBA, as for YCbCr that is not JPEG.
    private let isConverted: Bool
    private let orientation: Int
    /// The fraction of its size that it is kept at.
    private let factor: Int

    init(
        tiff: graft_tiff, file: UnsafeMutableRawPointer, client: UnsafePointer<graft_tiff_client>,
        request: DecodeRequest
    ) throws(ImageError) {
        var tiff = tiff
        self.tiff = tiff
        self.file = file
        self.client = client
        self.request = request
        func u16(_ tag: UInt32, _ other: UInt32) -> Int {
            Int(graft_tiff_u16(&tiff, file, tag, other))
        }
        width = Int(graft_tiff_u32(&tiff, file, 256, 0))
        height = Int(graft_tiff_u32(&tiff, file, 257, 0))
        factor = RowReducer.factor(
            width: width, height: height, covering: request.covering, limits: request.limits)
        try request.check(width: width, height: height, factor: factor)
        let compression = u16(259, 1)
        guard tiff.is_configured(UInt16(truncatingIfNeeded: compression)) != 0 else {
            throw request.unsupported("compression \(compression)")
        }
        var photometric = u16(262, compression == 6 ? 6 : 0)
        if compression == 6 { photometric = 6 }
        orientation = u16(274, 1)
        isPlanar = u16(284, 1) == 2
        isTiled = tiff.is_tiled(file) != 0
        if compression == 7, photometric == 6 { graft_tiff_ask_rgb(&tiff, file) }
        isConverted = photometric == 6 && compression != 7
        if isConverted { graft_tiff_ask_upright(&tiff, file) }
        let bits = u16(258, 1)
        layout = try TIFFLayout(
            samples: u16(277, photometric == 6 ? 3 : 1), bits: bits, format: u16(339, 1),
            photometric: photometric, extra: Int(graft_tiff_extra(&tiff, file)),
            palette: photometric == 3 ? Self.palette(&tiff, file, bits) : [], request: request)
    }

    private static func palette(
        _ tiff: inout graft_tiff, _ file: UnsafeMutableRawPointer, _ bits: Int
    ) -> [Color] {
        var (red, green, blue):
            (
                UnsafePointer<UInt16>?, UnsafePointer<UInt16>?, UnsafePointer<UInt16>?
            )
        guard graft_tiff_palette(&tiff, file, &red, &green, &blue) != 0, let red, let green,
            let blue, bits <= 8
        else { return [] }
        return (0..<(1 << bits)).map { index in
            Color(UInt8(red[index] >> 8), UInt8(green[index] >> 8), UInt8(blue[index] >> 8))
        }
    }

    func image() throws(ImageError) -> Image {
        var reducer = RowReducer(width: width, height: height, factor: factor)
        if isConverted {
            try isTiled ? readConvertedTiles(&reducer) : readConvertedStrips(&reducer)
        } else if isTiled {
            try readTiles(&reducer)
        } else if isPlanar, layout.samples > 1 {
            try readPlanes(&reducer)
        } else {
            try readRows(&reducer)
        }
        guard let image = reducer.image() else { throw request.truncated }
        return request.orient ? image.oriented(orientation) : image
    }

    private var failure: ImageError { TIFFDecoder.failure(client, request) }

    /// A buffer's size, from what libtiff says and what will be read of it.
    private func size(_ told: Int, atLeast needed: Int) throws(ImageError) -> Int {
        guard told >= needed else {
            throw request.malformed("its pixels take \(told) bytes, expected \(needed)")
        }
        guard told <= Self.largestPiece else {
            throw request.unsupported("strips or tiles of \(told) bytes")
        }
        return told
    }

    private func readRows(_ reducer: inout RowReducer) throws(ImageError) {
        let count = try size(tiff.row_size(file), atLeast: layout.rowBytes(width, planes: 1))
        var packed = [UInt8](repeating: 0, count: count)
        var pixels = [UInt8](repeating: 0, count: width * 3)
        for y in 0..<height {
            let isRead = packed.withUnsafeMutableBytes {
                tiff.read_row(file, $0.baseAddress, UInt32(y), 0) == 1
            }
            guard isRead else { throw failure }
            layout.unpack([packed], at: 0, width: width, into: &pixels, at: 0)
            pixels.withUnsafeBufferPointer { reducer.add(row: $0) }
        }
    }

    /// Strips of one sample each.
    private func readPlanes(_ reducer: inout RowReducer) throws(ImageError) {
        let perStrip = max(1, min(rows(tag: 278), height))
        let rowBytes = layout.rowBytes(width, planes: layout.samples)
        let count = try size(tiff.strip_size(file), atLeast: rowBytes * perStrip)
        guard count <= Self.largestPiece / layout.used else {
            throw request.unsupported("strips of \(count) bytes per sample")
        }
        var planes = [[UInt8]](
            repeating: [UInt8](repeating: 0, count: count), count: layout.used)
        var pixels = [UInt8](repeating: 0, count: width * 3)
        for top in stride(from: 0, to: height, by: perStrip) {
            for sample in planes.indices {
                let strip = tiff.strip(file, UInt32(top), UInt16(sample))
                let isRead = planes[sample].withUnsafeMutableBytes {
                    tiff.read_strip(file, strip, $0.baseAddress, $0.count) >= 0
                }
                guard isRead else { throw failure }
            }
            for y in 0..<min(perStrip, height - top) {
                layout.unpack(planes, at: y * rowBytes, width: width, into: &pixels, at: 0)
                pixels.withUnsafeBufferPointer { reducer.add(row: $0) }
            }
        }
    }

    private func readTiles(_ reducer: inout RowReducer) throws(ImageError) {
        let (tileWidth, tileHeight) = try tileSize()
        let isApart = isPlanar && layout.samples > 1
        let rowBytes = layout.rowBytes(tileWidth, planes: isApart ? layout.samples : 1)
        let count = try size(tiff.tile_size(file), atLeast: rowBytes * tileHeight)
        let bandHeight = min(tileHeight, height)
        guard bandHeight * width * 3 <= Self.largestPiece else {
            throw request.unsupported("rows of tiles of \(width) × \(tileHeight) pixels")
        }
        let planeCount = isApart ? layout.used : 1
        guard count <= Self.largestPiece / planeCount else {
            throw request.unsupported("tiles of \(count) bytes per sample")
        }
        var planes = [[UInt8]](repeating: [UInt8](repeating: 0, count: count), count: planeCount)
        var band = [UInt8](repeating: 0, count: bandHeight * width * 3)
        for top in stride(from: 0, to: height, by: tileHeight) {
            let rowCount = min(tileHeight, height - top)
            for left in stride(from: 0, to: width, by: tileWidth) {
                for sample in planes.indices {
                    let tile = tiff.tile(file, UInt32(left), UInt32(top), 0, UInt16(sample))
                    let isRead = planes[sample].withUnsafeMutableBytes {
                        tiff.read_tile(file, tile, $0.baseAddress, $0.count) >= 0
                    }
                    guard isRead else { throw failure }
                }
                for y in 0..<rowCount {
                    layout.unpack(
                        planes, at: y * rowBytes, width: min(tileWidth, width - left), into: &band,
                        at: (y * width + left) * 3)
                }
            }
            add(band, rowCount, to: &reducer)
        }
    }

    private func readConvertedStrips(_ reducer: inout RowReducer) throws(ImageError) {
        let perStrip = max(1, min(rows(tag: 278), height))
        guard perStrip * width * 4 <= Self.largestPiece else {
            throw request.unsupported("strips of \(width) × \(perStrip) pixels")
        }
        var raster = [UInt32](repeating: 0, count: perStrip * width)
        var row = [UInt8](repeating: 0, count: width * 3)
        for top in stride(from: 0, to: height, by: perStrip) {
            guard tiff.read_rgba_strip(file, UInt32(top), &raster) == 1 else { throw failure }
            let rowCount = min(perStrip, height - top)
            for y in 0..<rowCount {
                // The lowest row first.
                unpack(raster, at: (rowCount - 1 - y) * width, width: width, into: &row, at: 0)
                row.withUnsafeBufferPointer { reducer.add(row: $0) }
            }
        }
    }

    private func readConvertedTiles(_ reducer: inout RowReducer) throws(ImageError) {
        let (tileWidth, tileHeight) = try tileSize()
        let bandHeight = min(tileHeight, height)
        guard tileWidth * tileHeight <= Self.largestPiece / 4,
            bandHeight * width * 3 <= Self.largestPiece
        else { throw request.unsupported("tiles of \(tileWidth) × \(tileHeight) pixels") }
        var raster = [UInt32](repeating: 0, count: tileWidth * tileHeight)
        var band = [UInt8](repeating: 0, count: bandHeight * width * 3)
        for top in stride(from: 0, to: height, by: tileHeight) {
            let rowCount = min(tileHeight, height - top)
            for left in stride(from: 0, to: width, by: tileWidth) {
                guard tiff.read_rgba_tile(file, UInt32(left), UInt32(top), &raster) == 1 else {
                    throw failure
                }
                for y in 0..<rowCount {
                    unpack(
                        raster, at: (tileHeight - 1 - y) * tileWidth,
                        width: min(tileWidth, width - left), into: &band,
                        at: (y * width + left) * 3)
                }
            }
            add(band, rowCount, to: &reducer)
        }
    }

    private func add(_ band: [UInt8], _ rowCount: Int, to reducer: inout RowReducer) {
        band.withUnsafeBufferPointer { band in
            for y in 0..<rowCount {
                reducer.add(
                    row: UnsafeBufferPointer(
                        rebasing: band[(y * width * 3)..<((y + 1) * width * 3)]))
            }
        }
    }

    private func unpack(
        _ raster: [UInt32], at start: Int, width: Int, into target: inout [UInt8], at place: Int
    ) {
        for x in 0..<width {
            let pixel = raster[start + x]
            target[place + x * 3] = UInt8(truncatingIfNeeded: pixel)
            target[place + x * 3 + 1] = UInt8(truncatingIfNeeded: pixel >> 8)
            target[place + x * 3 + 2] = UInt8(truncatingIfNeeded: pixel >> 16)
        }
    }

    /// The size of a tile, small enough that no product of it overflows.
    private func tileSize() throws(ImageError) -> (width: Int, height: Int) {
        let size = (width: rows(tag: 322), height: rows(tag: 323))
        guard (1...1_000_000).contains(size.width), (1...1_000_000).contains(size.height) else {
            throw request.malformed("its tiles are \(size.width) × \(size.height)")
        }
        return size
    }

    /// A number of rows or columns: of a strip (all rows, if the tag is not there) or of a tile.
    private func rows(tag: UInt32) -> Int {
        var tiff = tiff
        return Int(graft_tiff_u32(&tiff, file, tag, tag == 278 ? UInt32.max : 0))
    }
}
