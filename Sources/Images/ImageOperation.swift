// The operations that RandAugment and TrivialAugment draw from, as Pillow and torchvision define them.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// One change of a picture's colours or place, of a given amount.
public enum ImageOperation: String, Codable, Sendable, Hashable, CaseIterable {
    /// A blend with black: 0 is black, 1 the picture.
    case brightness
    /// A blend with the mean grey.
    case contrast
    /// A blend with the grey picture.
    case saturation
    /// A blend with the smoothed picture: above 1 sharpens.
    case sharpness
    /// Keeps this many of the 8 bits.
    case posterize
    /// Inverts values from this threshold on.
    case solarize
    /// Stretches each channel to 0…255.
    case autocontrast
    /// Spreads the histogram of each channel.
    case equalize
    /// Gaussian blur of this deviation.
    case blur
    /// Turns by degrees, counter-clockwise.
    case rotate
    /// Slants horizontally.
    case shearX = "shear-x"
    /// Slants vertically.
    case shearY = "shear-y"
    /// Moves right by pixels.
    case translateX = "translate-x"
    /// Moves down by pixels.
    case translateY = "translate-y"
    /// Nothing.
    case identity

    /// What the policies draw from: torchvision's fourteen.
    static let policies: [ImageOperation] = [
        .identity, .shearX, .shearY, .translateX, .translateY, .rotate, .brightness, .saturation,
        .contrast, .sharpness, .posterize, .solarize, .autocontrast, .equalize,
    ]

    /// The amount for a strength of 0…1: torchvision's ranges for RandAugment, or those of the wide
    /// space of TrivialAugment. `negative` turns signed amounts around.
    func magnitude(_ strength: Double, _ negative: Bool, wide: Bool) -> Double {
        let sign = negative ? -1.0 : 1
        return switch self {
        case .identity, .autocontrast, .equalize, .blur: 0
        case .shearX, .shearY: sign * strength * (wide ? 0.99 : 0.3)
        // As shares of 224, the size that the amounts were chosen for.
        case .translateX, .translateY: sign * strength * (wide ? 32 : 150.0 / 331 * 224)
        case .rotate: sign * strength * (wide ? 135 : 30)
        case .brightness, .saturation, .contrast, .sharpness:
            1 + sign * strength * (wide ? 0.99 : 0.9)
        case .posterize: 8 - (strength * (wide ? 6 : 4)).rounded()
        case .solarize: 255 * (1 - strength)
        }
    }

    /// The picture changed by this amount.
    package func apply(_ image: Image, _ amount: Double) -> Image {
        switch self {
        case .identity: return image
        case .brightness: return image.blended(amount) { _ in 0 }
        case .contrast:
            let mean = image.meanGrey
            return image.blended(amount) { _ in mean }
        case .saturation:
            let grey = image.greys
            return image.blended(amount) { Float(grey[$0 / 3]) }
        case .sharpness:
            let smooth = image.smoothed()
            return image.blended(amount) { Float(smooth.pixels[$0]) }
        case .posterize:
            let bits = min(max(Int(amount), 1), 8)
            let mask = UInt8(truncatingIfNeeded: 0xFF << (8 - bits))
            return image.recoloured { $0 & mask }
        case .solarize: return image.recoloured { Double($0) >= amount ? 255 - $0 : $0 }
        case .autocontrast: return image.withTables { $0.stretched }
        case .equalize: return image.withTables { $0.equalized }
        case .blur: return image.blurred(deviation: amount)
        case .rotate, .shearX, .shearY, .translateX, .translateY:
            return move(amount, width: image.width, height: image.height).map(image.mapped) ?? image
        }
    }

    /// Where the pixels of a picture of this size come from; nil if the operation moves none.
    func move(_ amount: Double, width: Int, height: Int) -> AffineMap? {
        let (w, h) = (Double(width), Double(height))
        var map = AffineMap.identity
        switch self {
        case .rotate:
            return .around(x: w / 2, y: h / 2, degrees: amount, scale: 1, moved: (0, 0))
        case .shearX: (map.b, map.x) = (amount, -amount * h / 2)
        case .shearY: (map.c, map.y) = (amount, -amount * w / 2)
        case .translateX: map.x = -amount
        case .translateY: map.y = -amount
        default: return nil
        }
        return map
    }
}

/// How often each of the 256 values occurs in a channel.
private struct Histogram {
    var counts = [Int](repeating: 0, count: 256)

