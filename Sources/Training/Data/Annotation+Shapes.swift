// Shapes that tools write by their parameters, as corners and outlines.

import GraftImages

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension Annotation {
    /// The corners of a box that is turned clockwise about its centre.
    static func corners(center: Point, width: Double, height: Double, radians: Double) -> [Point] {
        let box = Box(
            left: -width / 2, top: -height / 2, right: width / 2, bottom: height / 2)
        return box.corners.map { rotated($0, about: center, radians: radians) }
    }

    /// The corners of a box that is turned clockwise about its upper left corner.
    static func corners(origin: Point, width: Double, height: Double, degrees: Double) -> [Point] {
        Box(left: 0, top: 0, right: width, bottom: height).corners.map {
            rotated($0, about: origin, radians: degrees * .pi / 180)
        }
    }

    private static func rotated(_ point: Point, about center: Point, radians: Double) -> Point {
        let (sine, cosine) = (sin(radians), cos(radians))
        return Point(
            x: center.x + point.x * cosine - point.y * sine,
            y: center.y + point.x * sine + point.y * cosine)
    }

    /// The box of four corners as it is before it is turned clockwise about its first one; nil of other
    /// points.
    static func box(corners: [Point]) -> (
        origin: Point, width: Double, height: Double, degrees: Double
    )? {
        guard corners.count == 4 else { return nil }
        let across = Point(x: corners[1].x - corners[0].x, y: corners[1].y - corners[0].y)
        let down = Point(x: corners[3].x - corners[0].x, y: corners[3].y - corners[0].y)
        return (
            corners[0], hypot(across.x, across.y), hypot(down.x, down.y),
            atan2(across.y, across.x) * 180 / .pi
        )
    }

    /// An ellipse as a polygon that touches its bounding box on all sides.
    static func ellipse(center: Point, rx: Double, ry: Double, degrees: Double = 0) -> [Point] {
        (0..<64).map { step in
            let angle = Double(step) / 64 * 2 * .pi
            return rotated(
                Point(x: rx * cos(angle), y: ry * sin(angle)), about: center,
                radians: degrees * .pi / 180)
        }
    }
}
