// What a JPEG's markers say before a pixel is decoded: its process, precision and the memory that it takes.

/// The frame of a JPEG: the coding process, and whether all coefficients have to be kept.
struct JPEGHeader {
    /// The number after `SOF`: 0 baseline, 2 progressive, 3 lossless, 9 arithmetic, 55 JPEG-LS.
    let process: Int
    /// Bits per sample.
    let precision: Int
    let width: Int
    let height: Int
    /// The samples of all components of the image.
    let sampleCount: Int
    /// Whether the image comes in several scans, so that its coefficients are all in memory.
    let hasManyScans: Bool

    /// The first frame; nil if the bytes have none.
    init?(_ bytes: UnsafeRawBufferPointer) {
        func u16(_ at: Int) -> Int? {
            guard at >= 0, at + 2 <= bytes.count else { return nil }
            return Int(bytes[at]) << 8 | Int(bytes[at + 1])
        }
        var frame: (process: Int, precision: Int, width: Int, height: Int, factors: [(Int, Int)])?
        var at = 2
        while let marker = u16(at), marker >> 8 == 0xFF {
            let kind = marker & 0xFF
            if kind == 0xFF {
                at += 1
                continue
            }
            if kind == 0x01 || (0xD0...0xD8).contains(kind) {
                at += 2
                continue
            }
            guard let length = u16(at + 2), length >= 2, kind != 0xD9 else { return nil }
            let isFrame = (0xC0...0xCF).contains(kind) && ![0xC4, 0xC8, 0xCC].contains(kind)
            if isFrame || kind == 0xF7, frame == nil {
                guard let height = u16(at + 5), let width = u16(at + 7), at + 10 <= bytes.count
                else { return nil }
                let count = Int(bytes[at + 9])
                guard at + 10 + count * 3 <= bytes.count else { return nil }
                let factors = (0..<count).map { index in
                    let factor = Int(bytes[at + 11 + index * 3])
                    return (max(1, factor >> 4), max(1, factor & 15))
                }
                frame = (kind - 0xC0, Int(bytes[at + 4]), width, height, factors)
            }
            if kind == 0xDA {
                guard let frame, at + 4 < bytes.count else { return nil }
                process = frame.process
                precision = frame.precision
                width = frame.width
                height = frame.height
                let columns = frame.factors.map(\.0).max() ?? 1
                let rows = frame.factors.map(\.1).max() ?? 1
                sampleCount = frame.factors.reduce(0) { sum, factor in
                    sum + frame.width * frame.height * factor.0 * factor.1 / (columns * rows)
                }
                let isSequential = [0, 1, 9].contains(frame.process)
                hasManyScans = !isSequential || Int(bytes[at + 4]) < frame.factors.count
                return
            }
            at += 2 + length
        }
        return nil
    }

    /// Whether libjpeg, given an end, warns where pixels are missing before it: of several scans each
    /// may end early, and arithmetic coding goes on with zeros.
    var canTellItsEnd: Bool { !hasManyScans && process < 9 }

    /// What TurboJPEG does not decode of it, in words; nil if it does.
    var unreadFeature: String? {
        switch process {
        case 3, 11: return "lossless compression"
        case 55: return "JPEG-LS compression"
        case 5, 6, 7, 13, 14, 15: return "hierarchical coding"
        default: return precision == 8 ? nil : "\(precision)-bit samples"
        }
    }
}
