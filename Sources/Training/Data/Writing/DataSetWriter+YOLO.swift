// Ultralytics' YOLO: `data.yaml`, images and label files in folders of the same names.

import GraftImages

extension DataSetWriter {
    mutating func writeYOLO(_ progress: (Int, Int) throws -> Void) throws {
        let hasOutlines = outputs.contains {
            $0.image.annotations.contains { !$0.polygons.isEmpty && !$0.isCrowd }
        }
        let hasOriented = outputs.contains {
            $0.image.annotations.contains { !$0.orientedBox.isEmpty }
        }
        var carried: Set<Uncarried.Kind> = [.polygons]
        if hasOriented { carried.insert(.orientedBoxes) }
        var yaml = ""
        for (name, _) in parts where !name.isEmpty { yaml += "\(name): images/\(name)\n" }
        if !isDivided { yaml += "train: images\n" }
        if !parts.contains(where: { $0.name == "val" }) {
            report.notes.append(
                "the set has no validation split, which Ultralytics requires: add `val:` to data.yaml"
            )
        }
        yaml += "nc: \(classes.count)\nnames:\n"
        // A quoted JSON text is a quoted YAML text.
        for (index, label) in classes.enumerated() {
            yaml += "  \(index): \(Written.quoted(label))\n"
        }
        try folder.write(yaml, to: "data.yaml")
        var done = 0
        for (name, outputs) in parts {
            let images = name.isEmpty ? "images" : "images/" + name
            let labels = name.isEmpty ? "labels" : "labels/" + name
            var stems: Set<String> = []
            for var output in outputs {
                if !stems.insert(output.stem).inserted {
                    // `a.jpg` and `a.png` would share a label file.
                    output.name =
                        "\(output.stem)-\(done).\(output.name.split(separator: ".").last ?? "jpg")"
                    stems.insert(output.stem)
                    report.uncarried.add(.names)
                }
                try place(output, in: images)
                var text = ""
                for object in objects(output, carrying: carried) {
                    text += line(object, in: output, asOutline: hasOutlines || hasOriented) + "\n"
                    report.annotationCount += 1
                }
                try folder.write(text, to: labels + "/\(output.stem).txt")
                done += 1
                try progress(done, self.outputs.count)
            }
        }
    }

    private mutating func line(
        _ object: BoxedObject, in output: Output, asOutline: Bool
    ) -> String {
        let (width, height) = (Double(output.width), Double(output.height))
        let (annotation, box) = (object.annotation, object.box)
        var values: [Double]
        if asOutline {
            // Readers take every line of a set with outlines for one.
            var outline = annotation.polygons.joined
            if annotation.polygons.count > 1 { report.uncarried.add(.joinedPolygons) }
            if !annotation.polygons.isEmpty, Box(around: annotation.polygons.flatMap { $0 }) != box
            {
                report.uncarried.add(.boxesBesidePolygons)
            }
            if outline.isEmpty { outline = annotation.orientedBox }
            if outline.isEmpty {
                outline = box.corners
                report.uncarried.add(.boxesAsPolygons)
            }
            values = outline.flatMap { [$0.x / width, $0.y / height] }
        } else {
            values = [
                (box.left + box.right) / 2 / width, (box.top + box.bottom) / 2 / height,
                (box.right - box.left) / width, (box.bottom - box.top) / height,
            ]
        }
        // A box of an object that is cut by the edge may reach beyond it; shares may not.
        if !asOutline, box.left < 0 || box.top < 0 || box.right > width || box.bottom > height {
            let (left, right) = (max(box.left, 0), min(box.right, width))
            let (top, bottom) = (max(box.top, 0), min(box.bottom, height))
            values = [
                (left + right) / 2 / width, (top + bottom) / 2 / height, (right - left) / width,
                (bottom - top) / height,
            ]
            report.uncarried.add(.clippedBoxes)
        } else if asOutline, values.contains(where: { !(0...1).contains($0) }) {
            values = values.map { min(max($0, 0), 1) }
            report.uncarried.add(.clippedBoxes)
        }
        return ([String(object.classIndex)] + values.map(Written.number)).joined(separator: " ")
    }
}
