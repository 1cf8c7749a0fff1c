// JSON of labelling tools: which one wrote a file, and the readers of Create ML, LabelMe and VIA.

import GraftFormats
import GraftImages
import GraftTensors

/// A tool's export in one or many JSON files.
enum JSONExport {
    /// The tools whose exports are told by their keys.
    enum Kind: String {
        case coco = "COCO"
        case createML = "Create ML"
        case labelStudio = "Label Studio"
        case labelMe = "LabelMe"
        case via = "VIA"
        case supervisely = "Supervisely"
        case datumaro = "Datumaro"
        case vott = "VoTT"

        /// Whether there is a file for each image.
        var isPerImage: Bool { self == .labelMe || self == .supervisely }
    }

    /// The tool that wrote a value; nil if it is none of these.
    static func kind(_ tree: JSONTree) -> Kind? {
        if COCO.matches(tree) { return .coco }
        if let object = tree.object {
            if object["shapes"]?.list != nil { return .labelMe }
            if object["_via_img_metadata"]?.object != nil { return .via }
            if object["view"]?.object != nil, object["metadata"]?.object != nil { return .via }
            if object["objects"]?.list != nil, object["size"]?.object != nil { return .supervisely }
            if object["items"]?.list != nil, object["categories"]?.object != nil {
                return .datumaro
            }
            if object["assets"]?.object != nil, object["tags"]?.list != nil { return .vott }
            let first = object.members.first?.value.object
            if first?["regions"] != nil, first?["filename"] != nil { return .via }
            return nil
        }
        guard let first = tree.list?.first(where: { $0.object != nil })?.object else { return nil }
        if first["image"] != nil || first["imagefilename"] != nil,
            first["annotations"] != nil || first["annotation"] != nil
        {
            return .createML
        }
        let results = ["annotations", "completions", "predictions", "label", "bbox", "polygon"]
        if first["data"]?.object != nil || first["image"] != nil || first["img"] != nil,
            results.contains(where: { first[$0] != nil })
        {
            return .labelStudio
        }
        return nil
    }
}

/// What all these readers do: images by name, each once, with what goes wrong counted.
struct JSONSet {
    let path: String
    let split: DataSplit?
    private let reading: PhotoReading
    private let finder: ImageFinder
    private var finders: [String: ImageFinder] = [:]
    var draft: AnnotationDraft
    private var places: [String: Int] = [:]

    init(_ kind: JSONExport.Kind, path: String, split: DataSplit?, _ reading: PhotoReading) {
        self.path = path
        self.split = split
        self.reading = reading
        finder = ImageFinder(near: folder(of: path), split: split, reading)
        draft = AnnotationDraft(format: kind.rawValue)
    }

    mutating func leaveOut(_ cause: Omissions.Cause, _ place: AnnotationPlace, _ detail: String) {
        draft.set.omissions.add(cause, at: place, detail)
    }

    /// The index of an image's entry, which is made if it is new.
    mutating func entry(
        _ name: String, at place: AnnotationPlace, size: (width: Int, height: Int)? = nil
    ) -> Int {
        if let known = places[name] { return known }
        let found = finder.find(name)
        return makeEntry(name, found: found, at: place, size: size)
    }

    /// The index of the entry of an image that was found.
    mutating func entry(path: String, at place: AnnotationPlace, size: (width: Int, height: Int)?)
        -> Int
    {
        places[path] ?? makeEntry(path, found: path, at: place, size: size)
    }

    /// A finder near a folder.
    mutating func finder(near folder: String) -> ImageFinder {
        if let known = finders[folder] { return known }
        let root = GraftTraining.folder(of: path)
        let new = ImageFinder(near: folder, root: root, reading)
        finders[folder] = new
        return new
    }

    private mutating func makeEntry(
        _ name: String, found: String?, at place: AnnotationPlace, size: (width: Int, height: Int)?
    ) -> Int {
        var image = AnnotatedImage(
            path: found ?? join(folder(of: place.file), name), name: found.map(relative) ?? name)
        image.isMissing = found == nil
        image.split = split
        image.place = place
        var entry = AnnotationDraft.Entry(image)
        entry.recorded = size
        places[name] = draft.entries.count
        draft.entries.append(entry)
        return draft.entries.count - 1
    }

