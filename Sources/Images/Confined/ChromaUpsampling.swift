// Planes of brightness and of halved colour to RGB, as libyuv does it: bilinear, in fixed point.

/// How brightness and two differences of colour become red, green and blue, in 64ths.
struct ColorMatrix {
    /// The factor of the brightness, of 0x0101 · y in 65,536ths, and what is added.
    let luma: Int32
    let offset: Int32
    let blueFromU: Int32
    let greenFromU: Int32
    let greenFromV: Int32
    let redFromV: Int32

    /// The matrix of H.273's number: 1 BT.709, 9 and 10 BT.2020, any other BT.601. These are
    /// libyuv's constants, for what Pillow shows goes through them.
    init(matrix: Int, isFullRange: Bool) {
        let parts: (Int32, Int32, Int32, Int32)
        switch (matrix, isFullRange) {
        case (1, true): parts = (119, 12, 30, 101)
        case (1, false): parts = (128, 14, 34, 115)
        case (9, true), (10, true): parts = (120, 11, 37, 94)
        case (9, false), (10, false): parts = (128, 12, 42, 107)
        case (_, true): parts = (113, 22, 46, 90)
        case (_, false): parts = (128, 25, 52, 102)
        }
        (blueFromU, greenFromU, greenFromV, redFromV) = parts
        luma = isFullRange ? 16_320 : matrix == 9 || matrix == 10 ? 19_003 : 18_997
        offset = isFullRange ? 32 : -1_160
    }

    /// Writes the colour of one pixel.
    @inline(__always)
    func put(_ y: Int32, u: Int32, v: Int32, into target: UnsafeMutablePointer<UInt8>) {
        let light = ((y * 0x0101 * luma) >> 16) + offset
        let (u, v) = (u - 128, v - 128)
        target[0] = UInt8(clamping: (light + v * redFromV) >> 6)
        target[1] = UInt8(clamping: (light - u * greenFromU - v * greenFromV) >> 6)
        target[2] = UInt8(clamping: (light + u * blueFromU) >> 6)
    }
}

/// A plane of samples: where its rows are, and its size.
struct Plane {
    let bytes: UnsafePointer<UInt8>
    let stride: Int
    let width: Int
    let height: Int

    func row(_ y: Int) -> UnsafePointer<UInt8> { bytes + min(max(y, 0), height - 1) * stride }
}

/// Planes of a picture whose colour has half the columns, and half the rows if `halvesRows`.
struct ChromaUpsampling {
    let luma: Plane
    let u: Plane
    let v: Plane
    let halvesRows: Bool
    let matrix: ColorMatrix

    /// Whether the colour planes have the size that the brightness asks for.
    var isSound: Bool {
        [u, v].allSatisfy {
            $0.width == (luma.width + 1) / 2
                && $0.height == (halvesRows ? (luma.height + 1) / 2 : luma.height)
        }
    }

    /// The pixels; each sample of colour lies in the middle of those that share it.
    func pixels() -> [UInt8] {
        let (width, height) = (luma.width, luma.height)
        let count = width * height * 3
        var rows = (
            [Int32](repeating: 0, count: u.width), [Int32](repeating: 0, count: u.width)
        )
        return [UInt8](unsafeUninitializedCapacity: count) { target, initialized in
            guard var out = target.baseAddress else { return }
            for y in 0..<height {
                mix(u, at: y, into: &rows.0)
                mix(v, at: y, into: &rows.1)
                let light = luma.row(y)
                // Rows are summed with weights of 4 in all if they are halved, columns with 4.
                let shift: Int32 = halvesRows ? 4 : 2
                let half: Int32 = 1 << (shift - 1)
                for x in 0..<width {
                    let near = x / 2
                    let far = x % 2 == 0 ? max(near - 1, 0) : min(near + 1, u.width - 1)
                    let a = (rows.0[near] * 3 + rows.0[far] + half) >> shift
                    let b = (rows.1[near] * 3 + rows.1[far] + half) >> shift
                    matrix.put(Int32(light[x]), u: a, v: b, into: out)
                    out += 3
                }
            }
            initialized = count
        }
    }

    private func mix(_ plane: Plane, at y: Int, into sums: inout [Int32]) {
        guard halvesRows else {
            let row = plane.row(y)
            for x in sums.indices { sums[x] = Int32(row[x]) }
            return
        }
        let near = plane.row(y / 2)
        let far = plane.row(y % 2 == 0 ? y / 2 - 1 : y / 2 + 1)
        for x in sums.indices { sums[x] = Int32(near[x]) * 3 + Int32(far[x]) }
    }
}
