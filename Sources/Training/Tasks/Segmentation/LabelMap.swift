// The class of each pixel of a view of an image, drawn from outlines and masks.

import GraftImages
import GraftTensors

/// A class for each pixel, row by row: 0 is background, 255 counts nowhere.
struct LabelMap: Sendable, Hashable {
    let width: Int
    let height: Int
    private(set) var labels: [UInt8]

    /// The most classes, the background among them.
    static let mostClasses = 255

    /// Draws an item's annotations of the classes in `places` as a view of `width` × `height` pixels shows
    /// them: a pixel is of an object where its centre is. Large objects lie under small ones. What is a
    /// crowd, or has a box and no outline, counts nowhere.
    ///
    /// - Throws: ``MaskError`` or what decoding a mask throws.
    init(
        _ item: PhotoFolder.Item, places: [String: Int], width: Int, height: Int, seen: ViewChange
    ) throws {
        (self.width, self.height) = (width, height)
        labels = [UInt8](repeating: 0, count: width * height)
        guard let size = item.size else { return }
        let view = ViewMap(of: size, width: width, height: height, seen: seen)
        let known = item.annotations.filter { places[$0.label] != nil && !$0.isWholeImage }
        for object in known.sorted(by: { $0.drawnArea > $1.drawnArea }) {
            let place = places[object.label] ?? 0
            let value =
                object.isCrowd || !object.isOutlined
                ? SegmentationLoss.ignored : UInt8(clamping: min(place, Self.mostClasses - 1))
            try draw(object, as: value, in: view, of: size)
        }
    }

    private mutating func draw(
        _ object: Annotation, as value: UInt8, in view: ViewMap, of size: PixelSize
    ) throws {
        if !object.polygons.isEmpty {
            for polygon in object.polygons { fill(polygon.map(view.place), with: value) }
        } else if let mask = object.mask {
            let bits = try MaskBits(mask, size: size)
            for y in 0..<height {
                for x in 0..<width where bits.holds(view.source(x: x, y: y)) {
                    labels[y * width + x] = value
                }
            }
        } else if !object.orientedBox.isEmpty {
            fill(object.orientedBox.map(view.place), with: value)
        } else if let box = object.box {
            fill(box.corners.map(view.place), with: value)
        }
    }

    /// Fills the pixels whose centres are inside of a polygon, by the even–odd rule.
    private mutating func fill(_ points: [(x: Double, y: Double)], with value: UInt8) {
        // Beyond any image; the differences of larger numbers overflow.
        let reach = -1e9...1e9
        guard points.count > 2, points.allSatisfy({ reach ~= $0.x && reach ~= $0.y }) else {
            return
        }
        let top = points.map(\.y).min() ?? 0
        let bottom = points.map(\.y).max() ?? 0
        let first = max(0, Int(min(max(top - 0.5, -1), Double(height)).rounded(.up)))
        let last = min(height - 1, Int(min(max(bottom - 0.5, -1), Double(height)).rounded(.down)))
        guard first <= last else { return }
        for row in first...last {
            let y = Double(row) + 0.5
            var crossings: [Double] = []
            for (k, a) in points.enumerated() {
                let b = points[(k + 1) % points.count]
                guard (a.y <= y) != (b.y <= y) else { continue }
                crossings.append(a.x + (y - a.y) / (b.y - a.y) * (b.x - a.x))
            }
            crossings.sort()
            for pair in stride(from: 0, to: crossings.count - 1, by: 2) {
                let from = min(max(crossings[pair] - 0.5, -1), Double(width)).rounded(.up)
                let to = min(max(crossings[pair + 1] - 0.5, -1), Double(width)).rounded(.up)
                let (left, right) = (max(0, Int(from)), min(width, Int(to)))
                guard left < right else { continue }
                for x in left..<right { labels[row * width + x] = value }
            }
        }
    }
}

/// Between pixels of a view and those of the whole image.
private struct ViewMap {
    private let scale: (x: Double, y: Double)
    private let map: AffineMap
    private let inverse: AffineMap?

    init(of size: PixelSize, width: Int, height: Int, seen: ViewChange) {
        scale = (Double(size.width) / Double(width), Double(size.height) / Double(height))
        switch seen {
        case .none: map = .identity
        case .mirror:
            map = AffineMap(a: -1, b: 0, x: Double(size.width), c: 0, d: 1, y: 0)
        case .moved(let change): map = change
        }
        inverse = map.inverse
    }

    /// The place in the image of the centre of a pixel of the view.
    func source(x: Int, y: Int) -> (x: Double, y: Double) {
        map.source((Double(x) + 0.5) * scale.x, (Double(y) + 0.5) * scale.y)
    }

    /// The place in the view of a point of the image; NaN where the plane was flattened.
    func place(_ point: Annotation.Point) -> (x: Double, y: Double) {
        guard let inverse else { return (.nan, .nan) }
        let there = inverse.source(point.x, point.y)
        return (there.x / scale.x, there.y / scale.y)
    }
}

/// The pixels of a mask, whatever it was read from.
private struct MaskBits {
    private let bits: [Bool]
    private let width: Int
    private let height: Int

    init(_ mask: AnnotationMask, size: PixelSize) throws {
        switch mask {
        case .runs(let runs, let width, let height):
            let found = PixelSize(width: width, height: height)
            guard found == size else {
                throw MaskError.otherSize("run lengths", expected: size, found: found)
            }
            (self.width, self.height) = (width, height)
            var bits = [Bool](repeating: false, count: width * height)
            var at = 0
            for (index, run) in runs.enumerated() where run > 0 && at < bits.count {
                let end = min(bits.count - at, run) + at
                if index % 2 == 1 {
                    // Column by column.
                    for place in at..<end { bits[place % height * width + place / height] = true }
                }
                at = end
            }
            self.bits = bits
        case .file(let path, let value):
            let image = try MaskImage.read(path)
            guard image.width == size.width, image.height == size.height else {
                throw MaskError.otherSize(path, expected: size, found: image.size)
            }
            (width, height) = (image.width, image.height)
            bits = image.values.map { found in value.map { Int(found) == $0 } ?? (found != 0) }
        }
    }

    /// Whether a point is on the object; beyond the border nothing is.
    func holds(_ point: (x: Double, y: Double)) -> Bool {
        guard point.x >= 0, point.y >= 0, point.x < Double(width), point.y < Double(height) else {
            return false
        }
        return bits[Int(point.y) * width + Int(point.x)]
    }
}

extension Annotation {
    /// Whether something says which pixels are of the object.
    var isOutlined: Bool { !polygons.isEmpty || mask != nil || !orientedBox.isEmpty }

    /// The area by which objects are drawn over each other.
    fileprivate var drawnArea: Double {
        area ?? mask?.area.map(Double.init) ?? boundingBox?.area ?? .infinity
    }
}
