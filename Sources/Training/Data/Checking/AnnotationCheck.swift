// What the boxes and masks of a set are like, and which of them look wrong, before anything is learned.

import GraftImages
import GraftTensors

/// The statistics of a set's annotations, and its suspicious ones.
public struct AnnotationCheck: Sendable, Encodable {
    /// A class of the set.
    public struct ClassCount: Sendable, Encodable {
        /// The class.
        public var name: String
        /// The number of its annotations.
        public var annotations = 0
        /// The number of images that show it.
        public var images = 0
        /// The number of its annotations that have an outline, a rotated box or a mask.
        public var outlines = 0
        /// The number of crowds.
        public var crowds = 0
        /// The number of difficult objects.
        public var difficult = 0
        /// The number of annotations by area: below 32², below 96² and larger, as COCO divides them.
        public var bySize = [0, 0, 0]
        /// The median width and height of its boxes in pixels; nil without boxes.
        public var medianSize: [Double]?
    }

    /// What is suspicious of an annotation.
    public enum Kind: String, Sendable, Encodable, CaseIterable {
        /// It reaches beyond the image.
        case outside
        /// It is smaller than ``AnnotationCheck/tinySide`` pixels on a side.
        case tiny
        /// Another annotation of its class has nearly the same box.
        case duplicate
        /// An annotation of another class has nearly the same box.
        case twoClasses
        /// It is more than ten times as long as wide.
        case long
        /// It covers nearly the whole image.
        case whole
    }

    /// A suspicious annotation.
    public struct Finding: Sendable, Encodable {
        /// What is suspicious.
        public var kind: Kind
        /// The image, by its name in the set.
        public var image: String
        /// The class.
        public var label: String
        /// The box in pixels: left, top, right, bottom.
        public var box: [Double]
        /// Where it is written; nil if its reader does not say.
        public var place: String?
        /// The other class, of ``Kind/twoClasses``.
        public var other: String?
        /// The index of the image in the set.
        var imageIndex: Int
        /// The index of the annotation in the image.
        var annotationIndex: Int

        private enum CodingKeys: String, CodingKey {
            case kind, image, label, box, place, other
        }
    }

    /// Quantiles of a quantity.
    public struct Spread: Sendable, Encodable {
        /// The smallest.
        public var minimum: Double
        /// The 5th percentile.
        public var low: Double
        /// The median.
        public var median: Double
        /// The 95th percentile.
        public var high: Double
        /// The largest.
        public var maximum: Double

        init?(_ values: [Double]) {
            guard !values.isEmpty else { return nil }
            let sorted = values.sorted()
            func quantile(_ share: Double) -> Double {
                sorted[Int((share * Double(sorted.count - 1)).rounded())]
            }
            (minimum, low, median) = (sorted[0], quantile(0.05), quantile(0.5))
            (high, maximum) = (quantile(0.95), sorted[sorted.count - 1])
        }
    }

    /// Sides below this many pixels are tiny.
    public static let tinySide = 4.0
    /// The overlap from which two boxes are nearly the same.
    static let sameOverlap = 0.9

    /// The number of images.
    public var images = 0
    /// The number of annotations with a place in the image.
    public var annotations = 0
    /// The classes in their order, also those of no image.
    public var classes: [ClassCount] = []
    /// The number of images of each split; empty if the set is not divided.
    public var splits: [String: Int] = [:]
    /// The names of the images without any annotation.
    public var withoutAnnotations: [String] = []
    /// The names of the images that are not on disk.
    public var missing: [String] = []
    /// How many annotations an image has.
    public var perImage: Spread?
    /// The square roots of the boxes' areas, in pixels.
    public var sizes: Spread?
    /// The widths of boxes divided by their heights.
    public var aspectRatios: Spread?
    /// The number of annotations of each shape: boxes, polygons, oriented boxes, masks, keypoints.
    public var shapes: [String: Int] = [:]
    /// What is suspicious, image by image.
    public var findings: [Finding] = []
    /// What the reader left out, a line for each cause.
    public var leftOut: [String] = []

