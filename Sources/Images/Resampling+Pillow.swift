// Pillow's 8-bit resampling, bit for bit: two passes of fixed-point sums, rounded to 8 bits after each.
// The passes go along x and then y, as in every Pillow before 13, with which today's weights were trained.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A convolution kernel of Pillow's `Resample.c`: its reach and its weight at a distance.
enum PillowFilter {
    case triangle
    case cubic
    case lanczos

    var support: Double {
        switch self {
        case .triangle: 1
        case .cubic: 2
        case .lanczos: 3
        }
    }

    func weight(_ position: Double) -> Double {
        let distance = abs(position)
        switch self {
        case .triangle: return distance < 1 ? 1 - distance : 0
        case .cubic:
            let a = -0.5
            if distance < 1 { return ((a + 2) * distance - (a + 3)) * distance * distance + 1 }
            if distance < 2 {
                return (((distance - 5) * distance + 8) * distance - 4) * a
            }
            return 0
        case .lanczos:
            return position >= -3 && position < 3 ? sinc(position) * sinc(position / 3) : 0
        }
    }

    private func sinc(_ x: Double) -> Double {
        x == 0 ? 1 : sin(x * .pi) / (x * .pi)
    }
}

/// One axis of a resize: the pixels that there are, the part of them that is resized, which is
/// Pillow's `box`, and the size that this gets.
struct ResizedAxis {
    var size: Int
    var low: Double
    var high: Double
    var target: Int

    /// The source's length of a pixel of the target.
    var scale: Double { (high - low) / Double(target) }
    /// Whether every pixel stays as it is.
    var isKept: Bool { size == target && low == 0 && high == Double(size) }
}

extension Image {
    /// The columns of the extent, resized to `target`.
    func columns(to target: Int) -> ResizedAxis {
        ResizedAxis(size: width, low: extent.left, high: extent.right, target: target)
    }

    /// The rows of the extent, resized to `target`.
    func rows(to target: Int) -> ResizedAxis {
        ResizedAxis(size: height, low: extent.top, high: extent.bottom, target: target)
    }
}

/// The weights of one axis: for each target position, where they start and what they are.
private struct Taps {
    static let precision: Int32 = 22
    var starts: [Int] = []
    var counts: [Int] = []
    var weights: [Int32] = []
    /// Weights reserved for each position.
    var stride = 0

    init(_ filter: PillowFilter, along axis: ResizedAxis, keeping positions: Range<Int>) {
        let count = positions.count
        let scale = axis.scale
        let widening = max(scale, 1)
        let support = filter.support * widening
        stride = Int(support.rounded(.up)) * 2 + 1
        weights = [Int32](repeating: 0, count: stride * count)
        var exact = [Double](repeating: 0, count: stride)
        for position in 0..<count {
            let center = axis.low + (Double(positions.lowerBound + position) + 0.5) * scale
            let low = max(Int(center - support + 0.5), 0)
            let high = min(Int(center + support + 0.5), axis.size)
            var sum = 0.0
            for tap in 0..<(high - low) {
                exact[tap] = filter.weight((Double(tap + low) - center + 0.5) * (1 / widening))
                sum += exact[tap]
            }
            for tap in 0..<(high - low) {
                let share = sum == 0 ? exact[tap] : exact[tap] / sum
                let fixed = share * Double(1 << Taps.precision)
                weights[position * stride + tap] = Int32(fixed < 0 ? fixed - 0.5 : fixed + 0.5)
            }
            starts.append(low)
            counts.append(high - low)
        }
    }
}

/// A fixed-point sum as 8 bits.
@inline(__always)
private func clip(_ sum: Int32) -> UInt8 {
    UInt8(truncatingIfNeeded: min(max(sum >> Taps.precision, 0), 255))
}

private let half: Int32 = 1 << (Taps.precision - 1)

