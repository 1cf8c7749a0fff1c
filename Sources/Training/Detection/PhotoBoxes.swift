// The annotated boxes of a photo as a row of numbers, which is how a run carries what is to be learned.

import GraftImages

/// A photo's size and its boxes, edges as shares of the sides.
struct PhotoBoxes {
    /// One box.
    struct Entry {
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

    private static let stride = 8

    init(width: Double, height: Double, entries: [Entry]) {
        (self.width, self.height, self.entries) = (width, height, entries)
    }

    /// What ``numbers`` says.
    init(_ numbers: [Float]) {
        let values = numbers.map { Double($0) }
        (width, height) = values.count > 1 ? (values[0], values[1]) : (1, 1)
        entries = Swift.stride(from: 2, to: values.count - Self.stride + 1, by: Self.stride).map {
            Entry(
                label: Int(values[$0]),
                box: Box(
                    left: values[$0 + 1], top: values[$0 + 2], right: values[$0 + 3],
                    bottom: values[$0 + 4]), area: values[$0 + 5],
                isCrowd: values[$0 + 6] > 0, isDifficult: values[$0 + 7] > 0)
        }
    }

    /// The whole as a row.
    var numbers: [Float] {
        [Float(width), Float(height)]
            + entries.flatMap { entry in
                [
                    Double(entry.label), entry.box.left, entry.box.top, entry.box.right,
                    entry.box.bottom, entry.area, entry.isCrowd ? 1 : 0, entry.isDifficult ? 1 : 0,
                ].map { Float($0) }
            }
    }

    /// The photo seen in a mirror.
    var mirrored: PhotoBoxes {
        var result = self
        for index in entries.indices {
            let box = entries[index].box
            (result.entries[index].box.left, result.entries[index].box.right) = (
                1 - box.right, 1 - box.left
            )
        }
        return result
    }

    /// What is learned: things one by one, not crowds.
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
