// COCO: a JSON file per split in `annotations`, the images in `images`.

import GraftImages

extension DataSetWriter {
    mutating func writeCOCO(_ progress: (Int, Int) throws -> Void) throws {
        let carried: Set<Uncarried.Kind> = [
            .polygons, .masks, .keypoints, .crowds, .scores, .areas, .boxesBesidePolygons,
        ]
        let numbers = categoryNumbers ?? Array(1...max(classes.count, 1))
        var imageNumbers: [Int] = outputs.compactMap(\.image.id)
        if Set(imageNumbers).count != outputs.count {
            imageNumbers = Array(1...max(outputs.count, 1))
        }
        var imageNumber = 0
        var annotationNumber = 0
        try folder.makeFolder("annotations")
        for (name, outputs) in parts {
            let images = name.isEmpty ? "images" : "images/" + name
            var file = try TextFile(
                folder.place("annotations/instances_\(name.isEmpty ? "default" : name).json"))
            try file.put("{\"info\":{\"description\":\"written by graft\"},\"licenses\":[],\n")
            try file.put("\"categories\":[")
            for (index, label) in classes.enumerated() {
                try file.put(index == 0 ? "\n" : ",\n")
                try file.put(category(label, number: numbers[index]))
            }
            try file.put("],\n\"images\":[")
            let first = imageNumber
            for (index, output) in outputs.enumerated() {
                let number = imageNumbers[imageNumber]
                imageNumber += 1
                try place(output, in: images)
                try file.put(
                    (index == 0 ? "\n" : ",\n")
                        + "{\"id\":\(number),\"file_name\":\(Written.quoted(output.name)),"
                        + "\"width\":\(output.width),\"height\":\(output.height)}")
                try progress(imageNumber, self.outputs.count)
            }
            try file.put("],\n\"annotations\":[")
            var isFirst = true
            for (index, output) in outputs.enumerated() {
                for object in objects(output, carrying: carried) {
                    annotationNumber += 1
                    try file.put(isFirst ? "\n" : ",\n")
                    isFirst = false
                    try file.put(
                        "{\"id\":\(annotationNumber),\"image_id\":\(imageNumbers[first + index]),"
                            + "\"category_id\":\(numbers[object.classIndex])," + fields(object)
                            + "}")
                }
            }
            try file.put("]}\n")
            try file.finish()
        }
        report.annotationCount = annotationNumber
    }

    private func category(_ label: String, number: Int) -> String {
        var text = "{\"id\":\(number),\"name\":\(Written.quoted(label)),\"supercategory\":\"\""
        if let names = keypointNames[label], !names.isEmpty {
            text +=
                ",\"keypoints\":[\(names.map(Written.quoted).joined(separator: ","))],\"skeleton\":[]"
        }
        return text + "}"
    }

    private func fields(_ object: BoxedObject) -> String {
        let (annotation, box) = (object.annotation, object.box)
        let sides = [box.left, box.top, box.right - box.left, box.bottom - box.top]
        var fields = ["\"bbox\":\(Written.numbers(sides))"]
        switch annotation.mask {
        case .runs(let runs, let width, let height)?:
            let counts = runs.map(String.init).joined(separator: ",")
            fields.append("\"segmentation\":{\"size\":[\(height),\(width)],\"counts\":[\(counts)]}")
        case .file?, nil:
            let outlines = annotation.polygons.map { Written.numbers($0.flat) }
            fields.append("\"segmentation\":[\(outlines.joined(separator: ","))]")
        }
        let area =
            annotation.area ?? annotation.mask?.area.map(Double.init) ?? outlineArea(annotation)
        fields.append("\"area\":\(Written.number(area ?? box.area))")
        fields.append("\"iscrowd\":\(annotation.isCrowd ? 1 : 0)")
        if let score = annotation.score { fields.append("\"score\":\(Written.number(score))") }
        if !annotation.keypoints.isEmpty {
            let numbers = annotation.keypoints.flatMap {
                [$0.point.x, $0.point.y, Double($0.visibility)]
            }
            fields.append("\"keypoints\":\(Written.numbers(numbers))")
            fields.append(
                "\"num_keypoints\":\(annotation.keypoints.count { $0.visibility > 0 })")
        }
        return fields.joined(separator: ",")
    }

    /// What the outlines enclose, by the shoelace formula; nil without any.
    private func outlineArea(_ annotation: Annotation) -> Double? {
        guard !annotation.polygons.isEmpty else { return nil }
        return annotation.polygons.reduce(0) { sum, points in
            var twice = 0.0
            for (index, point) in points.enumerated() {
                let next = points[(index + 1) % points.count]
                twice += point.x * next.y - next.x * point.y
            }
            return sum + abs(twice) / 2
        }
    }
}
