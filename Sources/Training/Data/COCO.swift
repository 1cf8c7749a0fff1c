// COCO's annotations: one JSON file of images, categories and objects.

import GraftFormats
import GraftImages
import GraftTensors

/// Reads `instances_*.json`, `person_keypoints_*.json` and what other programs call COCO.
enum COCO {
    /// Whether a JSON value is such a file.
    static func matches(_ tree: JSONTree) -> Bool {
        guard let object = tree.object else { return false }
        return object["images"]?.list != nil
            && (object["annotations"] != nil || object["categories"] != nil)
    }

    static func read(
        _ tree: JSONTree, path: String, split: DataSplit?, _ reading: PhotoReading
    ) throws -> AnnotatedImages {
        var file = COCOFile(path: path, split: split, reading)
        try file.read(tree)
        return file.draft.finished(reading)
    }
}

/// One file as it is read.
private struct COCOFile {
    let path: String
    let split: DataSplit?
    let finder: ImageFinder
    var draft = AnnotationDraft(format: "COCO")
    /// The classes and the entries by their ids, which may be numbers or texts.
    private var names: [String: String] = [:]
    private var places: [String: Int] = [:]
    private var paths: [String: Int] = [:]
    private var skeletons: [String: [String]] = [:]
    private var supercategories: Set<String> = []
    /// Whether annotations hold segments, as a panoptic set's do.
    private var isPanoptic = false

    init(path: String, split: DataSplit?, _ reading: PhotoReading) {
        self.path = path
        self.split = split
        finder = ImageFinder(near: folder(of: path), split: split, reading)
    }

    private func malformed(_ reason: String) -> AnnotationError {
        .malformed(path, format: "COCO", reason: reason)
    }

    private mutating func leaveOut(
        _ cause: Omissions.Cause, _ entry: String, _ line: Int?, _ detail: String = ""
    ) {
        let place = AnnotationPlace(file: path, line: line, entry: entry)
        draft.set.omissions.add(cause, at: place, detail)
    }

    mutating func read(_ tree: JSONTree) throws {
        guard let object = tree.object, let images = object["images"]?.list else {
            throw malformed("expected `images`, `categories` and `annotations`")
        }
        let annotations = object["annotations"]?.list
        for (index, category) in (object["categories"]?.list ?? []).enumerated() {
            read(category: category, index)
        }
        guard !names.isEmpty || annotations?.isEmpty != false else {
            throw malformed("expected `categories` with `id` and `name`, found none")
        }
        for (index, image) in images.enumerated() { read(image: image, index) }
        if annotations == nil {
            draft.set.notes.append(
                "`\(path)` has no `annotations`: nothing is in its images")
        }
        var used: Set<String> = []
        for (index, annotation) in (annotations ?? []).enumerated() {
            used.formUnion(read(annotation: annotation, index))
        }
        draft.set.notes += finder.notes
        settleClasses(used)
    }

    private mutating func read(category: JSONTree, _ index: Int) {
        let entry = "category \(index)"
        guard let object = category.object, let id = object["id"]?.name,
            let name = object["name"]?.name
        else {
            return leaveOut(.malformed, entry, category.object?.line, "expected `id` and `name`")
        }
        guard names[id] == nil else { return leaveOut(.duplicate, entry, object.line, "id \(id)") }
        names[id] = name
        if let above = object["supercategory"]?.string, above != name {
            supercategories.insert(above)
        }
        if let points = object["keypoints"]?.list {
            skeletons[id] = points.map { $0.name ?? "" }
            draft.set.keypointNames[name] = skeletons[id]
        }
        if let number = Int(id) { draft.set.categories[number] = name }
    }

    private mutating func read(image: JSONTree, _ index: Int) {
        let entry = "image \(index)"
        guard let object = image.object, let id = object["id"]?.name,
            let name = (object["file_name"] ?? object["filename"] ?? object["path"])?.string
        else {
            return leaveOut(.malformed, entry, image.object?.line, "expected `id` and `file_name`")
        }
        guard places[id] == nil else {
            return leaveOut(.duplicate, entry, object.line, "image id \(id)")
        }
        let found = finder.find(name)
        if let found, let first = paths[found] {
            // Listed twice under two numbers: the annotations of both are of one image.
            places[id] = first
            return leaveOut(.duplicate, entry, object.line, "image `\(name)`")
        }
        if let found { paths[found] = self.draft.entries.count }
        var image = AnnotatedImage(
            path: found ?? join(folder(of: path), name), name: name, id: Int(id))
        image.isMissing = found == nil
        if image.id == nil { image.identifier = id }
        image.split = split
        image.place = AnnotationPlace(file: path, line: object.line, entry: entry)
        var draft = AnnotationDraft.Entry(image)
        if let width = object["width"]?.number.flatMap({ Int(exactly: $0) }),
            let height = object["height"]?.number.flatMap({ Int(exactly: $0) }), width > 0,
            height > 0
        {
            draft.recorded = (width, height)
        }
        places[id] = self.draft.entries.count
        self.draft.entries.append(draft)
    }

    /// The classes of what an annotation holds, if it counts: one, or in a panoptic set one for each
    /// segment, whose masks are images beside that are not read.
    private mutating func read(annotation tree: JSONTree, _ index: Int) -> [String] {
        guard let object = tree.object else {
            leaveOut(.malformed, "annotation \(index)", nil, "expected an object")
            return []
        }
        let id = object["id"]?.name
        let entry = "annotation \(index)" + (id.map { ", id \($0)" } ?? "")
        guard let image = object["image_id"]?.name, let place = places[image] else {
            let found = object["image_id"]?.name ?? "none"
            leaveOut(.unknownImage, entry, object.line, "image id \(found)")
            return []
        }
        guard let segments = object["segments_info"]?.list else {
            return [read(object, entry, place)].compactMap(\.self)
        }
        if !isPanoptic {
            isPanoptic = true
            draft.set.notes.append(
                "`\(path)` is a panoptic set: the boxes of its segments are read, their masks are not"
            )
        }
        return segments.enumerated().compactMap { number, segment in
            guard let segment = segment.object else { return nil }
            return read(segment, entry + ", segment \(number)", place)
        }
    }

