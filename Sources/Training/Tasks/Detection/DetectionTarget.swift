// The annotated boxes of an image, as a detector learns them and as average precision takes them.

import GraftImages

/// An image's size and its boxes, edges as shares of the sides.
struct DetectionTarget: Sendable, Hashable {
    /// One box.
    struct Entry: Sendable, Hashable {
        var label: Int
        var box: Box
        /// COCO's area in pixels.
        var area: Double
        var isCrowd: Bool
        var isDifficult: Bool
    }

    var width: Double
    var height: Double
    var entries: [Entry]

    /// The boxes of an item's annotations whose class is one of `places`; outlines and masks are
    /// reduced to the boxes around them. Numbers are rounded to single precision, as runs of earlier
    /// versions kept them.
    init(_ item: PhotoFolder.Item, places: [String: Int]) {
        let size = item.size ?? PixelSize(width: 1, height: 1)
        let (width, height) = (Double(size.width), Double(size.height))
        func single(_ value: Double) -> Double { Double(Float(value)) }
        (self.width, self.height) = (single(width), single(height))
        entries = item.annotations.compactMap { object in
            guard item.size != nil, let box = object.boundingBox,
                let label = places[object.label]
            else { return nil }
            return Entry(
                label: label,
                box: Box(
                    left: single(box.left / width), top: single(box.top / height),
                    right: single(box.right / width), bottom: single(box.bottom / height)),
                area: single(object.area ?? box.area), isCrowd: object.isCrowd,
                isDifficult: object.isDifficult)
        }
    }

    /// A target of these boxes.
    init(width: Double, height: Double, entries: [Entry]) {
        (self.width, self.height, self.entries) = (width, height, entries)
    }

    /// The image seen in a mirror.
    var mirrored: DetectionTarget {
        var result = self
        for index in entries.indices {
            let box = entries[index].box
            result.entries[index].box.left = 1 - box.right
            result.entries[index].box.right = 1 - box.left
        }
        return result
    }

    /// The least share of a box that must stay in view for it to be learned.
    static let leastVisible = 0.25

    /// The boxes where their pixels have moved to; those that have mostly left the image are not there
    /// any more.
    func moved(by map: AffineMap) -> DetectionTarget {
        var result = self
        result.entries = entries.compactMap { entry in
            let place = map.moved(
                inPixels(entry.box), width: Int(width), height: Int(height),
                visible: Self.leastVisible)
            guard let place else { return nil }
            var entry = entry
            entry.box = Box(
                left: place.left / width, top: place.top / height, right: place.right / width,
                bottom: place.bottom / height)
            entry.area = place.area
            return entry
        }
        return result
    }

    /// The boxes that are learned: objects one by one, not crowds.
    var learned: [(label: Int, box: Box)] {
        entries.filter { !$0.isCrowd }.map { ($0.label, $0.box) }
    }

    /// A box in pixels.
    func inPixels(_ box: Box) -> Box {
        Box(
            left: box.left * width, top: box.top * height, right: box.right * width,
            bottom: box.bottom * height)
    }

    /// The boxes as average precision takes them.
    func truth(photo: Int) -> [TrueBox] {
        entries.map {
            TrueBox(
                photo: photo, label: $0.label, box: inPixels($0.box), area: $0.area,
                isCrowd: $0.isCrowd, isDifficult: $0.isDifficult)
        }
    }
}
