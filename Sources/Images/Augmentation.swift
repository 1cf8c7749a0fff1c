// Random changes of a photo that keep what it shows: the same from the same random numbers.

/// What may be done to a photo before it is learned from.
///
/// All moves are one affine map, sampled once and bilinearly, so that nothing is blurred twice and
/// boxes and masks can follow; colours come after. Each draw is independent of the others.
public struct Augmentation: Codable, Sendable, Hashable {
    /// A list of ready-made operations to draw from.
    public enum Policy: String, Codable, Sendable, Hashable, CaseIterable {
        /// None.
        case none
        /// Two operations of magnitude 9 of 30 (arXiv:1909.13719).
        case randaugment
        /// One operation of any magnitude (arXiv:2103.10158, the wide space).
        case trivial
    }

    /// Mirror left and right, half the time.
    public var flip = false
    /// Mirror top and bottom, half the time.
    public var flipVertical = false
    /// Turn by up to so many degrees either way.
    public var rotation = 0.0
    /// Enlarge or shrink by up to this share: 0.2 is 0.8 to 1.2.
    public var zoom = 0.0
    /// Move by up to this share of the sides.
    public var translation = 0.0
    /// The smallest share of the area that a random crop keeps, its proportions 3:4 to 4:3; 1 crops
    /// nothing (torchvision's `RandomResizedCrop`).
    public var crop = 1.0
    /// Brightness times 1 ± this.
    public var brightness = 0.0
    /// Contrast times 1 ± this.
    public var contrast = 0.0
    /// Saturation times 1 ± this.
    public var saturation = 0.0
    /// Gaussian noise of up to this deviation, in 0…255.
    public var noise = 0.0
    /// Gaussian blur of up to this deviation, in pixels.
    public var blur = 0.0
    /// How often a rectangle of 2 to 33 % of the area is filled with grey (arXiv:1708.04896).
    public var erasing = 0.0
    /// A list of ready-made operations to draw from, after the others.
    public var policy = Policy.none

    /// Nothing.
    public init() {}

    /// Whether a photo comes back as it was.
    public var isNothing: Bool { self == Augmentation() }

    /// The map and the colours that one draw decided on.
    package struct Draw: Sendable {
        /// Where each pixel of the result comes from.
        package var map: AffineMap
        fileprivate var colors: [(ImageOperation, Double)]
        fileprivate var noise: (deviation: Double, seed: UInt64)
        fileprivate var hole: (x: Range<Int>, y: Range<Int>)?
    }

