// Photos with labelled boxes, whoever wrote them down, and what a classifier learns from them.

public import GraftImages
public import GraftTensors

/// Photos and the things that are boxed in them. Boxes are in pixels from the top left corner.
public struct AnnotatedPhotos: Sendable {
    /// Something in a photo.
    public struct Thing: Sendable {
        /// Its class.
        public var label: String
        /// Where.
        public var box: Box
        /// Many of a kind in one box: COCO's `iscrowd`.
        public var isCrowd = false
        /// Hard to see: Pascal VOC's `difficult`.
        public var isDifficult = false
        /// The area of the thing itself, where the file says so.
        public var area: Double?
    }

    /// A photo.
    public struct Photo: Sendable {
        /// Where it is.
        public var path: String
        /// What it is called.
        public var name: String
        /// COCO's number of it.
        public var id: Int?
        /// What is in it, crowds and all, in the order of the file.
        public var marks: [Thing] = []
        /// What is in it, one by one: crowds are no single things.
        public var things: [Thing] { marks.filter { !$0.isCrowd } }
    }

    /// The photos in the order of the files.
    public var photos: [Photo] = []
    /// What was left out, and why.
    public var remarks: [String] = []
    /// All classes, also those that no photo shows; empty is those that occur.
    public var classes: [String] = []
    /// COCO's numbers of the classes.
    public var categories: [Int: String] = [:]

    /// Reads annotations by what they look like: COCO's `.json`, YOLO's `.yaml`, else a Pascal VOC
    /// folder.
    ///
    /// - Throws: ``AnnotationError`` or `FileError`.
    public static func read(_ path: String) throws -> AnnotatedPhotos {
        switch path.split(separator: ".").last?.lowercased() {
        case "json": try COCO.read(path)
        case "yaml", "yml": try YOLO.read(path)
        default: try VOC.read(path)
        }
    }

    /// The photo of this path, or else of this file name.
    public func photo(at path: String) -> Photo? {
        func last(_ path: String) -> Substring? { path.split(separator: "/").last }
        return photos.first { $0.path == path } ?? photos.first { last($0.path) == last(path) }
    }

    /// Notes a box, unless it covers nothing: that is remarked instead.
    mutating func add(_ thing: Thing, to photo: inout Photo, place: String) {
        let (box, label) = (thing.box, thing.label)
        let sides = [box.left, box.top, box.right, box.bottom]
        guard sides.allSatisfy(\.isFinite), box.right > box.left, box.bottom > box.top else {
            remarks.append(
                "\(place): a box of `\(label)` covers nothing (\(box.left), \(box.top) to \(box.right), \(box.bottom))"
            )
            return
        }
        photo.marks.append(thing)
    }

    /// All classes in the order of ``classes``, or those that occur.
    public var names: [String] {
        classes.isEmpty ? sortedNames(photos.flatMap { $0.marks.map(\.label) }) : classes
    }

    /// The annotated boxes of the classes ``names``.
    public var boxes: [TrueBox] {
        let places = Dictionary(
            names.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        return photos.enumerated().flatMap { index, photo in
            photo.marks.compactMap { thing in
                places[thing.label].map {
                    TrueBox(
                        photo: index, label: $0, box: thing.box, area: thing.area,
                        isCrowd: thing.isCrowd, isDifficult: thing.isDifficult)
                }
            }
        }
    }

    /// Examples for a classifier: which labels each photo shows, or with `crops` one example for
    /// each box.
    func photos(_ path: String, _ reading: PhotoReading) throws -> PhotoFolder {
        let names =
            classes.isEmpty ? sortedNames(photos.flatMap { $0.things.map(\.label) }) : classes
        let places = Dictionary(
            names.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        guard names.count > (reading.crops ? 1 : 0) || reading.isForEvaluation else {
            throw PhotoFolderError.oneClass(path, name: names.first ?? "none")
        }
        if !reading.crops { try PhotoFolder.checkTargets(path, names.count, photos.count) }
        var items: [PhotoFolder.Item] = []
        for photo in photos {
            guard reading.crops else {
                var item = PhotoFolder.Item(
                    path: photo.path, relativePath: photo.name, classIndex: 0)
                let shown = Set(photo.things.map(\.label))
                item.targets = names.map { shown.contains($0) ? 1 : 0 }
                items.append(item)
                continue
            }
            for (index, thing) in photo.things.enumerated() {
                var item = PhotoFolder.Item(
                    path: photo.path, relativePath: "\(photo.name)#\(index)",
                    classIndex: places[thing.label] ?? 0)
                item.box = thing.box
                // Things of one photo are not independent of each other.
                item.group = photo.name
                items.append(item)
            }
        }
        var result = PhotoFolder(
            path: path, classes: names,
            items: items.sorted {
                ($0.classIndex, $0.relativePath) < ($1.classIndex, $1.relativePath)
            }, task: reading.crops ? .classification : .multiLabel)
        result.remarks = remarks
        return result
    }
}

/// A file of annotations that is not one.
public enum AnnotationError: Diagnostic, Equatable {
    /// The file breaks its format's rules.
    case malformed(String, format: String, reason: String)

    /// What happened.
    public var message: String {
        switch self {
        case .malformed(let path, let format, let reason):
            "`\(path)` is no file of \(format) annotations: \(reason)"
        }
    }

    /// What to do about it.
    public var hint: String? { nil }
}
