// A picture in memory: 8-bit RGB, and the moves that only reorder its pixels.

/// A picture: 8-bit RGB, interleaved, top row first.
public struct Image: Sendable, Hashable {
    /// Pixels in a row.
    public let width: Int
    /// Rows.
    public let height: Int
    /// `width · height · 3` bytes: red, green, blue of the top left pixel first.
    public internal(set) var pixels: [UInt8]
    /// The part of the pixels that the image covers: all of them, but where it was decoded at a
    /// fraction of its size and its last column or row stands for a part of a pixel. Resizing reads it.
    package internal(set) var extent: Box

    /// An image of these pixels: `width · height · 3` bytes.
    ///
    /// - Throws: ``ImageError/invalidSize(width:height:byteCount:)`` if there are others, or a side is
    ///   less than 1.
    public init(width: Int, height: Int, pixels: [UInt8]) throws(ImageError) {
        guard Self.byteCount(width, height) == pixels.count else {
            throw .invalidSize(width: width, height: height, byteCount: pixels.count)
        }
        self.init(sized: width, height, pixels)
    }

    /// An image of one colour.
    ///
    /// - Throws: ``ImageError/invalidSize(width:height:byteCount:)`` if a side is less than 1 or
    ///   there are more pixels than memory can hold.
    public init(width: Int, height: Int, color: Color = .white) throws(ImageError) {
        guard let count = Self.byteCount(width, height), count <= 1 << 40 else {
            throw .invalidSize(width: width, height: height, byteCount: nil)
        }
        var pixels = [UInt8]()
        pixels.reserveCapacity(count)
        for _ in 0..<(count / 3) { pixels += [color.red, color.green, color.blue] }
        self.init(sized: width, height, pixels)
    }

    /// An image of pixels that are known to be `width · height · 3` bytes.
    package init(sized width: Int, _ height: Int, _ pixels: [UInt8]) {
        precondition(width > 0 && height > 0 && pixels.count == width * height * 3)
        self.width = width
        self.height = height
        self.pixels = pixels
        extent = Box(left: 0, top: 0, right: Double(width), bottom: Double(height))
    }

    /// An image of one colour, of a size that is known to be one.
    package init(filling color: Color, _ width: Int, _ height: Int) {
        var pixels = [UInt8]()
        pixels.reserveCapacity(width * height * 3)
        for _ in 0..<(width * height) { pixels += [color.red, color.green, color.blue] }
        self.init(sized: width, height, pixels)
    }

    /// The bytes of an image of this size; nil if there is none, or they cannot be counted.
    private static func byteCount(_ width: Int, _ height: Int) -> Int? {
        guard width > 0, height > 0 else { return nil }
        let (area, isTooMany) = width.multipliedReportingOverflow(by: height)
        let (count, overflows) = area.multipliedReportingOverflow(by: 3)
        return isTooMany || overflows ? nil : count
    }

    /// The colour of a pixel; `x` counts from the left, `y` from the top. Outside of the image it is
    /// black, and setting it does nothing.
    public subscript(x: Int, y: Int) -> Color {
        get {
            guard x >= 0, x < width, y >= 0, y < height else { return .black }
            let at = (y * width + x) * 3
            return Color(pixels[at], pixels[at + 1], pixels[at + 2])
        }
        set {
            guard x >= 0, x < width, y >= 0, y < height else { return }
            let at = (y * width + x) * 3
            pixels[at] = newValue.red
            pixels[at + 1] = newValue.green
            pixels[at + 2] = newValue.blue
        }
    }

    /// The mirror image, left for right: the one augmentation that suits nearly all photos.
    public func flippedHorizontally() -> Image { oriented(2) }

    /// The part of the picture in a box, whole pixels; nil if none is inside.
    public func cropped(_ box: Box) -> Image? {
        func edge(_ value: Double, _ limit: Int) -> Int {
            value.isFinite ? Int(min(max(value.rounded(), 0), Double(limit))) : 0
        }
        let (left, right) = (edge(box.left, width), edge(box.right, width))
        let (top, bottom) = (edge(box.top, height), edge(box.bottom, height))
        guard right > left, bottom > top else { return nil }
        var part = rearranged(right - left, bottom - top) { x, y in (x + left, y + top) }
        part.extent = extent.inside(part, column: left, row: top)
        return part
    }

    /// The picture turned and mirrored as EXIF's orientation 1…8 asks; any other number is 1.
    public func oriented(_ orientation: Int) -> Image {
        let right = width - 1
        let bottom = height - 1
        var turned =
            switch orientation {
            case 2: rearranged(width, height) { x, y in (right - x, y) }
            case 3: rearranged(width, height) { x, y in (right - x, bottom - y) }
            case 4: rearranged(width, height) { x, y in (x, bottom - y) }
            case 5: rearranged(height, width) { x, y in (y, x) }
            case 6: rearranged(height, width) { x, y in (y, bottom - x) }
            case 7: rearranged(height, width) { x, y in (right - y, bottom - x) }
            case 8: rearranged(height, width) { x, y in (right - y, x) }
            default: self
            }
        turned.extent = extent.oriented(orientation, in: self)
        return turned
    }

    /// The picture in shades of grey: in all three channels the luma of ITU-R 601, rounded as Pillow's
    /// `convert("L")` rounds it.
    public func grey() -> Image {
        var result = self
        for at in stride(from: 0, to: pixels.count - 2, by: 3) {
            let sum =
                Int(pixels[at]) * 19595 + Int(pixels[at + 1]) * 38470 + Int(pixels[at + 2]) * 7471
            let value = UInt8(truncatingIfNeeded: (sum + 0x8000) >> 16)
            result.pixels[at] = value
            result.pixels[at + 1] = value
            result.pixels[at + 2] = value
        }
        return result
    }

    /// A picture whose pixel (x, y) is this one's pixel `source(x, y)`.
    private func rearranged(
        _ newWidth: Int, _ newHeight: Int, _ source: (_ x: Int, _ y: Int) -> (Int, Int)
    ) -> Image {
        let count = newWidth * newHeight * 3
        let moved = pixels.withUnsafeBufferPointer { from in
            [UInt8](unsafeUninitializedCapacity: count) { to, initialized in
                var at = 0
                for y in 0..<newHeight {
                    for x in 0..<newWidth {
                        let (sourceX, sourceY) = source(x, y)
                        let base = (sourceY * width + sourceX) * 3
                        to[at] = from[base]
                        to[at + 1] = from[base + 1]
                        to[at + 2] = from[base + 2]
                        at += 3
                    }
                }
                initialized = count
            }
        }
        return Image(sized: newWidth, newHeight, moved)
    }
}

/// An 8-bit RGB colour.
public struct Color: Sendable, Hashable {
    /// Red.
    public var red: UInt8
    /// Green.
    public var green: UInt8
    /// Blue.
    public var blue: UInt8

    /// A colour of these parts.
    public init(_ red: UInt8, _ green: UInt8, _ blue: UInt8) {
        self.red = red
        self.green = green
        self.blue = blue
    }

    /// White.
    public static let white = Color(255, 255, 255)
    /// Black.
    public static let black = Color(0, 0, 0)

    /// The colour on the straight line from this one to `other`, 0 here, 1 there.
    public func mixed(with other: Color, _ share: Double) -> Color {
        func part(_ from: UInt8, _ to: UInt8) -> UInt8 {
            let value = Double(from) + (Double(to) - Double(from)) * share
            return value.isNaN ? from : UInt8(min(max(value.rounded(), 0), 255))
        }
        return Color(part(red, other.red), part(green, other.green), part(blue, other.blue))
    }
}
