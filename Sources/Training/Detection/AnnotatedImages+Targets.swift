// The boxes of annotated images as the targets of a detector.

public import GraftImages
import GraftTensors

extension AnnotatedImages {
    /// The items with their bounding boxes of these classes as targets. Sizes are read from the images;
    /// one that cannot be read has no boxes, and the next reader reports it.
    public func targets(for items: [PhotoFolder.Item], classes: [String]) -> [PhotoFolder.Item] {
        let places = Dictionary(
            classes.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        let known = Dictionary(
            images.map { (Location($0.path, $0.range, $0.embedded), $0) },
            uniquingKeysWith: { first, _ in first })
        let sizes = Prefetch(count: items.count) { at -> (Int, Int)? in
            (try? items[at].withBytes { try ImageHeader($0, name: items[at].path) })
                .map { ($0.width, $0.height) }
        }
        return items.map { item in
            var item = item
            guard let size = sizes.next() ?? nil else {
                item.targets = PhotoBoxes(width: 1, height: 1, entries: []).numbers
                return item
            }
            let (width, height) = (Double(size.0), Double(size.1))
            let found = known[Location(item.path, item.range, item.embedded)]?.annotations ?? []
            let entries = found.compactMap { thing -> PhotoBoxes.Entry? in
                guard let box = thing.boundingBox else { return nil }
                return places[thing.label].map { label in
                    PhotoBoxes.Entry(
                        label: label,
                        box: Box(
                            left: box.left / width, top: box.top / height,
                            right: box.right / width, bottom: box.bottom / height),
                        area: thing.area ?? box.area, isCrowd: thing.isCrowd,
                        isDifficult: thing.isDifficult)
                }
            }
            item.targets = PhotoBoxes(width: width, height: height, entries: entries).numbers
            return item
        }
    }
}

/// A file, or a part of one.
private struct Location: Hashable {
    let path: String
    let range: Range<Int>?
    let embedded: EmbeddedImage?

    init(_ path: String, _ range: Range<Int>?, _ embedded: EmbeddedImage?) {
        self.path = path
        self.range = range
        self.embedded = embedded
    }
}

extension PhotoFolder.Item {
    /// The photo's annotated boxes, in pixels, as average precision takes them; of items that
    /// ``AnnotatedImages/targets(for:classes:)`` made.
    public func truth(photo: Int) -> [TrueBox] { PhotoBoxes(targets).truth(photo: photo) }

    /// A box that has its edges as shares of the sides, in pixels.
    public func inPixels(_ box: Box) -> Box { PhotoBoxes(targets).inPixels(box) }
}