    private func relative(_ image: String) -> String {
        let base = normalized(folder(of: path))
        let full = normalized(image)
        return full.hasPrefix(base + "/") ? String(full.dropFirst(base.count + 1)) : full
    }

    /// The set as it was read.
    consuming func finished(_ reading: PhotoReading) -> AnnotatedImages {
        var draft = draft
        for finder in [finder] + finders.values {
            draft.set.notes += finder.notes.filter { !draft.set.notes.contains($0) }
        }
        return draft.finished(reading)
    }

    mutating func add(_ annotation: Annotation, to entry: Int) {
        draft.entries[entry].annotations.append(annotation)
    }
}

extension JSONObject {
    /// A size of two members that are positive whole numbers.
    func size(_ width: String, _ height: String) -> (width: Int, height: Int)? {
        guard let width = self[width]?.number.flatMap({ Int(exactly: $0) }), width > 0,
            let height = self[height]?.number.flatMap({ Int(exactly: $0) }), height > 0
        else { return nil }
        return (width, height)
    }

    /// The numbers of these members, if all are there.
    func numbers(_ names: String...) -> [Double]? {
        let found = names.compactMap { self[$0]?.number }
        return found.count == names.count ? found : nil
    }
}

extension JSONSet {
    /// Create ML: a list of images with boxes by their centres.
    mutating func readCreateML(_ tree: JSONTree) {
        for (index, value) in (tree.list ?? []).enumerated() {
            let line = value.object?.line
            let place = AnnotationPlace(file: path, line: line, entry: "image \(index)")
            guard let object = value.object,
                let name = (object["image"] ?? object["imagefilename"])?.string
            else {
                leaveOut(.malformed, place, "expected `image` and `annotations`")
                continue
            }
            let entry = entry(name, at: place)
            let list = object["annotations"] ?? object["annotation"]
            if let label = list?.string {
                add(Annotation(label: label, place: place), to: entry)
                continue
            }
            for (at, part) in (list?.list ?? []).enumerated() {
                let place = AnnotationPlace(
                    file: path, line: part.object?.line, entry: "image \(index), annotation \(at)")
                guard let object = part.object, let label = object["label"]?.name else {
                    leaveOut(.malformed, place, "expected `label` and `coordinates`")
                    continue
                }
                var annotation = Annotation(label: label, place: place)
                guard
                    let sides = object["coordinates"]?.object?.numbers("x", "y", "width", "height")
                else {
                    leaveOut(.noGeometry, place, "class `\(label)`")
                    continue
                }
                annotation.box = Box(
                    left: sides[0] - sides[2] / 2, top: sides[1] - sides[3] / 2,
                    right: sides[0] + sides[2] / 2, bottom: sides[1] + sides[3] / 2)
                add(annotation, to: entry)
            }
        }
    }

    /// LabelMe: the shapes of one image.
    mutating func readLabelMe(_ tree: JSONTree, file: String) {
        guard let object = tree.object else { return }
        let place = AnnotationPlace(file: file, line: object.line)
        let name = object["imagePath"]?.string ?? ""
        let beside = folder(of: file)
        let finder = self.finder(near: beside)
        let found = finder.find(name) ?? finder.find(fileName(stem(file)), anyExtension: true)
        guard let found else { return leaveOut(.noImage, place, name) }
        let entry = entry(path: found, at: place, size: object.size("imageWidth", "imageHeight"))
        for shape in object["shapes"]?.list ?? [] {
            let place = AnnotationPlace(file: file, line: shape.object?.line)
            guard let shape = shape.object, let label = shape["label"]?.name else {
                leaveOut(.malformed, place, "expected a `label`")
                continue
            }
            let points = (shape["points"]?.list ?? []).compactMap(\.numbers).filter {
                $0.count == 2
            }
            .map { Annotation.Point(x: $0[0], y: $0[1]) }
            var annotation = Annotation(label: label, place: place)
            let kind = shape["shape_type"]?.string ?? "polygon"
            switch (kind, points.count) {
            case ("rectangle", 2...), ("mask", 2...): annotation.box = Box(around: points)
            case ("rotation", 4): annotation.orientedBox = points
            case ("circle", 2):
                let (x, y) = (points[1].x - points[0].x, points[1].y - points[0].y)
                let radius = (x * x + y * y).squareRoot()
                annotation.polygons = [
                    Annotation.ellipse(center: points[0], rx: radius, ry: radius)
                ]
            case ("polygon", 3...): annotation.polygons = [points]
            case ("point", 1...), ("points", 1...):
                annotation.keypoints = points.map { .init(point: $0) }
            default:
                leaveOut(.unsupported, place, "`\(kind)` of \(points.count) points")
                continue
            }
            add(annotation, to: entry)
        }
    }

