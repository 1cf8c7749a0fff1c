// Boxes that were found in photos: COCO's results, and which photo and class each belongs to.

import FoundationEssentials
public import GraftImages
import GraftTensors

/// A box that a detector found.
public struct Detection: Sendable, Hashable {
    /// The index of the photo.
    public var photo: Int
    /// The index of the class.
    public var label: Int
    /// Where.
    public var box: Box
    /// How sure the detector was.
    public var score: Double

    /// A box that was found.
    public init(photo: Int, label: Int, box: Box, score: Double) {
        (self.photo, self.label, self.box, self.score) = (photo, label, box, score)
    }
}

/// A file of results as COCO's tools write it: a list of `image_id`, `category_id`, `bbox` (left,
/// top, width, height in pixels) and `score`.
public struct DetectionFile: Codable, Sendable {
    /// A number or a name.
    public enum Name: Codable, Sendable, Hashable, CustomStringConvertible {
        case number(Int)
        case text(String)

        /// Reads either.
        public init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            if let number = try? value.decode(Int.self) {
                self = .number(number)
            } else {
                self = .text(try value.decode(String.self))
            }
        }

        /// Writes it as it was.
        public func encode(to encoder: any Encoder) throws {
            var value = encoder.singleValueContainer()
            switch self {
            case .number(let number): try value.encode(number)
            case .text(let text): try value.encode(text)
            }
        }

        /// It.
        public var description: String {
            switch self {
            case .number(let number): "\(number)"
            case .text(let text): text
            }
        }
    }

    /// One result.
    public struct Result: Codable, Sendable {
        /// The photo's id in COCO's file, or its file name, with or without folder and ending.
        public var image_id: Name
        /// The class's id in COCO's file, its place among the names (from 0), or its name.
        public var category_id: Name
        /// Left, top, width and height.
        public var bbox: [Double]
        /// How sure the detector was.
        public var score: Double

        /// The box by its edges.
        public var box: Box {
            Box(left: bbox[0], top: bbox[1], right: bbox[0] + bbox[2], bottom: bbox[1] + bbox[3])
        }
    }

    /// The results in the file's order.
    public let results: [Result]
    private let path: String

    /// Reads a file of results.
    ///
    /// - Throws: ``AnnotationError`` with the number of the result that is none.
    public init(_ path: String) throws {
        self.path = path
        let data = try Storage(mapping: path).withBytes { Data($0) }
        do {
            results = try JSONDecoder().decode([Result].self, from: data)
        } catch {
            throw AnnotationError.malformed(
                path, format: "result",
                reason:
                    "expected a list of `image_id`, `category_id`, `bbox` and `score`: "
                    + GraftTensors.reason(ofDecoding: error))
        }
        for (index, result) in results.enumerated() {
            guard result.bbox.count == 4, result.bbox[2] >= 0, result.bbox[3] >= 0,
                result.box.area.isFinite
            else {
                throw AnnotationError.malformed(
                    path, format: "result",
                    reason: "result \(index) has the box \(result.bbox), expected left, top, "
                        + "width and height")
            }
        }
    }

    /// The results by the images and classes of what they are compared with. Those of classes that
    /// are not there are left out, as COCO's tools do; those of images that are not there are counted
    /// in `omissions`.
    ///
    /// - Throws: ``AnnotationError`` if no result is of an image that is there.
    public func detections(
        in truth: AnnotatedImages, classes: [String], omissions: inout Omissions
    ) throws -> [Detection] {
        var places: [Name: Int] = [:]
        func note(_ name: Name, _ photo: Int) { if places[name] == nil { places[name] = photo } }
        func stem(_ name: Substring) -> Substring {
            name.lastIndex(of: ".").map { name[..<$0] } ?? name
        }
        for (index, photo) in truth.images.enumerated() {
            if let id = photo.id {
                note(.number(id), index)
                note(.text("\(id)"), index)
            }
            photo.identifier.map { note(.text($0), index) }
            note(.text(photo.name), index)
            let last = photo.name.split(separator: "/").last ?? ""
            note(.text(String(last)), index)
            note(.text(String(stem(last))), index)
            // Other programs write a name that is a number as one.
            if photo.id == nil, let number = Int(stem(last)) { note(.number(number), index) }
        }
        let labels = Dictionary(
            classes.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        func label(_ name: Name) -> Int? {
            switch name {
            case .text(let text): labels[text]
            case .number(let number):
                truth.categories.isEmpty
                    ? (classes.indices.contains(number) ? number : nil)
                    : truth.categories[number].flatMap { labels[$0] }
            }
        }
        guard results.isEmpty || results.contains(where: { places[$0.image_id] != nil }) else {
            throw AnnotationError.malformed(
                path, format: "result",
                reason: "none of its images is annotated: `\(results[0].image_id)` and "
                    + "\(results.count - 1) more")
        }
        return results.enumerated().compactMap { index, result in
            guard let photo = places[result.image_id] else {
                let place = AnnotationPlace(file: path, entry: "result \(index)")
                omissions.add(.strayDetection, at: place, "image `\(result.image_id)`")
                return nil
            }
            return label(result.category_id).map {
                Detection(photo: photo, label: $0, box: result.box, score: result.score)
            }
        }
    }
}
