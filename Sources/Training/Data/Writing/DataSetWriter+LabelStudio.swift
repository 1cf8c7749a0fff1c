// Label Studio: `tasks.json`, the labelling configuration `config.xml` that fits it, and `images`.

import GraftImages

extension DataSetWriter {
    /// The controls of the configuration, by the results that they hold.
    private enum Control: String, CaseIterable {
        case rectanglelabels, polygonlabels, choices

        var name: String {
            switch self {
            case .rectanglelabels: "label"
            case .polygonlabels: "outline"
            case .choices: "choice"
            }
        }

        var element: (head: String, item: String) {
            switch self {
            case .rectanglelabels: ("RectangleLabels", "Label")
            case .polygonlabels: ("PolygonLabels", "Label")
            case .choices: ("Choices", "Choice")
            }
        }
    }

    mutating func writeLabelStudio(_ progress: (Int, Int) throws -> Void) throws {
        var controls: Set<Control> = []
        var isMultiple = false
        try folder.makeFolder("images")
        var file = try TextFile(folder.place("tasks.json"))
        try file.put("[")
        for (index, output) in outputs.enumerated() {
            try place(output, in: "images")
            let labels = output.image.annotations.filter(\.isWholeImage)
            if labels.count > 1 { isMultiple = true }
            var results: [String] = []
            if let first = labels.first {
                controls.insert(.choices)
                let names = labels.map { Written.quoted($0.label) }.joined(separator: ",")
                let score = labels.compactMap(\.score).min() ?? first.score
                results.append(
                    result(
                        .choices, "\"choices\":[\(names)]", id: "\(index)-c", score: score, output))
            }
            let objects = objects(
                output, carrying: [.polygons, .orientedBoxes, .scores, .labels])
            for (number, object) in objects.enumerated() {
                let id = "\(index)-\(number)"
                let (control, value) = shape(object, in: output)
                controls.insert(control)
                let label = "\"\(control.rawValue)\":[\(Written.quoted(object.annotation.label))]"
                results.append(
                    result(
                        control, value + "," + label, id: id, score: object.annotation.score,
                        output))
            }
            report.annotationCount += objects.count + labels.count
            try file.put((index == 0 ? "\n" : ",\n") + task(output, results: results))
            try progress(index + 1, outputs.count)
        }
        try file.put("\n]\n")
        try file.finish()
        if controls.isEmpty { controls = [.choices] }
        try folder.write(configuration(controls, isMultiple: isMultiple), to: "config.xml")
        report.notes.append(
            "Label Studio serves the images from LOCAL_FILES_DOCUMENT_ROOT, which is the folder "
                + "`\(report.path)`")
    }

    /// A task; what a model predicted is a prediction, anything else an annotation.
    private func task(_ output: Output, results: [String]) -> String {
        let image = "/data/local-files/?d=images/" + Written.escaped(output.name)
        var data = "\"image\":\(Written.quoted(image))"
        if isDivided {
            data += ",\"split\":\(Written.quoted(splitName(output.image.split)))"
        }
        let scores = output.image.annotations.compactMap(\.score)
        let isPredicted = !scores.isEmpty || writer != "graft"
        let list = "[{" + (isPredicted ? "\"model_version\":\(Written.quoted(writer))," : "")
        let score = scores.min().map { "\"score\":\(Written.number($0))," } ?? ""
        return "{\"data\":{\(data)},\"\(isPredicted ? "predictions" : "annotations")\":" + list
            + score + "\"result\":[\(results.joined(separator: ","))]}]}"
    }

    private func result(
        _ control: Control, _ value: String, id: String, score: Double?, _ output: Output
    ) -> String {
        "{\"id\":\"\(id)\",\"type\":\"\(control.rawValue)\",\"from_name\":\"\(control.name)\","
            + "\"to_name\":\"image\",\"original_width\":\(output.width),"
            + "\"original_height\":\(output.height),\"image_rotation\":0,\"value\":{\(value)}"
            + (score.map { ",\"score\":\(Written.number($0))" } ?? "") + "}"
    }

    /// The control and the position of an object, in per cent of the sides.
    private mutating func shape(_ object: BoxedObject, in output: Output) -> (Control, String) {
        let (annotation, box) = (object.annotation, object.box)
        let unitX = Double(output.width) / 100
        let unitY = Double(output.height) / 100
        func members(_ pairs: [(String, Double)]) -> String {
            pairs.map { "\"\($0)\":\(Written.number($1))" }.joined(separator: ",")
        }
        if !annotation.polygons.isEmpty {
            if annotation.polygons.count > 1 { report.uncarried.add(.joinedPolygons) }
            let points = annotation.polygons.joined.map {
                Written.numbers([$0.x / unitX, $0.y / unitY])
            }
            return (.polygonlabels, "\"closed\":true,\"points\":[\(points.joined(separator: ","))]")
        }
        var corner = Annotation.Point(x: box.left, y: box.top)
        var size = (width: box.right - box.left, height: box.bottom - box.top)
        var degrees = 0.0
        if let turned = Annotation.box(corners: annotation.orientedBox) {
            corner = turned.origin
            size = (turned.width, turned.height)
            degrees = turned.degrees
        }
        let value = members([
            ("x", corner.x / unitX), ("y", corner.y / unitY), ("width", size.width / unitX),
            ("height", size.height / unitY), ("rotation", degrees),
        ])
        return (.rectanglelabels, value)
    }

    private func configuration(_ controls: Set<Control>, isMultiple: Bool) -> String {
        var lines = ["<View>", "  <Image name=\"image\" value=\"$image\"/>"]
        for control in Control.allCases where controls.contains(control) {
            let (head, item) = control.element
            let choice =
                control == .choices ? " choice=\"\(isMultiple ? "multiple" : "single")\"" : ""
            lines.append("  <\(head) name=\"\(control.name)\" toName=\"image\"\(choice)>")
            lines += classes.map { "    <\(item) value=\"\(Written.xml($0))\"/>" }
            lines.append("  </\(head)>")
        }
        return (lines + ["</View>", ""]).joined(separator: "\n")
    }
}
