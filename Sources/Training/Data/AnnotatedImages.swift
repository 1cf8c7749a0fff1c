// Annotated images, in whichever format they were written, and the examples that a classifier makes of them.

import GraftImages
public import GraftTensors

/// An image of a data set and its annotations.
public struct AnnotatedImage: Sendable {
    /// The file that holds it: the image itself or an archive.
    public var path: String
    /// The bytes of the image in the file, if that is an archive.
    public var range: Range<Int>?
    /// The value that holds the image, if the file is a Parquet file and compressed.
    package var embedded: EmbeddedImage?
    /// The path below the data set's folder, or the name in the file of annotations.
    public var name: String
    /// COCO's number of the image.
    public var id: Int?
    /// The id of the image in the file, where it is a text.
    public var identifier: String?
    /// The width as it is shown, where it is known.
    public var width: Int?
    /// The height as it is shown, where it is known.
    public var height: Int?
    /// The part of the set that it belongs to; nil if the set is not divided.
    public var split: DataSplit?
    /// Images of one group stay on one side of a split.
    public var group: String?
    /// All annotations in the order of the file, crowds too.
    public var annotations: [Annotation] = []
    /// Numbers to learn instead of annotations, in the order of ``AnnotatedImages/valueNames``.
    public var values: [Float] = []
    /// Whether the file is not there.
    public var isMissing = false
    /// Where the image is listed.
    public var place: AnnotationPlace?

    /// An image without annotations.
    public init(path: String, name: String, id: Int? = nil) {
        self.path = path
        self.name = name
        self.id = id
    }

    /// The annotations of single objects.
    public var objects: [Annotation] { annotations.filter { !$0.isCrowd } }
}

/// A set of annotated images: what every reader returns and every writer takes.
public struct AnnotatedImages: Sendable {
    /// The images in the order of the files.
    public var images: [AnnotatedImage] = []
    /// All classes, also those of no image, in the order of their numbers; empty if the format
    /// lists none.
    public var classes: [String] = []
    /// COCO's numbers of the classes.
    public var categories: [Int: String] = [:]
    /// The names of the keypoints of a class, where the format has them.
    public var keypointNames: [String: [String]] = [:]
    /// The names of the numbers of each image; empty if images have annotations.
    public var valueNames: [String] = []
    /// The program that predicted the annotations, where one did.
    package var writer = "graft"
    /// The format that was read, as people call it.
    public var format = ""
    /// What was left out.
    public var omissions = Omissions()
    /// What had to be assumed, as sentences.
    public var notes: [String] = []

    /// No images.
    public init() {}

    /// What was left out, a line for each cause.
    public var remarks: [String] { omissions.lines }

    /// The image of this path, or else of this file name.
    public func image(at path: String) -> AnnotatedImage? {
        func last(_ path: String) -> Substring? { path.split(separator: "/").last }
        return images.first { $0.path == path } ?? images.first { last($0.path) == last(path) }
    }

    /// The images of one part of the set.
    public func only(_ split: DataSplit) -> AnnotatedImages {
        var result = self
        result.images = images.filter { $0.split == split }
        return result
    }

    /// All classes in the order of ``classes``, or those that occur.
    public var names: [String] {
        classes.isEmpty ? sortedNames(images.flatMap { $0.annotations.map(\.label) }) : classes
    }

    /// The bounding boxes of all annotations.
    public var boxes: [TrueBox] {
        let places = places(names)
        return images.enumerated().flatMap { index, image in
            image.annotations.compactMap { annotation in
                guard let label = places[annotation.label], let box = annotation.boundingBox else {
                    return nil
                }
                return TrueBox(
                    photo: index, label: label, box: box, area: annotation.area,
                    isCrowd: annotation.isCrowd, isDifficult: annotation.isDifficult)
            }
        }
    }

    /// How many annotations ``boxes`` reduces to a box, as a sentence; nil if it reduces none.
    public var reduction: String? {
        let all = images.flatMap(\.annotations)
        let outlines = all.count { $0.isReducedToBox && !$0.polygons.isEmpty }
        let turned = all.count {
            $0.isReducedToBox && $0.polygons.isEmpty && !$0.orientedBox.isEmpty
        }
        let masks = all.count { $0.isReducedToBox && $0.mask != nil && $0.polygons.isEmpty }
        let kinds = [
            (outlines, "polygons"), (turned, "oriented boxes"), (masks, "masks"),
        ].filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        guard !kinds.isEmpty else { return nil }
        return "detection takes the bounding boxes of \(kinds.joined(separator: " and "))"
    }

    /// The labels of each image, or with `crops` an example of each box.
    func photos(_ path: String, _ reading: PhotoReading) throws -> PhotoFolder {
        let names =
            classes.isEmpty ? sortedNames(images.flatMap { $0.objects.map(\.label) }) : classes
        let places = places(names)
        var omissions = omissions
        for image in images where image.isMissing {
            let place = image.place ?? AnnotationPlace(file: image.path)
            omissions.add(.missingImage, at: place, image.name)
        }
        if !reading.crops { try PhotoFolder.checkTargets(path, names.count, images.count) }
        let keepsObjects = reading.task?.traits.needsObjects == true
        var items: [PhotoFolder.Item] = []
        for image in images where !image.isMissing {
            func item(_ name: String, _ classIndex: Int = 0) -> PhotoFolder.Item {
                var item = PhotoFolder.Item(
                    path: image.path, relativePath: name, classIndex: classIndex)
                (item.split, item.range, item.group) = (image.split, image.range, image.group)
                item.embedded = image.embedded
                return item
            }
            guard reading.crops else {
                var item = item(image.name)
                let shown = Set(image.objects.map(\.label))
                item.targets = names.map { shown.contains($0) ? 1 : 0 }
                if keepsObjects { item.annotations = image.annotations }
                items.append(item)
                continue
            }
            for (index, object) in image.objects.enumerated() {
                guard let box = object.boundingBox else { continue }
                var item = item("\(image.name)#\(index)", places[object.label] ?? 0)
                item.box = box
                // Objects of one image are not independent of each other.
                item.group = image.group ?? image.name
                items.append(item)
            }
        }
        var result = PhotoFolder(
            path: path, classes: names,
            items: items.sorted {
                ($0.classIndex, $0.relativePath) < ($1.classIndex, $1.relativePath)
            }, labelling: reading.crops ? .oneClass : .labels)
        result.remarks = omissions.lines
        result.notes =
            notes + (reading.crops || reading.reducesToBoxes ? [reduction].compactMap(\.self) : [])
        return result
    }
}

/// A file of annotations that cannot be read.
public enum AnnotationError: Diagnostic, Equatable {
    /// The file breaks its format's rules.
    case malformed(String, format: String, reason: String)

    /// What happened.
    public var message: String {
        switch self {
        case .malformed(let path, let format, let reason):
            "`\(path)` is not a valid \(format) file: \(reason)"
        }
    }

    /// What to do about it.
    public var hint: String? { nil }
}
