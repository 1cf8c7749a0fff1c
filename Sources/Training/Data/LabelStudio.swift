// Label Studio's JSON: tasks with results in per cent of the image, or its shorter form (JSON-MIN).

import GraftFormats
import GraftImages
import GraftTensors

extension JSONSet {
    /// Reads a list of tasks.
    mutating func readLabelStudio(_ tree: JSONTree) {
        for (index, value) in (tree.list ?? []).enumerated() {
            let place = AnnotationPlace(
                file: path, line: value.object?.line, entry: "task \(index)")
            guard let task = value.object, let name = Self.image(of: task) else {
                leaveOut(.malformed, place, "expected an image in `data`")
                continue
            }
            let results = Self.results(of: task)
            let split = task["data"]?.object?["split"]?.string.flatMap { DataSplit(naming: $0) }
            let size = results.lazy.compactMap {
                $0.object?.size("original_width", "original_height")
            }
            .first
            let entry = entry(name, at: place, size: size)
            if let split { draft.entries[entry].image.split = split }
            for result in results {
                let place = AnnotationPlace(
                    file: path, line: result.object?.line, entry: "task \(index)")
                read(result: result, at: place, entry)
            }
            // JSON-MIN has the results of a control under its name, without more around them.
            for key in ["label", "bbox", "rectangles", "polygon", "polygons"] where results.isEmpty
            {
                for part in task[key]?.list ?? [] {
                    let place = AnnotationPlace(
                        file: path, line: part.object?.line, entry: "task \(index)")
                    if let object = part.object {
                        read(shape: object, of: object, at: place, entry)
                    }
                }
            }
            if results.isEmpty, let choice = (task["choice"] ?? task["label"])?.string {
                add(Annotation(label: choice, place: place), to: entry)
            }
        }
    }

    /// Reads the results of one image, as a table has them.
    mutating func readLabelStudio(results: JSONTree, of name: String, at place: AnnotationPlace) {
        let parts = (results.list ?? []).compactMap(\.object)
        let size = parts.lazy.compactMap { $0.size("original_width", "original_height") }.first
        let entry = entry(name, at: place, size: size)
        for object in parts { read(shape: object, of: object, at: place, entry) }
    }

    /// The image of a task: the member of a usual name, or the first that ends like an image.
    private static func image(of task: JSONObject) -> String? {
        let data = task["data"]?.object ?? task
        for name in ["image", "img", "photo", "picture", "image_url", "captioning", "ocr", "url"] {
            if let found = data[name]?.string { return found }
        }
        return data.members.lazy.compactMap(\.value.string)
            .first { ContentKind.hasReadableExtension($0) }
    }

    /// The results of the last annotation that was not cancelled, or of predictions without one.
    private static func results(of task: JSONObject) -> [JSONTree] {
        for name in ["annotations", "completions", "predictions"] {
            let found = (task[name]?.list ?? []).compactMap(\.object).filter {
                $0["was_cancelled"]?.truth != true
            }
            if let last = found.last, let results = last["result"]?.list { return results }
        }
        return task["result"]?.list ?? []
    }

    private mutating func read(result: JSONTree, at place: AnnotationPlace, _ entry: Int) {
        guard let result = result.object, let value = result["value"]?.object else { return }
        read(shape: value, of: result, at: place, entry)
    }

