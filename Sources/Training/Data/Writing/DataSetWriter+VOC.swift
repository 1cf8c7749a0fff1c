// Pascal VOC: an XML file per image, and lists of the splits.

import GraftImages

extension DataSetWriter {
    mutating func writeVOC(_ progress: (Int, Int) throws -> Void) throws {
        // The format counts pixels from 1, and its last pixel belongs to the box.
        var written: Set<String> = []
        var labels: Set<String> = []
        var done = 0
        for (name, outputs) in parts {
            var list = ""
            for var output in outputs {
                output.name = listedName(output, taken: &written)
                try place(output, in: "JPEGImages")
                let objects = objects(output, carrying: [.polygons, .flags])
                labels.formUnion(objects.map(\.annotation.label))
                try folder.write(
                    xml(output, holding: objects), to: "Annotations/\(output.stem).xml")
                list += output.stem + "\n"
                done += 1
                try progress(done, self.outputs.count)
            }
            try folder.write(
                list, to: "ImageSets/Main/\(name.isEmpty ? "default" : name).txt")
        }
        // No `labelmap.txt`: it marks sets that count from 0.
        loseClassList(written: labels)
    }

    /// A name whose stem no other image has, for annotations are found by it, and without blanks, which
    /// the lists have between columns.
    private mutating func listedName(_ output: Output, taken: inout Set<String>) -> String {
        let stem = String(
            String.UnicodeScalarView(
                output.stem.unicodeScalars.map { $0.properties.isWhitespace ? "_" : $0 }))
        let ending = output.name.split(separator: ".").last ?? "jpg"
        var name = stem
        var number = 2
        while !taken.insert(name).inserted {
            name = "\(stem)-\(number)"
            number += 1
        }
        if name != output.stem { report.uncarried.add(.names) }
        return "\(name).\(ending)"
    }

    private mutating func xml(_ output: Output, holding objects: [BoxedObject]) -> String {
        var text = "<annotation>\n<folder>JPEGImages</folder>\n"
        text += "<filename>\(Written.xml(output.name))</filename>\n"
        text += "<size><width>\(output.width)</width><height>\(output.height)</height>"
        text += "<depth>3</depth></size>\n<segmented>0</segmented>\n"
        for object in objects {
            let (annotation, box) = (object.annotation, object.box)
            let left = max(box.left, 0) + 1
            let top = max(box.top, 0) + 1
            let right = min(box.right, Double(output.width))
            let bottom = min(box.bottom, Double(output.height))
            guard right > left, bottom > top else {
                report.uncarried.add(.thinBoxes)
                continue
            }
            if box.left < 0 || box.top < 0 || right < box.right || bottom < box.bottom {
                report.uncarried.add(.clippedBoxes)
            }
            text += "<object>\n<name>\(Written.xml(annotation.label))</name>\n"
            text += "<pose>Unspecified</pose>\n"
            text += "<truncated>\(annotation.isTruncated ? 1 : 0)</truncated>\n"
            text += "<difficult>\(annotation.isDifficult ? 1 : 0)</difficult>\n"
            text +=
                "<bndbox><xmin>\(Written.number(left))</xmin><ymin>\(Written.number(top))</ymin>"
            text +=
                "<xmax>\(Written.number(right))</xmax><ymax>\(Written.number(bottom))</ymax></bndbox>\n"
            if !annotation.polygons.isEmpty {
                if annotation.polygons.count > 1 { report.uncarried.add(.joinedPolygons) }
                text += "<polygon>"
                for (index, point) in annotation.polygons.joined.enumerated() {
                    let number = index + 1
                    text += "<x\(number)>\(Written.number(point.x))</x\(number)>"
                    text += "<y\(number)>\(Written.number(point.y))</y\(number)>"
                }
                text += "</polygon>\n"
            }
            text += "</object>\n"
            report.annotationCount += 1
        }
        return text + "</annotation>\n"
    }
}