extension Image {
    /// Resizes with a widened filter and keeps `region`.
    func pillow(_ newWidth: Int, _ newHeight: Int, _ region: Region, _ filter: PillowFilter)
        -> Image
    {
        let axis = rows(to: newHeight)
        guard !axis.isKept else {
            let range = region.y..<(region.y + region.height)
            return Image(
                sized: region.width, region.height, horizontal(newWidth, region, range, filter))
        }
        let taps = Taps(
            filter, along: axis, keeping: region.y..<(region.y + region.height))
        // Only the rows that the second pass will read.
        let first = taps.starts.first ?? 0
        let last = (taps.starts.last ?? 0) + (taps.counts.last ?? 0)
        let wide = horizontal(newWidth, region, first..<last, filter)
        return Image(
            sized: region.width, region.height, vertical(wide, firstRow: first, region, taps))
    }

    /// The columns of `region` of the rows `range`, resampled along x.
    private func horizontal(
        _ newWidth: Int, _ region: Region, _ range: Range<Int>, _ filter: PillowFilter
    ) -> [UInt8] {
        let count = range.count * region.width * 3
        let axis = columns(to: newWidth)
        let taps =
            axis.isKept
            ? nil
            : Taps(filter, along: axis, keeping: region.x..<(region.x + region.width))
        return pixels.withUnsafeBufferPointer { source in
            [UInt8](unsafeUninitializedCapacity: count) { target, initialized in
                initialized = count
                guard let taps else {
                    for (index, row) in range.enumerated() {
                        let from = (row * width + region.x) * 3
                        let to = index * region.width * 3
                        for at in 0..<(region.width * 3) { target[to + at] = source[from + at] }
                    }
                    return
                }
                taps.weights.withUnsafeBufferPointer { weights in
                    var at = 0
                    for row in range {
                        for column in 0..<region.width {
                            var from = (row * width + taps.starts[column]) * 3
                            let base = column &* taps.stride
                            var red = half
                            var green = half
                            var blue = half
                            for tap in base..<(base &+ taps.counts[column]) {
                                let weight = weights[tap]
                                red &+= Int32(source[from]) &* weight
                                green &+= Int32(source[from &+ 1]) &* weight
                                blue &+= Int32(source[from &+ 2]) &* weight
                                from &+= 3
                            }
                            target[at] = clip(red)
                            target[at &+ 1] = clip(green)
                            target[at &+ 2] = clip(blue)
                            at &+= 3
                        }
                    }
                }
            }
        }
    }

    /// The rows of `region`, resampled along y from `wide`, whose first row is `firstRow`.
    private func vertical(_ wide: [UInt8], firstRow: Int, _ region: Region, _ taps: Taps)
        -> [UInt8]
    {
        let line = region.width * 3
        let count = region.height * line
        var sums = [Int32](repeating: 0, count: line)
        return wide.withUnsafeBufferPointer { source in
            sums.withUnsafeMutableBufferPointer { sums in
                [UInt8](unsafeUninitializedCapacity: count) { target, initialized in
                    for row in 0..<region.height {
                        sums.update(repeating: half)
                        for tap in 0..<taps.counts[row] {
                            let weight = taps.weights[row * taps.stride + tap]
                            let from = (taps.starts[row] + tap - firstRow) * line
                            for at in 0..<line {
                                sums[at] &+= Int32(source[from &+ at]) &* weight
                            }
                        }
                        let to = row * line
                        for at in 0..<line { target[to &+ at] = clip(sums[at]) }
                    }
                    initialized = count
                }
            }
        }
    }

    /// Pillow's `NEAREST`, whose positions are summed rather than multiplied.
    func nearest(_ newWidth: Int, _ newHeight: Int, _ region: Region) -> Image {
        func positions(_ axis: ResizedAxis) -> [Int] {
            let step = axis.scale
            var position = axis.low + step * 0.5
            return (0..<axis.target).map { _ in
                defer { position += step }
                return min(Int(position), axis.size - 1)
            }
        }
        let columns = positions(columns(to: newWidth))[region.x..<(region.x + region.width)]
        let rows = positions(rows(to: newHeight))[region.y..<(region.y + region.height)]
        var result = [UInt8]()
        result.reserveCapacity(region.width * region.height * 3)
        pixels.withUnsafeBufferPointer { source in
            for row in rows {
                for column in columns {
                    let from = (row * width + column) * 3
                    result.append(source[from])
                    result.append(source[from + 1])
                    result.append(source[from + 2])
                }
            }
        }
        return Image(sized: region.width, region.height, result)
    }
}