    private mutating func read(_ object: JSONObject, _ entry: String, _ place: Int) -> String? {
        guard let category = object["category_id"]?.name, let name = names[category] else {
            let found = object["category_id"]?.name ?? "none"
            leaveOut(.unknownClass, entry, object.line, "category id \(found)")
            return nil
        }
        var annotation = Annotation(
            label: name, place: AnnotationPlace(file: path, line: object.line, entry: entry))
        annotation.isCrowd = object["iscrowd"]?.truth ?? false
        if let area = object["area"]?.number, area.isFinite, area > 0 { annotation.area = area }
        if let score = object["score"]?.number, score.isFinite { annotation.score = score }
        read(
            segmentation: object["segmentation"], &annotation,
            recorded: draft.entries[place].recorded)
        if let numbers = object["keypoints"]?.numbers {
            let names = skeletons[category] ?? []
            for (at, start) in stride(from: 0, to: numbers.count - 2, by: 3).enumerated() {
                annotation.keypoints.append(
                    .init(
                        point: .init(x: numbers[start], y: numbers[start + 1]),
                        visibility: Int(exactly: numbers[start + 2].rounded()) ?? 0,
                        name: names.indices.contains(at) ? names[at] : nil))
            }
        }
        if let sides = object["bbox"]?.numbers, sides.count == 4 {
            annotation.box = Box(
                left: sides[0], top: sides[1], right: sides[0] + sides[2],
                bottom: sides[1] + sides[3])
        } else if annotation.boundingBox == nil {
            let found =
                switch object["bbox"] {
                case nil, .null?: "no `bbox`"
                case let value?: "a `bbox` of \(value.list?.count ?? 0) numbers"
                }
            leaveOut(.noGeometry, entry, object.line, found)
            return nil
        }
        draft.entries[place].annotations.append(annotation)
        return name
    }

    /// Polygons, or run lengths as numbers or in COCO's characters.
    private mutating func read(
        segmentation tree: JSONTree?, _ annotation: inout Annotation,
        recorded: (width: Int, height: Int)?
    ) {
        switch tree {
        case .list(let parts)?:
            annotation.polygons = parts.compactMap(\.numbers).filter { $0.count >= 6 }.map(points)
        // One polygon without the list around it.
        case .numbers(let numbers)? where numbers.count >= 6:
            annotation.polygons = [points(numbers)]
        case .object(let object)?:
            guard let size = object["size"]?.numbers, size.count == 2,
                let height = Int(exactly: size[0]), let width = Int(exactly: size[1]),
                width > 0, height > 0
            else { return }
            let runs: [Int]? =
                switch object["counts"] {
                case .text(let text)?: RunLengths.decode(text)
                case let counts?:
                    counts.numbers.flatMap { numbers in
                        let whole = numbers.compactMap { Int(exactly: $0) }
                        return whole.count == numbers.count ? whole : nil
                    }
                case nil: nil
                }
            guard let runs, runs.allSatisfy({ $0 >= 0 }),
                RunLengths.fit(runs, width: width, height: height)
            else { return }
            annotation.mask = .runs(runs, width: width, height: height)
        default: return
        }
    }

    private func points(_ numbers: [Double]) -> [Annotation.Point] {
        stride(from: 0, to: numbers.count - 1, by: 2).map {
            .init(x: numbers[$0], y: numbers[$0 + 1])
        }
    }

    /// The classes in the order of their names, without Roboflow's name of the whole project, which
    /// stands above the others and annotates nothing.
    private mutating func settleClasses(_ used: Set<String>) {
        for name in Set(names.values) where supercategories.contains(name) && !used.contains(name) {
            draft.set.notes.append(
                "`\(name)` is the name above the other classes and is not a class")
            for (id, other) in names where other == name { names[id] = nil }
        }
        draft.set.classes = sortedNames(names.values)
    }
}

/// COCO's runs of pixels in characters: six bits each, differences from the run before the last.
enum RunLengths {
    /// The runs of a text; nil if it is none.
    static func decode(_ text: String) -> [Int]? {
        var runs: [Int] = []
        var bytes = text.utf8.makeIterator()
        while let first = bytes.next() {
            var value = 0
            var shift = 0
            var byte = first
            while true {
                guard (48..<112).contains(byte), shift < 55 else { return nil }
                let bits = Int(byte) - 48
                value |= (bits & 0x1F) << shift
                shift += 5
                if bits & 0x20 == 0 {
                    if bits & 0x10 != 0 { value |= -1 << shift }
                    break
                }
                guard let next = bytes.next() else { return nil }
                byte = next
            }
            let before = runs.count > 2 ? runs[runs.count - 2] : 0
            let (sum, isOver) = value.addingReportingOverflow(before)
            guard !isOver else { return nil }
            runs.append(sum)
        }
        return runs
    }

    /// Whether runs cover no more pixels than there are.
    static func fit(_ runs: [Int], width: Int, height: Int) -> Bool {
        guard width <= AnnotationMask.pixelLimit / height else { return false }
        var left = width * height
        for count in runs {
            guard count <= left else { return false }
            left -= count
        }
        return true
    }
}

/// A path in a folder; an absolute one stands alone.
func join(_ folder: String, _ name: String) -> String {
    name.hasPrefix("/") || folder.isEmpty ? name : folder + "/" + name
}