    /// Draws what to do to a photo of this size.
    package func draw(
        width: Int, height: Int, using random: inout some RandomNumberGenerator
    ) -> Draw {
        func uniform(_ low: Double, _ high: Double) -> Double {
            low + (high - low) * Double(random.next() >> 11) * 0x1p-53
        }
        let (w, h) = (Double(width), Double(height))
        var map = AffineMap.identity
        if flip, uniform(0, 1) < 0.5 { map = map.after(.mirrored(width: w)) }
        if flipVertical, uniform(0, 1) < 0.5 { map = map.after(.flipped(height: h)) }
        if crop < 1 {
            let area = uniform(crop, 1)
            let aspect = uniform(0.75, 4.0 / 3)
            let cropWidth = min((area * aspect).squareRoot(), 1)
            let cropHeight = min((area / aspect).squareRoot(), 1)
            let left = uniform(0, 1 - cropWidth) * w
            let top = uniform(0, 1 - cropHeight) * h
            map = map.after(
                AffineMap(a: cropWidth, b: 0, x: left, c: 0, d: cropHeight, y: top))
        }
        if rotation > 0 || zoom > 0 || translation > 0 {
            let angle = uniform(-rotation, rotation)
            let scale = uniform(1 - zoom, 1 + zoom)
            let (dx, dy) = (
                uniform(-translation, translation) * w, uniform(-translation, translation) * h
            )
            map = map.after(
                .around(
                    x: w / 2, y: h / 2, degrees: angle, scale: max(scale, 0.05), moved: (dx, dy)))
        }
        var colors: [(ImageOperation, Double)] = []
        /// What a policy drew: a move joins the map, so that boxes and masks follow it.
        func add(_ kind: ImageOperation, _ amount: Double) {
            if let move = kind.move(amount, width: width, height: height) {
                map = map.after(move)
            } else {
                colors.append((kind, amount))
            }
        }
        for (operation, amount) in [
            (ImageOperation.brightness, brightness), (.contrast, contrast),
            (.saturation, saturation),
        ] where amount > 0 {
            colors.append((operation, max(0, 1 + uniform(-amount, amount))))
        }
        if blur > 0 { colors.append((.blur, uniform(0, blur))) }
        switch policy {
        case .none: break
        case .randaugment:
            for _ in 0..<2 {
                let kind = ImageOperation.policies[
                    Int(random.next(upperBound: UInt64(ImageOperation.policies.count)))]
                add(kind, kind.magnitude(9.0 / 30, uniform(0, 1) < 0.5, wide: false))
            }
        case .trivial:
            let kind = ImageOperation.policies[
                Int(random.next(upperBound: UInt64(ImageOperation.policies.count)))]
            let strength = Double(random.next(upperBound: 31)) / 30
            add(kind, kind.magnitude(strength, uniform(0, 1) < 0.5, wide: true))
        }
        let deviation = noise > 0 ? uniform(0, noise) : 0
        var hole: (x: Range<Int>, y: Range<Int>)?
        if erasing > 0, uniform(0, 1) < erasing {
            let area = uniform(0.02, 0.33) * w * h
            let aspect = uniform(0.3, 1 / 0.3)
            let (holeWidth, holeHeight) = (
                min(Int((area * aspect).squareRoot()), width),
                min(Int((area / aspect).squareRoot()), height)
            )
            let left = Int(uniform(0, Double(width - holeWidth)))
            let top = Int(uniform(0, Double(height - holeHeight)))
            hole = (left..<(left + holeWidth), top..<(top + holeHeight))
        }
        return Draw(
            map: map, colors: colors, noise: (deviation, random.next()), hole: hole)
    }

    /// The photo with one draw done to it, of the same size.
    package func apply(_ image: Image, using random: inout some RandomNumberGenerator) -> Image {
        let draw = draw(width: image.width, height: image.height, using: &random)
        return image.changed(by: draw)
    }
}

extension Image {
    /// This photo with a draw done to it.
    package func changed(by draw: Augmentation.Draw) -> Image {
        var image = draw.map == .identity ? self : mapped(draw.map)
        for (operation, amount) in draw.colors { image = operation.apply(image, amount) }
        if draw.noise.deviation > 0 {
            image.addNoise(deviation: draw.noise.deviation, seed: draw.noise.seed)
        }
        if let hole = draw.hole {
            for y in hole.y {
                for x in hole.x { image[x, y] = Color(124, 116, 104) }
            }
        }
        return image
    }

    /// Adds a normal number to every value, nearly: the sum of four uniform ones.
    private mutating func addNoise(deviation: Double, seed: UInt64) {
        var state = seed
        let scale = deviation * 3.0.squareRoot() / 0x1p16
        for at in pixels.indices {
            // SplitMix64: four 16-bit numbers a draw.
            state &+= 0x9E37_79B9_7F4A_7C15
            var z = state
            z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
            z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
            z ^= z >> 31
            let sum = (z & 0xFFFF) + (z >> 16 & 0xFFFF) + (z >> 32 & 0xFFFF) + (z >> 48)
            let value = Double(pixels[at]) + (Double(sum) - 131_070) * scale
            pixels[at] = UInt8(min(max(value.rounded(), 0), 255))
        }
    }
}

extension RandomNumberGenerator {
    /// A number below a bound.
    fileprivate mutating func next(upperBound: UInt64) -> UInt64 {
        next().multipliedFullWidth(by: upperBound).high
    }
}