    private mutating func read(
        shape value: JSONObject, of result: JSONObject, at place: AnnotationPlace, _ entry: Int
    ) {
        let kinds = [
            "rectanglelabels", "polygonlabels", "brushlabels", "keypointlabels", "ellipselabels",
            "labels", "choices",
        ]
        guard let kind = kinds.first(where: { value[$0]?.list?.isEmpty == false }) else { return }
        let labels = (value[kind]?.list ?? []).compactMap(\.name)
        let recorded =
            result.size("original_width", "original_height") ?? draft.entries[entry].recorded
        func note(_ label: String, _ change: (inout Annotation) -> Void) -> Annotation {
            var annotation = Annotation(label: label, place: place)
            annotation.score = result["score"]?.number
            change(&annotation)
            return annotation
        }
        if kind == "choices" {
            for label in labels { add(note(label) { _ in }, to: entry) }
            return
        }
        guard let size = recorded else {
            return leaveOut(.malformed, place, "expected `original_width` and `original_height`")
        }
        let (unitX, unitY) = (Double(size.width) / 100, Double(size.height) / 100)
        for label in labels {
            if let runs = value["rle"]?.numbers {
                guard let mask = BrushRuns.mask(runs, width: size.width, height: size.height) else {
                    leaveOut(.unsupported, place, "a brush mask of another size")
                    continue
                }
                add(note(label) { $0.mask = mask }, to: entry)
            } else if let points = value["points"]?.list {
                let outline = points.compactMap(\.numbers).filter { $0.count == 2 }
                    .map { Annotation.Point(x: $0[0] * unitX, y: $0[1] * unitY) }
                add(note(label) { $0.polygons = [outline] }, to: entry)
            } else if let sides = value.numbers("x", "y", "radiusX", "radiusY") {
                let ellipse = Annotation.ellipse(
                    center: .init(x: sides[0] * unitX, y: sides[1] * unitY), rx: sides[2] * unitX,
                    ry: sides[3] * unitY, degrees: value["rotation"]?.number ?? 0)
                add(note(label) { $0.polygons = [ellipse] }, to: entry)
            } else if kind == "keypointlabels", let at = value.numbers("x", "y") {
                let point = Annotation.Point(x: at[0] * unitX, y: at[1] * unitY)
                add(note(label) { $0.keypoints = [.init(point: point)] }, to: entry)
            } else if let sides = value.numbers("x", "y", "width", "height") {
                let (left, top) = (sides[0] * unitX, sides[1] * unitY)
                let (width, height) = (sides[2] * unitX, sides[3] * unitY)
                let degrees = value["rotation"]?.number ?? 0
                let made = note(label) {
                    if degrees == 0 {
                        $0.box = Box(
                            left: left, top: top, right: left + width, bottom: top + height)
                    } else {
                        $0.orientedBox = Annotation.corners(
                            origin: .init(x: left, y: top), width: width, height: height,
                            degrees: degrees)
                    }
                }
                add(made, to: entry)
            } else {
                leaveOut(.noGeometry, place, "class `\(label)`")
            }
        }
    }
}

/// Label Studio's brush masks: a bit stream of runs of an RGBA image.
enum BrushRuns {
    /// The pixels whose alpha is above 0; nil if the stream is none of an image of this size.
    static func mask(_ numbers: [Double], width: Int, height: Int) -> AnnotationMask? {
        let bytes = numbers.compactMap { UInt8(exactly: $0) }
        guard bytes.count == numbers.count, width > 0, height > 0,
            width <= AnnotationMask.pixelLimit / height / 4
        else { return nil }
        var at = 0
        func bits(_ count: Int) -> Int? {
            guard at + count <= bytes.count * 8 else { return nil }
            var value = 0
            for _ in 0..<count {
                value = value << 1 | Int(bytes[at / 8] >> UInt8(7 - at % 8) & 1)
                at += 1
            }
            return value
        }
        guard let total = bits(32), total == width * height * 4, let wordSize = bits(5),
            let sizes = [bits(4), bits(4), bits(4), bits(4)] as? [Int]
        else { return nil }
        var pixels = [Bool](repeating: false, count: width * height)
        var filled = 0
        func put(_ value: Int) {
            if filled % 4 == 3, value > 0 { pixels[filled / 4] = true }
            filled += 1
        }
        while filled < total {
            guard let isRun = bits(1), let which = bits(2), let length = bits(sizes[which] + 1),
                length + 1 <= total - filled
            else { return nil }
            if isRun == 1 {
                guard let value = bits(wordSize + 1) else { return nil }
                for _ in 0...length { put(value) }
            } else {
                for _ in 0...length {
                    guard let value = bits(wordSize + 1) else { return nil }
                    put(value)
                }
            }
        }
        return AnnotationMask(pixels: pixels, width: width, height: height)
    }
}
