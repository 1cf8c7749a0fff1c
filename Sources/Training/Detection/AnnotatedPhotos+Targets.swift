// The boxes of annotated photos as what a detector learns from.

public import GraftImages
import GraftTensors

extension AnnotatedPhotos {
    /// The photos with their boxes of these classes as targets; sizes are read off the photos, and one
    /// that cannot be read keeps none, for whoever reads it next to say so.
    public func targets(for items: [PhotoFolder.Item], classes: [String]) -> [PhotoFolder.Item] {
        let places = Dictionary(
            classes.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        let known = Dictionary(
            photos.map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first })
        let sizes = Prefetch(count: items.count) { at -> (Int, Int)? in
            (try? Image.decode(path: items[at].path)).map { ($0.width, $0.height) }
        }
        return items.map { item in
            var item = item
            guard let size = sizes.next() ?? nil else {
                item.targets = PhotoBoxes(width: 1, height: 1, entries: []).numbers
                return item
            }
            let (width, height) = (Double(size.0), Double(size.1))
            let entries = (known[item.path]?.marks ?? []).compactMap { thing in
                places[thing.label].map { label in
                    let box = thing.box
                    return PhotoBoxes.Entry(
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

extension PhotoFolder.Item {
    /// The photo's annotated boxes, in pixels, as average precision takes them; of items that
    /// ``AnnotatedPhotos/targets(for:classes:)`` made.
    public func truth(photo: Int) -> [TrueBox] { PhotoBoxes(targets).truth(photo: photo) }

    /// A box that has its edges as shares of the sides, in pixels.
    public func inPixels(_ box: Box) -> Box { PhotoBoxes(targets).inPixels(box) }
}
