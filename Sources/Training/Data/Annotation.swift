// What a data set says about one object in an image: the one carrier of every annotated task.
//
// Readers (YOLO, COCO, Pascal VOC and the others in this folder) fill in what their file holds and nothing
// else: a polygon stays a polygon, an oriented box its four corners, a mask its runs or its file. All
// coordinates are pixels from the upper left corner of the image as it is shown, that is after its EXIF
// orientation; shares of the sides and boxes drawn on stored pixels are resolved by the reader.
// Tasks take what they need: detection takes `boundingBox`, which reduces the rest and says so through
// `isReducedToBox`; segmentation takes `polygons` and `mask`. Writers write each field that their format
// has. An annotation without any geometry is a label of the whole image.

public import GraftImages

/// An annotated object: its class and where it is, as the file has it.
public struct Annotation: Sendable, Hashable {
    /// A position in pixels.
    public struct Point: Sendable, Hashable {
        /// The distance from the left edge.
        public var x: Double
        /// The distance from the upper edge.
        public var y: Double

        /// A position in pixels.
        public init(x: Double, y: Double) {
            self.x = x
            self.y = y
        }
    }

    /// A named position of an object, such as its left eye.
    public struct Keypoint: Sendable, Hashable {
        /// The position in pixels.
        public var point: Point
        /// COCO's visibility: 0 not annotated, 1 hidden, 2 visible.
        public var visibility: Int
        /// The name of the keypoint, if the file has one.
        public var name: String?

        /// A named position of an object.
        public init(point: Point, visibility: Int = 2, name: String? = nil) {
            self.point = point
            self.visibility = visibility
            self.name = name
        }
    }

    /// The class.
    public var label: String
    /// The box that the file holds, if it holds one.
    public var box: Box?
    /// The outlines, each a closed polygon; several are parts of one object.
    public var polygons: [[Point]] = []
    /// The four corners of a rotated box in the order of the file; empty if there is none.
    public var orientedBox: [Point] = []
    /// The pixels of the object.
    public var mask: AnnotationMask?
    /// The keypoints in the order of the class's skeleton.
    public var keypoints: [Keypoint] = []
    /// Whether it covers many objects of a class: COCO's `iscrowd`.
    public var isCrowd = false
    /// Whether it is hard to recognise: Pascal VOC's `difficult`.
    public var isDifficult = false
    /// Whether it extends beyond the image: Pascal VOC's `truncated`.
    public var isTruncated = false
    /// The area of the object in square pixels, where the file says so.
    public var area: Double?
    /// The confidence, where the annotation was predicted by a model.
    public var score: Double?
    /// Where it is written.
    public var place: AnnotationPlace?

    /// An annotated object.
    public init(label: String, box: Box? = nil, place: AnnotationPlace? = nil) {
        self.label = label
        self.box = box
        self.place = place
    }

    /// Whether ``boundingBox`` is derived from an outline, a rotated box or a mask.
    public var isReducedToBox: Bool { box == nil && boundingBox != nil }

    /// The box, or else the smallest one around the outlines, the rotated box or the mask.
    public var boundingBox: Box? {
        if let box { return box }
        let points = polygons.isEmpty ? orientedBox : polygons.flatMap { $0 }
        if let around = Box(around: points) { return around }
        return mask?.boundingBox
    }

    /// Whether nothing says where in the image the object is.
    public var isWholeImage: Bool {
        box == nil && polygons.isEmpty && orientedBox.isEmpty && mask == nil && keypoints.isEmpty
    }
}

/// The pixels of an object.
public enum AnnotationMask: Sendable, Hashable {
    /// COCO's run lengths of background and object in turn, column by column.
    case runs([Int], width: Int, height: Int)
    /// An image of the same size; the object has this value, or any but 0 if there is none.
    case file(String, value: Int?)

    /// The smallest box around the pixels of runs; nil for a file, which is not opened here.
    public var boundingBox: Box? {
        guard case .runs(let runs, _, let height) = self, height > 0 else { return nil }
        var at = 0
        var columns: (first: Int, last: Int)?
        var rows = (first: height, last: -1)
        for (index, count) in runs.enumerated() {
            guard count >= 0, count < Int.max - at else { return nil }
            defer { at += count }
            guard index % 2 == 1, count > 0 else { continue }
            let last = at + count - 1
            columns = (min(columns?.first ?? .max, at / height), last / height)
            if at / height == last / height {
                rows = (min(rows.first, at % height), max(rows.last, last % height))
            } else {
                // It reaches the lower end of one column and the upper end of the next.
                rows = (0, height - 1)
            }
        }
        guard let columns else { return nil }
        return Box(
            left: Double(columns.first), top: Double(rows.first), right: Double(columns.last + 1),
            bottom: Double(rows.last + 1))
    }

    /// The number of pixels of runs; nil for a file.
    public var area: Int? {
        guard case .runs(let runs, _, _) = self else { return nil }
        return runs.enumerated().reduce(0) { $1.offset % 2 == 1 ? $0 &+ $1.element : $0 }
    }
}

/// Where something is written in the files of a data set.
public struct AnnotationPlace: Sendable, Hashable, CustomStringConvertible {
    /// The file.
    public var file: String
    /// The line of the file, from 1.
    public var line: Int?
    /// The entry of the file that the line belongs to, such as `annotation 3`.
    public var entry: String?

    /// A place in a file.
    public init(file: String, line: Int? = nil, entry: String? = nil) {
        self.file = file
        self.line = line
        self.entry = entry
    }

    /// The place as editors take it: `file:line`.
    public var description: String {
        let at = line.map { "\(file):\($0)" } ?? file
        return entry.map { "\(at) (\($0))" } ?? at
    }
}

extension Box {
    /// The smallest box around points; nil without any.
    public init?(around points: [Annotation.Point]) {
        guard let first = points.first else { return nil }
        self.init(left: first.x, top: first.y, right: first.x, bottom: first.y)
        for point in points.dropFirst() {
            left = min(left, point.x)
            top = min(top, point.y)
            right = max(right, point.x)
            bottom = max(bottom, point.y)
        }
    }

    /// The four corners, clockwise from the upper left.
    public var corners: [Annotation.Point] {
        [
            .init(x: left, y: top), .init(x: right, y: top), .init(x: right, y: bottom),
            .init(x: left, y: bottom),
        ]
    }
}
