// Photos that need no camera: shapes drawn from a seed, for demos and tests without a network.

/// Pictures of simple shapes in random colours, places and sizes over noise. The same class,
/// seed and size give the same pixels on every machine.
public enum DrawnShapes: String, Sendable, CaseIterable {
    /// A filled disc.
    case circle
    /// A filled square, turned a little.
    case square
    /// A filled triangle.
    case triangle
    /// Parallel bars.
    case stripes
    /// A ring.
    case ring
    /// An upright cross.
    case cross

    /// A picture of this shape, `size` × `size`.
    package func image(seed: UInt64, size: Int = 96) -> Image {
        let kind = UInt64(DrawnShapes.allCases.firstIndex(of: self) ?? 0)
        var random = SplitMix64(state: seed &* 0x9E37_79B9_7F4A_7C15 &+ kind)
        let ground = random.color()
        var ink = random.color()
        // A shape that one can see.
        while ink.distance(to: ground) < 160 { ink = random.color() }
        let radius = Double(size) * random.uniform(0.2, 0.4)
        let margin = radius * 0.9
        let centerX = random.uniform(margin, Double(size) - margin)
        let centerY = random.uniform(margin, Double(size) - margin)
        let angle = random.uniform(-0.4, 0.4)
        // Rotation by a small angle, of which the series is exact enough and the same anywhere.
        let sine = angle - angle * angle * angle / 6
        let cosine = 1 - angle * angle / 2
        let noise = random.uniform(4, 24)
        var image = Image(filling: ground, size, size)
        for y in 0..<size {
            for x in 0..<size {
                let dx = (Double(x) + 0.5 - centerX) / radius
                let dy = (Double(y) + 0.5 - centerY) / radius
                let u = dx * cosine + dy * sine
                let v = dy * cosine - dx * sine
                let base = contains(u, v) ? ink : ground
                image[x, y] = base.shifted { random.uniform(-noise, noise) }
            }
        }
        return image
    }

    /// Whether a point is in the shape of radius 1 about the origin.
    private func contains(_ x: Double, _ y: Double) -> Bool {
        switch self {
        case .circle: x * x + y * y < 0.8
        case .square: max(abs(x), abs(y)) < 0.8
        case .triangle: y < 0.75 && y > -1 + 2 * abs(x)
        case .stripes: Int(((x + 20) * 3).rounded(.down)) % 2 == 0
        case .ring: x * x + y * y < 1 && x * x + y * y > 0.4
        case .cross: min(abs(x), abs(y)) < 0.25 && max(abs(x), abs(y)) < 1
        }
    }
}

/// Steele, Lea and Flood's generator, the same everywhere.
private struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func uniform(_ low: Double, _ high: Double) -> Double {
        low + (high - low) * Double(next() >> 11) / 9_007_199_254_740_992
    }

    mutating func color() -> Color {
        let bits = next()
        return Color(
            UInt8(truncatingIfNeeded: bits), UInt8(truncatingIfNeeded: bits >> 8),
            UInt8(truncatingIfNeeded: bits >> 16))
    }
}

extension Color {
    fileprivate func distance(to other: Color) -> Int {
        abs(Int(red) - Int(other.red)) + abs(Int(green) - Int(other.green))
            + abs(Int(blue) - Int(other.blue))
    }

    fileprivate func shifted(_ amount: () -> Double) -> Color {
        func part(_ value: UInt8) -> UInt8 {
            UInt8(min(max((Double(value) + amount()).rounded(), 0), 255))
        }
        return Color(part(red), part(green), part(blue))
    }
}