    /// VIA: regions of images by name, as the project or the export has them.
    mutating func readVIA(_ tree: JSONTree) {
        guard let root = tree.object else { return }
        if root["view"]?.object != nil { return readVIA3(root) }
        let images = root["_via_img_metadata"]?.object ?? root
        for (key, value) in images.members.map({ ($0.key, $0.value) }) {
            let place = AnnotationPlace(file: path, line: value.object?.line, entry: key)
            guard let object = value.object, let name = object["filename"]?.string else {
                leaveOut(.malformed, place, "expected `filename` and `regions`")
                continue
            }
            let entry = entry(name, at: place)
            // A list, or in version 1 an object by number.
            let regions =
                object["regions"]?.list ?? object["regions"]?.object?.members.map(\.value) ?? []
            for region in regions {
                let place = AnnotationPlace(file: path, line: region.object?.line, entry: key)
                guard let region = region.object, let shape = region["shape_attributes"]?.object,
                    let label = Self.label(region["region_attributes"]?.object)
                else {
                    leaveOut(.noLabel, place, "expected a class in `region_attributes`")
                    continue
                }
                var annotation = Annotation(label: label, place: place)
                guard VIAShape.read(shape, &annotation) else {
                    leaveOut(.unsupported, place, "`\(shape["name"]?.string ?? "no shape")`")
                    continue
                }
                add(annotation, to: entry)
            }
        }
    }

    /// The class among a region's attributes: the one of a usual name, or the only one.
    static func label(_ attributes: JSONObject?) -> String? {
        guard let attributes else { return nil }
        let usual = ["label", "class", "name", "type", "category", "object_name", "object"]
        let member =
            usual.lazy.compactMap { name in
                attributes.members.first { $0.key.lowercased() == name }
            }.first ?? (attributes.members.count == 1 ? attributes.members.first : nil)
        guard let value = member?.value else { return nil }
        if let name = value.name { return name.isEmpty ? nil : name }
        // A group of check boxes: `{"cat": true}`.
        return value.object?.members.first { $0.value.truth == true }?.key
    }
}

/// The shapes that VIA draws.
enum VIAShape {
    /// Adds a shape; false if it is none that graft reads.
    static func read(_ shape: JSONObject, _ annotation: inout Annotation) -> Bool {
        switch shape["name"]?.string {
        case "rect":
            guard let sides = shape.numbers("x", "y", "width", "height") else { return false }
            annotation.box = Box(
                left: sides[0], top: sides[1], right: sides[0] + sides[2],
                bottom: sides[1] + sides[3])
        case "polygon", "polyline":
            guard let xs = shape["all_points_x"]?.numbers, let ys = shape["all_points_y"]?.numbers,
                xs.count == ys.count, xs.count >= 3
            else { return false }
            annotation.polygons = [zip(xs, ys).map { .init(x: $0, y: $1) }]
        case "circle":
            guard let numbers = shape.numbers("cx", "cy", "r") else { return false }
            annotation.polygons = [
                Annotation.ellipse(
                    center: .init(x: numbers[0], y: numbers[1]), rx: numbers[2], ry: numbers[2])
            ]
        case "ellipse":
            guard let numbers = shape.numbers("cx", "cy", "rx", "ry") else { return false }
            let radians = shape["theta"]?.number ?? 0
            annotation.polygons = [
                Annotation.ellipse(
                    center: .init(x: numbers[0], y: numbers[1]), rx: numbers[2], ry: numbers[3],
                    degrees: radians * 180 / .pi)
            ]
        case "point":
            guard let numbers = shape.numbers("cx", "cy") else { return false }
            annotation.keypoints = [.init(point: .init(x: numbers[0], y: numbers[1]))]
        default: return false
        }
        return true
    }
}
