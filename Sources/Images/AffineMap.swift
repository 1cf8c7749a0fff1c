// Affine maps of the plane, and pictures, boxes and masks under them.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Where a point of the result comes from: `(a·u + b·v + x, c·u + d·v + y)`. Coordinates are in
/// pixels from the top left corner; the centre of the first pixel is (0.5, 0.5).
package struct AffineMap: Sendable, Hashable {
    /// The share of u in the source's x.
    package var a: Double
    /// The share of v in the source's x.
    package var b: Double
    /// The source's x of the origin.
    package var x: Double
    /// The share of u in the source's y.
    package var c: Double
    /// The share of v in the source's y.
    package var d: Double
    /// The source's y of the origin.
    package var y: Double

    /// A map of these numbers.
    package init(a: Double, b: Double, x: Double, c: Double, d: Double, y: Double) {
        (self.a, self.b, self.x, self.c, self.d, self.y) = (a, b, x, c, d, y)
    }

    /// Every point comes from itself.
    package static let identity = AffineMap(a: 1, b: 0, x: 0, c: 0, d: 1, y: 0)

    static func mirrored(width: Double) -> AffineMap {
        AffineMap(a: -1, b: 0, x: width, c: 0, d: 1, y: 0)
    }
    static func flipped(height: Double) -> AffineMap {
        AffineMap(a: 1, b: 0, x: 0, c: 0, d: -1, y: height)
    }

    /// Turns what is seen counter-clockwise by `degrees` around a point, enlarges it by `scale` and
    /// moves it right and down.
    package static func around(
        x: Double, y: Double, degrees: Double, scale: Double, moved: (Double, Double)
    ) -> AffineMap {
        let angle = degrees * Double.pi / 180
        let (cosine, sine) = (cos(angle) / scale, sin(angle) / scale)
        let (left, top) = (x + moved.0, y + moved.1)
        return AffineMap(
            a: cosine, b: -sine, x: x - cosine * left + sine * top, c: sine, d: cosine,
            y: y - sine * left - cosine * top)
    }

    /// The map that looks up `self` at where `inner` comes from.
    package func after(_ inner: AffineMap) -> AffineMap {
        AffineMap(
            a: a * inner.a + b * inner.c, b: a * inner.b + b * inner.d,
            x: a * inner.x + b * inner.y + x, c: c * inner.a + d * inner.c,
            d: c * inner.b + d * inner.d, y: c * inner.x + d * inner.y + y)
    }

    /// Where a point comes from.
    package func source(_ u: Double, _ v: Double) -> (x: Double, y: Double) {
        (a * u + b * v + x, c * u + d * v + y)
    }

    /// The map back, nil if the plane was flattened.
    package var inverse: AffineMap? {
        let determinant = a * d - b * c
        guard abs(determinant) > 1e-12 else { return nil }
        let (ia, ib, ic, id) = (
            d / determinant, -b / determinant, -c / determinant, a / determinant
        )
        return AffineMap(
            a: ia, b: ib, x: -(ia * x + ib * y), c: ic, d: id, y: -(ic * x + id * y))
    }

    /// Where a box of the source is in the result: the smallest box around its corners, cut at the
    /// border. Nil if less than a pixel or less than `visible` of it is left.
    package func moved(_ box: Box, width: Int, height: Int, visible: Double = 0) -> Box? {
        guard let back = inverse else { return nil }
        let corners = [
            back.source(box.left, box.top), back.source(box.right, box.top),
            back.source(box.left, box.bottom), back.source(box.right, box.bottom),
        ]
        let whole = Box(
            left: corners.map(\.x).min() ?? 0, top: corners.map(\.y).min() ?? 0,
            right: corners.map(\.x).max() ?? 0, bottom: corners.map(\.y).max() ?? 0)
        let kept = Box(
            left: max(whole.left, 0), top: max(whole.top, 0),
            right: min(whole.right, Double(width)), bottom: min(whole.bottom, Double(height)))
        guard kept.area >= 1, kept.area >= visible * whole.area else { return nil }
        return kept
    }
}

extension AffineMap {
    /// A mask of numbers under the map: each pixel takes the nearest number, never a blend of two,
    /// and `outside` where it comes from beyond the border.
    package func moved(_ mask: [UInt8], width: Int, height: Int, outside: UInt8 = 0) -> [UInt8] {
        precondition(mask.count == width * height)
        var result = [UInt8](repeating: outside, count: mask.count)
        for v in 0..<height {
            for u in 0..<width {
                let place = source(Double(u) + 0.5, Double(v) + 0.5)
                guard place.x >= 0, place.y >= 0, place.x < Double(width), place.y < Double(height)
                else { continue }
                result[v * width + u] = mask[Int(place.y) * width + Int(place.x)]
            }
        }
        return result
    }
}

/// A rectangle in pixels.
public struct Box: Sendable, Hashable, Codable {
    /// The left edge.
    public var left: Double
    /// The upper edge.
    public var top: Double
    /// The right edge.
    public var right: Double
    /// The lower edge.
    public var bottom: Double

    /// A rectangle.
    public init(left: Double, top: Double, right: Double, bottom: Double) {
        (self.left, self.top, self.right, self.bottom) = (left, top, right, bottom)
    }

    /// What it covers; 0 if it is turned inside out.
    public var area: Double { max(right - left, 0) * max(bottom - top, 0) }
}

extension Image {
    /// The picture under a map, of the same size: bilinear, mirrored beyond the border.
    package func mapped(_ map: AffineMap) -> Image {
        var result = self
        result.extent = extent(under: map)
        let (width, height) = (width, height)
        func mirror(_ at: Int, _ size: Int) -> Int {
            let period = 2 * size
            let place = ((at % period) + period) % period
            return place < size ? place : period - 1 - place
        }
        pixels.withUnsafeBufferPointer { from in
            result.pixels.withUnsafeMutableBufferPointer { to in
                for v in 0..<height {
                    for u in 0..<width {
                        let place = map.source(Double(u) + 0.5, Double(v) + 0.5)
                        let (sx, sy) = (place.x - 0.5, place.y - 0.5)
                        guard abs(sx) < 1e7, abs(sy) < 1e7 else { continue }
                        let (x0, y0) = (sx.rounded(.down), sy.rounded(.down))
                        let (fx, fy) = (Float(sx - x0), Float(sy - y0))
                        let (left, right) = (mirror(Int(x0), width), mirror(Int(x0) + 1, width))
                        let (top, low) = (mirror(Int(y0), height), mirror(Int(y0) + 1, height))
                        for channel in 0..<3 {
                            let p = Float(from[(top * width + left) * 3 + channel])
                            let q = Float(from[(top * width + right) * 3 + channel])
                            let r = Float(from[(low * width + left) * 3 + channel])
                            let s = Float(from[(low * width + right) * 3 + channel])
                            let upper = p + (q - p) * fx
                            let lower = r + (s - r) * fx
                            to[(v * width + u) * 3 + channel] = UInt8(
                                min(max((upper + (lower - upper) * fy).rounded(), 0), 255))
                        }
                    }
                }
            }
        }
        return result
    }
}