    /// Looks at every annotation of a set; opens no image.
    public init(_ set: AnnotatedImages) {
        images = set.images.count
        leftOut = set.remarks
        let names = set.classes.isEmpty ? set.names : set.classes
        classes = names.map { ClassCount(name: $0) }
        var places = Dictionary(
            names.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        var widths: [[Double]] = names.map { _ in [] }
        var heights: [[Double]] = names.map { _ in [] }
        var (counts, roots, ratios): ([Double], [Double], [Double]) = ([], [], [])
        for (index, image) in set.images.enumerated() {
            if let split = image.split { splits[split.rawValue, default: 0] += 1 }
            if image.isMissing { missing.append(image.name) }
            if image.annotations.isEmpty { withoutAnnotations.append(image.name) }
            counts.append(Double(image.annotations.count))
            for label in Set(image.annotations.map(\.label)) {
                let place = places[label] ?? classes.count
                if place == classes.count {
                    places[label] = place
                    classes.append(ClassCount(name: label))
                    widths.append([])
                    heights.append([])
                }
                classes[place].images += 1
            }
            for annotation in image.annotations {
                guard let place = places[annotation.label] else { continue }
                annotations += annotation.isWholeImage ? 0 : 1
                classes[place].count(annotation)
                shapes[annotation.shapeName, default: 0] += 1
                guard let box = annotation.boundingBox else { continue }
                let (width, height) = (box.right - box.left, box.bottom - box.top)
                widths[place].append(width)
                heights[place].append(height)
                roots.append(box.area.squareRoot())
                if height > 0 { ratios.append(width / height) }
            }
            findings += Self.findings(in: image, at: index)
        }
        perImage = Spread(counts)
        sizes = Spread(roots)
        aspectRatios = Spread(ratios)
        for place in classes.indices {
            guard let width = Spread(widths[place]), let height = Spread(heights[place]) else {
                continue
            }
            classes[place].medianSize = [width.median, height.median]
        }
    }

    /// The number of findings of a kind.
    public func count(of kind: Kind) -> Int { findings.count { $0.kind == kind } }

    /// The suspicious annotations of an image.
    private static func findings(in image: AnnotatedImage, at imageIndex: Int) -> [Finding] {
        var findings: [Finding] = []
        let boxed = image.annotations.enumerated().compactMap { index, annotation in
            annotation.isCrowd ? nil : annotation.boundingBox.map { (index, annotation, $0) }
        }
        func add(
            _ kind: Kind, at index: Int, of annotation: Annotation, box: Box, other: String? = nil
        ) {
            findings.append(
                Finding(
                    kind: kind, image: image.name, label: annotation.label,
                    box: [box.left, box.top, box.right, box.bottom],
                    place: annotation.place?.description, other: other, imageIndex: imageIndex,
                    annotationIndex: index))
        }
        for (index, annotation, box) in boxed {
            let (width, height) = (box.right - box.left, box.bottom - box.top)
            if min(width, height) < tinySide { add(.tiny, at: index, of: annotation, box: box) }
            if max(width, height) > 10 * min(width, height), min(width, height) > 0 {
                add(.long, at: index, of: annotation, box: box)
            }
            guard let imageWidth = image.width, let imageHeight = image.height else { continue }
            let (right, bottom) = (Double(imageWidth), Double(imageHeight))
            // A pixel beyond is the rounding of a tool.
            if box.left < -1 || box.top < -1 || box.right > right + 1 || box.bottom > bottom + 1 {
                add(.outside, at: index, of: annotation, box: box)
            } else if box.area > 0.98 * right * bottom {
                add(.whole, at: index, of: annotation, box: box)
            }
        }
        // From left to right, so that only boxes that can overlap are compared.
        let sorted = boxed.sorted { $0.2.left < $1.2.left }
        for (position, first) in sorted.enumerated() {
            for second in sorted[(position + 1)...] {
                guard second.2.left < first.2.right else { break }
                guard first.2.overlap(with: second.2) >= sameOverlap else { continue }
                if first.1.label == second.1.label {
                    add(.duplicate, at: second.0, of: second.1, box: second.2)
                } else {
                    add(
                        .twoClasses, at: second.0, of: second.1, box: second.2,
                        other: first.1.label)
                }
            }
        }
        return findings.sorted {
            ($0.annotationIndex, $0.kind.rawValue) < ($1.annotationIndex, $1.kind.rawValue)
        }
    }
}

extension AnnotationCheck.ClassCount {
    fileprivate mutating func count(_ annotation: Annotation) {
        annotations += 1
        crowds += annotation.isCrowd ? 1 : 0
        difficult += annotation.isDifficult ? 1 : 0
        let hasOutline =
            !annotation.polygons.isEmpty || !annotation.orientedBox.isEmpty
            || annotation.mask != nil
        outlines += hasOutline ? 1 : 0
        guard let box = annotation.boundingBox else { return }
        let area = annotation.area ?? box.area
        bySize[area < 32 * 32 ? 0 : area < 96 * 96 ? 1 : 2] += 1
    }
}

extension Annotation {
    /// What it is drawn as.
    fileprivate var shapeName: String {
        if !polygons.isEmpty { return "polygons" }
        if !orientedBox.isEmpty { return "orientedBoxes" }
        if mask != nil { return "masks" }
        if box != nil { return "boxes" }
        return keypoints.isEmpty ? "labels" : "keypoints"
    }
}

extension Box {
    /// The area of both divided by the area of either.
    fileprivate func overlap(with other: Box) -> Double {
        let both = Box(
            left: max(left, other.left), top: max(top, other.top), right: min(right, other.right),
            bottom: min(bottom, other.bottom)
        ).area
        let either = area + other.area - both
        return either > 0 ? both / either : 0
    }
}
