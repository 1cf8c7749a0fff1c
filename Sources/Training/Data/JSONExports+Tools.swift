// JSON of Supervisely, a file for each image, and of Datumaro, a file for each split.

import GraftFormats
import GraftImages
import GraftTensors

extension JSONSet {
    /// Supervisely: the objects of one image, in `ann/1.jpg.json` beside `img/1.jpg`.
    mutating func readSupervisely(_ tree: JSONTree, file: String) {
        guard let object = tree.object else { return }
        let place = AnnotationPlace(file: file, line: object.line)
        let name = fileName(stem(file))
        let finder = self.finder(near: folder(of: file))
        guard let found = finder.find("../img/" + name) ?? finder.find(name) else {
            return leaveOut(.noImage, place, name)
        }
        let size = object["size"]?.object?.size("width", "height")
        let entry = entry(path: found, at: place, size: size)
        for tag in object["tags"]?.list ?? [] {
            if let label = tag.object?["name"]?.name {
                add(Annotation(label: label, place: place), to: entry)
            }
        }
        for part in object["objects"]?.list ?? [] {
            let place = AnnotationPlace(file: file, line: part.object?.line)
            guard let shape = part.object, let label = shape["classTitle"]?.name else {
                leaveOut(.malformed, place, "expected a `classTitle`")
                continue
            }
            let points = (shape["points"]?.object?["exterior"]?.list ?? []).compactMap(\.numbers)
                .filter { $0.count == 2 }.map { Annotation.Point(x: $0[0], y: $0[1]) }
            var annotation = Annotation(label: label, place: place)
            let kind = shape["geometryType"]?.string ?? "polygon"
            switch (kind, points.count) {
            case ("rectangle", 2...): annotation.box = Box(around: points)
            case ("polygon", 3...): annotation.polygons = [points]
            case ("point", 1...): annotation.keypoints = points.map { .init(point: $0) }
            default:
                leaveOut(.unsupported, place, "`\(kind)` of \(points.count) points")
                continue
            }
            add(annotation, to: entry)
        }
    }

    /// Datumaro: items with their annotations, whose labels are numbers of a list.
    mutating func readDatumaro(_ tree: JSONTree) {
        guard let root = tree.object else { return }
        let labels = root["categories"]?.object?["label"]?.object?["labels"]?.list ?? []
        let names = labels.map { $0.object?["name"]?.name ?? "" }
        draft.set.classes = names
        for (index, value) in (root["items"]?.list ?? []).enumerated() {
            let item = "item \(index)"
            let place = AnnotationPlace(file: path, line: value.object?.line, entry: item)
            guard let object = value.object, let id = object["id"]?.name else {
                leaveOut(.malformed, place, "expected an `id`")
                continue
            }
            let image = object["image"]?.object
            let sides = (image?["size"]?.numbers ?? []).compactMap { Int(exactly: $0) }
            let size =
                sides.count == 2 && sides.allSatisfy { $0 > 0 } ? (sides[1], sides[0]) : nil
            let entry = entry(image?["path"]?.string ?? id, at: place, size: size)
            for part in object["annotations"]?.list ?? [] {
                let place = AnnotationPlace(file: path, line: part.object?.line, entry: item)
                guard let shape = part.object else { continue }
                guard let number = shape["label_id"]?.number.flatMap({ Int(exactly: $0) }),
                    names.indices.contains(number)
                else {
                    leaveOut(.unknownClass, place, "label \(shape["label_id"]?.name ?? "none")")
                    continue
                }
                var annotation = Annotation(label: names[number], place: place)
                let flat = shape["points"]?.numbers ?? []
                let kind = shape["type"]?.string ?? "none"
                switch kind {
                case "label": break
                case "bbox":
                    guard let sides = shape["bbox"]?.numbers, sides.count == 4 else {
                        leaveOut(.noGeometry, place, "class `\(names[number])`")
                        continue
                    }
                    annotation.box = Box(
                        left: sides[0], top: sides[1], right: sides[0] + sides[2],
                        bottom: sides[1] + sides[3])
                case "polygon" where flat.count >= 6:
                    annotation.polygons = [
                        stride(from: 0, to: flat.count - 1, by: 2).map {
                            .init(x: flat[$0], y: flat[$0 + 1])
                        }
                    ]
                default:
                    leaveOut(.unsupported, place, "`\(kind)`")
                    continue
                }
                add(annotation, to: entry)
            }
        }
    }
}