    /// The least and the largest value become 0 and 255 (Pillow's `autocontrast`).
    var stretched: [UInt8] {
        guard let low = counts.firstIndex(where: { $0 > 0 }),
            let high = counts.lastIndex(where: { $0 > 0 }), high > low
        else { return (0...255).map { $0 } }
        let scale = 255 / Double(high - low)
        let offset = -Double(low) * scale
        return (0..<256).map { UInt8(min(max(Double($0) * scale + offset, 0), 255)) }
    }

    /// Equal shares for all values (Pillow's `equalize`).
    var equalized: [UInt8] {
        let used = counts.filter { $0 > 0 }
        guard used.count > 1, let last = used.last else { return (0...255).map { $0 } }
        let step = (used.reduce(0, +) - last) / 255
        guard step > 0 else { return (0...255).map { $0 } }
        var sum = step / 2
        return counts.map { count in
            defer { sum += count }
            return UInt8(min(sum / step, 255))
        }
    }
}

extension Image {
    /// ITU-R 601's luma, in Pillow's integers.
    fileprivate var greys: [UInt8] {
        (0..<(width * height)).map { at in
            let (r, g, b) = (
                UInt32(pixels[at * 3]), UInt32(pixels[at * 3 + 1]), UInt32(pixels[at * 3 + 2])
            )
            return UInt8(truncatingIfNeeded: (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16)
        }
    }

    fileprivate var meanGrey: Float {
        let sum = greys.reduce(0) { $0 + Int($1) }
        return Float(Int(Double(sum) / Double(width * height) + 0.5))
    }

    /// `other + (self − other) · factor`, cut to 0…255 as Pillow does.
    fileprivate func blended(_ factor: Double, _ other: (Int) -> Float) -> Image {
        var result = self
        let factor = Float(factor)
        for at in pixels.indices {
            let ground = other(at)
            let value = ground + (Float(pixels[at]) - ground) * factor
            result.pixels[at] = UInt8(min(max(value, 0), 255))
        }
        return result
    }

    fileprivate func recoloured(_ change: (UInt8) -> UInt8) -> Image {
        let table = (0...255).map { change(UInt8($0)) }
        var result = self
        for at in pixels.indices { result.pixels[at] = table[Int(pixels[at])] }
        return result
    }

    fileprivate func withTables(_ table: (Histogram) -> [UInt8]) -> Image {
        var histograms = [Histogram](repeating: Histogram(), count: 3)
        for at in pixels.indices { histograms[at % 3].counts[Int(pixels[at])] += 1 }
        let tables = histograms.map(table)
        var result = self
        for at in pixels.indices { result.pixels[at] = tables[at % 3][Int(pixels[at])] }
        return result
    }

    /// Pillow's `SMOOTH`: 1 1 1 / 1 5 1 / 1 1 1 over 13, the border as it is.
    fileprivate func smoothed() -> Image {
        var result = self
        guard width > 2, height > 2 else { return self }
        for y in 1..<(height - 1) {
            for x in 1..<(width - 1) {
                for channel in 0..<3 {
                    let at = (y * width + x) * 3 + channel
                    var sum: Float = 4 * Float(pixels[at])
                    for dy in -1...1 {
                        for dx in -1...1 {
                            sum += Float(pixels[at + (dy * width + dx) * 3])
                        }
                    }
                    result.pixels[at] = UInt8(min(max(sum / 13 + 0.5, 0), 255))
                }
            }
        }
        return result
    }

    /// A Gaussian of this deviation, rows and then columns, the border repeated.
    package func blurred(deviation: Double) -> Image {
        guard deviation > 0.05 else { return self }
        let radius = min(max(Int((3 * deviation).rounded(.up)), 1), 64)
        var weights = (-radius...radius).map { at in
            let x = Double(at) / deviation
            return Float(exp(-0.5 * x * x))
        }
        let total = weights.reduce(0, +)
        weights = weights.map { $0 / total }
        func pass(_ source: [UInt8], _ count: Int, _ along: Int, _ lines: Int, _ step: Int)
            -> [UInt8]
        {
            var target = source
            for line in 0..<lines {
                for at in 0..<count {
                    for channel in 0..<3 {
                        var sum: Float = 0
                        for (index, weight) in weights.enumerated() {
                            let place = min(max(at + index - radius, 0), count - 1)
                            sum += weight * Float(source[line * step + place * along + channel])
                        }
                        target[line * step + at * along + channel] = UInt8(
                            min(max(sum.rounded(), 0), 255))
                    }
                }
            }
            return target
        }
        var result = self
        result.pixels = pass(pixels, width, 3, height, width * 3)
        result.pixels = pass(result.pixels, height, width * 3, width, 3)
        return result
    }
}
