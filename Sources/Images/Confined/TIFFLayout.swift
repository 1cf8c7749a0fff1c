// How the samples of a TIFF are packed and what colours they mean, and rows of them to RGB.

/// The samples of a pixel: their number, depth and meaning.
struct TIFFLayout {
    /// Samples per pixel, those that are not used included.
    let samples: Int
    /// Samples that decide the colour: alpha counts only where it was multiplied in.
    let used: Int
    private let bits: Int
    private let photometric: Int
    private let isPremultiplied: Bool
    private let palette: [Color]

    /// - Parameters:
    ///   - format: 1 for numbers without sign, 2 with, 3 floating-point.
    ///   - photometric: What the samples mean, as TIFF numbers it.
    ///   - extra: What the first extra sample is, see `graft_tiff_extra`.
    init(
        samples: Int, bits: Int, format: Int, photometric: Int, extra: Int, palette: [Color],
        request: DecodeRequest
    ) throws(ImageError) {
        if format == 3 || format == 6 {
            throw request.unsupported("\(bits)-bit floating-point samples")
        }
        if format == 2 { throw request.unsupported("samples with a sign") }
        let needed: Int
        var depths = [8, 16]
        switch photometric {
        case 0, 1:
            needed = 1
            depths = samples == 1 ? [1, 2, 4, 8, 16] : depths
        case 2: needed = 3
        case 3:
            needed = 1
            depths = samples == 1 ? [1, 2, 4, 8] : [8]
            guard !palette.isEmpty else { throw request.malformed("it has no palette") }
        case 5: needed = 4
        case 6: needed = samples == 1 ? 1 : 3
        // libtiff's colours for it are beyond what is called equal, up to 89 of 255 from Pillow's.
        case 8: throw request.unsupported("CIELab colour")
        case 32_803, 34_892:
            throw request.unsupported("the unprocessed data of a camera's sensor")
        default: throw request.unsupported("photometric interpretation \(photometric)")
        }
        guard depths.contains(bits) else { throw request.unsupported("\(bits)-bit samples") }
        guard samples >= needed, samples <= 64 else {
            throw request.malformed("expected \(needed) samples per pixel, found \(samples)")
        }
        isPremultiplied = extra == 1 && samples > needed && photometric <= 2
        used = needed + (isPremultiplied ? 1 : 0)
        self.samples = samples
        self.bits = bits
        self.photometric = photometric
        self.palette = palette
    }

    /// The bytes of a row of `width` pixels, whose samples lie together or in this many planes.
    func rowBytes(_ width: Int, planes: Int) -> Int {
        (width * (samples / planes) * bits + 7) / 8
    }

    /// Writes the colours of `width` pixels. One array of bytes holds all samples of a pixel
    /// together; several hold one sample each.
    func unpack(
        _ planes: [[UInt8]], at start: Int, width: Int, into target: inout [UInt8], at place: Int
    ) {
        let isApart = planes.count > 1
        let step = isApart ? 1 : samples
        target.withUnsafeMutableBufferPointer { target in
            guard let out = target.baseAddress?.advanced(by: place) else { return }
            withRows(planes) { rows in
                for x in 0..<width {
                    let sample = { (index: Int) -> UInt8 in
                        value(rows[isApart ? index : 0], start, x * step + (isApart ? 0 : index))
                    }
                    put(sample, into: out + x * 3)
                }
            }
        }
    }

    private func withRows(_ planes: [[UInt8]], _ body: ([UnsafeRawBufferPointer]) -> Void) {
        func lend(_ index: Int, _ rows: [UnsafeRawBufferPointer]) {
            guard index < planes.count else { return body(rows) }
            planes[index].withUnsafeBytes { lend(index + 1, rows + [$0]) }
        }
        lend(0, [])
    }

    /// The sample `index` of a row in 8 bits; of a palette, as it is.
    @inline(__always)
    private func value(_ row: UnsafeRawBufferPointer, _ start: Int, _ index: Int) -> UInt8 {
        switch bits {
        case 8: return row[start + index]
        case 16:
            let sample = row.loadUnaligned(fromByteOffset: start + index * 2, as: UInt16.self)
            return UInt8(sample >> 8)
        default:
            let at = index * bits
            let largest = 1 << bits - 1
            let sample = Int(row[start + at / 8]) >> (8 - bits - at % 8) & largest
            return UInt8(photometric == 3 ? sample : sample * 255 / largest)
        }
    }

    @inline(__always)
    private func put(_ sample: (Int) -> UInt8, into out: UnsafeMutablePointer<UInt8>) {
        switch photometric {
        case 0, 1:
            var grey = photometric == 0 ? 255 - sample(0) : sample(0)
            if isPremultiplied { grey = divided(grey, by: sample(1)) }
            (out[0], out[1], out[2]) = (grey, grey, grey)
        case 3:
            let index = Int(sample(0))
            let color = index < palette.count ? palette[index] : .black
            (out[0], out[1], out[2]) = (color.red, color.green, color.blue)
        case 5:
            let light = 255 - sample(3)
            out[0] = JPEGDecoder.dimmed(light, by: sample(0))
            out[1] = JPEGDecoder.dimmed(light, by: sample(1))
            out[2] = JPEGDecoder.dimmed(light, by: sample(2))
        default:
            if samples == 1 {
                let grey = sample(0)
                (out[0], out[1], out[2]) = (grey, grey, grey)
                return
            }
            (out[0], out[1], out[2]) = (sample(0), sample(1), sample(2))
            guard isPremultiplied else { return }
            let alpha = sample(3)
            for part in 0..<3 { out[part] = divided(out[part], by: alpha) }
        }
    }

    /// A colour that was multiplied by alpha, as it was before; Pillow's arithmetic.
    private func divided(_ value: UInt8, by alpha: UInt8) -> UInt8 {
        if alpha == 0 { return 0 }
        return alpha == 255 ? value : UInt8(min(Int(value) * 255 / Int(alpha), 255))
    }
}
