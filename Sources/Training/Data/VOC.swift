// Pascal VOC's annotations, an XML file for each image, and CVAT's, one for all of them.

import GraftFormats
import GraftImages
import GraftTensors

/// Reads XML of images, wherever the files and the images lie.
struct VOC {
    private var draft: AnnotationDraft
    private let folder: String
    private let reading: PhotoReading
    private var finders: [String: ImageFinder] = [:]
    private var splits: [String: DataSplit] = [:]
    private var seen: Set<String> = []
    private var isZeroBased = false
    /// The classes that CVAT's XML lists.
    private var listedClasses: [String] = []

    private init(_ folder: String, _ reading: PhotoReading) {
        self.folder = folder
        self.reading = reading
        draft = AnnotationDraft(format: "Pascal VOC")
    }

    /// Reads XML files below `folder`, by their paths below it.
    static func read(_ folder: String, files: [String], _ reading: PhotoReading) throws
        -> AnnotatedImages
    {
        var voc = VOC(folder, reading)
        // VOCdevkit holds a set for each year.
        for base in Set(files.map(base)).sorted(by: bytewise) {
            for (name, split) in try lists(join(folder, base)) {
                voc.splits[base + "\n" + name] = split
            }
        }
        let classes = try labelMap(folder)
        voc.isZeroBased = classes != nil
        for file in files {
            try Task.checkCancellation()
            try voc.read(file)
        }
        guard !voc.draft.entries.isEmpty else {
            let first = voc.draft.set.omissions.lines.first
            throw AnnotationError.malformed(
                folder, format: "Pascal VOC",
                reason: first.map { "none of its files can be used: \($0)" }
                    ?? "expected `.xml` files, found none")
        }
        for finder in voc.finders.values {
            voc.draft.set.notes += finder.notes.filter { !voc.draft.set.notes.contains($0) }
        }
        voc.countUnannotated()
        voc.settleOrigin()
        voc.settleNames()
        voc.settleClasses(classes ?? voc.listedClasses)
        return voc.draft.finished(reading)
    }

    /// The folder that a file in `Annotations` is of, below that of the set; empty if it is the set's own.
    private static func base(_ file: String) -> String {
        let folders = file.split(separator: "/").dropLast()
        guard let at = folders.lastIndex(where: { $0.lowercased() == "annotations" }) else {
            return ""
        }
        return folders[..<at].joined(separator: "/")
    }

    /// The split of each name in `ImageSets/Main/train.txt` and its like; `trainval` divides nothing.
    private static func lists(_ folder: String) throws -> [String: DataSplit] {
        var splits: [String: DataSplit] = [:]
        for place in ["ImageSets/Main", "ImageSets/Layout", "ImageSets", "imagesets/main"] {
            let lists = folder + "/" + place
            guard PhotoFolder.isFolder(lists) else { continue }
            for name in try FolderListing.names(in: lists) where fileExtension(name) == "txt" {
                guard let split = DataSplit(naming: stem(name)) else { continue }
                for (_, line) in try TextBytes(path: lists + "/" + name).lines {
                    // A name may hold blanks, or be in quotes, or have a flag after it.
                    let whole = line.trimmedText.drop { $0 == "\"" }
                    let name = whole.last == "\"" ? whole.dropLast() : whole
                    guard let first = name.split(whereSeparator: \.isWhitespace).first else {
                        continue
                    }
                    splits[fileName(name)] = split
                    for other in [stem(fileName(name)), fileName(first)] where splits[other] == nil
                    {
                        splits[other] = split
                    }
                }
            }
            if !splits.isEmpty { return splits }
        }
        return splits
    }

    /// The classes that CVAT lists in `labelmap.txt`, without the background; nil if there is none.
    private static func labelMap(_ folder: String) throws -> [String]? {
        let path = join(folder, "labelmap.txt")
        guard PhotoFolder.isFile(path) else { return nil }
        return try TextBytes(path: path).lines.compactMap { _, line in
            // `cat:128,0,0:part:action`
            let name = line.split(separator: ":", omittingEmptySubsequences: false).first
                .map { $0.trimmedText }
            guard let name, !name.isEmpty, !name.hasPrefix("#"), name != "background" else {
                return nil
            }
            return name
        }
    }

    /// The classes in the order of a list, then those that it leaves out; without a list those that occur,
    /// in the order of their names.
    private mutating func settleClasses(_ listed: [String]) {
        guard !listed.isEmpty else { return }
        let others = draft.entries.flatMap { $0.annotations.map(\.label) }.filter {
            !listed.contains($0)
        }
        draft.set.classes = listed + sortedNames(others)
    }

    private mutating func finder(_ folder: String, _ split: DataSplit?) -> ImageFinder {
        let key = folder + "\n" + (split?.rawValue ?? "")
        if let known = finders[key] { return known }
        let new = ImageFinder(near: folder, root: self.folder, split: split, reading)
        finders[key] = new
        return new
    }

    private mutating func read(_ file: String) throws {
        let path = join(folder, file)
        let root: XMLElement
        do {
            root = try XMLElement.read(path)
        } catch let error as DocumentError {
            let place = AnnotationPlace(file: path, line: error.line)
            return draft.set.omissions.add(.malformed, at: place, error.message)
        }
        if root.name == "annotations" { return readCVAT(root, path) }
        guard root.name == "annotation" else {
            let place = AnnotationPlace(file: path, line: root.line)
            return draft.set.omissions.add(.malformed, at: place, "expected an `annotation`")
        }
        let name = root["filename"]?.text ?? ""
        let own = fileName(stem(file))
        let ownSplit = file.split(separator: "/").dropLast().reversed()
            .compactMap { DataSplit(naming: $0) }.first
        let base = Self.base(file) + "\n"
        let split = splits[base + own] ?? splits[base + stem(fileName(name))] ?? ownSplit
        let finder = finder(GraftTraining.folder(of: path), ownSplit)
        // Some programs leave the extension out of `filename`, or leave the name of before the image was
        // renamed; the name of the XML file helps then.
        let found =
            finder.find(name) ?? finder.find(own, anyExtension: true)
            ?? finder.find(name, anyExtension: true)
        let place = AnnotationPlace(file: path, line: root.line)
        let imagePath =
            found ?? join(GraftTraining.folder(of: path), name.isEmpty ? own : fileName(name))
        guard seen.insert(normalized(imagePath)).inserted else {
            return draft.set.omissions.add(.duplicate, at: place, name)
        }
        var image = AnnotatedImage(path: imagePath, name: relative(imagePath))
        image.split = split
        image.isMissing = found == nil
        image.place = place
        var entry = AnnotationDraft.Entry(image)
        if let size = root["size"], let width = size["width"].flatMap({ Int($0.text) }),
            let height = size["height"].flatMap({ Int($0.text) }), width > 0, height > 0
        {
            entry.recorded = (width, height)
        }
        if root["owner"]?["name"]?.text == "Label Studio" { isZeroBased = true }
        for object in root.all("object") { read(object, path, &entry) }
        draft.entries.append(entry)
    }

    private func relative(_ path: String) -> String {
        let base = normalized(folder)
        let full = normalized(path)
        return full.hasPrefix(base + "/") ? String(full.dropFirst(base.count + 1)) : full
    }

    private mutating func read(
        _ object: XMLElement, _ path: String, _ entry: inout AnnotationDraft.Entry
    ) {
        let place = AnnotationPlace(file: path, line: object.line)
        func number(_ element: XMLElement?, _ name: String) -> Double? {
            element?[name].flatMap { Double($0.text) }
        }
        guard let label = object["name"]?.text, !label.isEmpty else {
            return draft.set.omissions.add(.malformed, at: place, "expected a `name`")
        }
        var annotation = Annotation(label: label, place: place)
        annotation.isDifficult = object["difficult"]?.text == "1"
        annotation.isTruncated = object["truncated"]?.text == "1"
        if let polygon = object["polygon"] {
            var points: [Annotation.Point] = []
            let values = Dictionary(
                polygon.children.map { ($0.name, $0.text) }, uniquingKeysWith: { first, _ in first }
            )
            var index = 1
            while let x = values["x\(index)"].flatMap({ Double($0) }),
                let y = values["y\(index)"].flatMap({ Double($0) })
            {
                points.append(.init(x: x, y: y))
                index += 1
            }
            // labelImg-like tools of other makers write `pt` elements.
            for point in polygon.all("pt") + polygon.all("point") {
                if let x = number(point, "x"), let y = number(point, "y") {
                    points.append(.init(x: x, y: y))
                }
            }
            if !points.isEmpty { annotation.polygons = [points] }
        }
        if let turned = object["robndbox"], let x = number(turned, "cx"),
            let y = number(turned, "cy"),
            let width = number(turned, "w"), let height = number(turned, "h"),
            let angle = number(turned, "angle")
        {
            annotation.orientedBox = Annotation.corners(
                center: .init(x: x, y: y), width: width, height: height, radians: angle)
        }
        if let box = object["bndbox"] {
            let sides = ["xmin", "ymin", "xmax", "ymax"].compactMap { number(box, $0) }
            guard sides.count == 4 else {
                return draft.set.omissions.add(
                    .malformed, at: place, "expected 4 numbers in `bndbox`")
            }
            guard sides.allSatisfy(\.isFinite) else {
                return draft.set.omissions.add(.notFinite, at: place, "class `\(label)`")
            }
            // A box without width is a mistake, although VOC's last pixel belongs to it.
            guard sides[2] > sides[0], sides[3] > sides[1] else {
                return draft.set.omissions.add(.emptyBox, at: place, "class `\(label)`")
            }
            if sides[0] < 0.5 || sides[1] < 0.5 { isZeroBased = true }
            annotation.box = Box(left: sides[0], top: sides[1], right: sides[2], bottom: sides[3])
        }
        guard annotation.boundingBox != nil else {
            return draft.set.omissions.add(.noGeometry, at: place, "class `\(label)`")
        }
        entry.annotations.append(annotation)
    }

    /// Counts the images beside annotated ones that no file annotates.
    private mutating func countUnannotated() {
        let folders = Set(
            draft.entries.filter { !$0.image.isMissing }
                .map { GraftTraining.folder(of: normalized($0.image.path)) })
        for folder in folders.sorted(by: bytewise) {
            for name in (try? PhotoFolder.imagesDirectly(in: folder.isEmpty ? "." : folder)) ?? [] {
                let path = join(folder, name)
                if !seen.contains(path) {
                    draft.set.omissions.add(.unannotated, at: AnnotationPlace(file: path))
                }
            }
        }
    }

    /// Pascal VOC counts pixels from 1. CVAT, known by its `labelmap.txt`, and Label Studio count from 0,
    /// as does every set with a coordinate of 0.
    private mutating func settleOrigin() {
        guard draft.set.format == "Pascal VOC" else { return }
        let hasBoxes = draft.entries.contains { $0.annotations.contains { $0.box != nil } }
        guard hasBoxes else { return }
        if reading.firstPixel.map({ $0 == 0 }) ?? isZeroBased {
            if reading.firstPixel == nil {
                draft.set.notes.append(
                    "the boxes count pixels from 0, as CVAT and Label Studio do; --first-pixel 1 takes "
                        + "them as Pascal VOC does")
            }
            return
        }
        if reading.firstPixel == nil {
            draft.set.notes.append(
                "the boxes count pixels from 1, as Pascal VOC does; --first-pixel 0 takes them as they "
                    + "are")
        }
        for index in draft.entries.indices {
            for at in draft.entries[index].annotations.indices {
                draft.entries[index].annotations[at].box?.left -= 1
                draft.entries[index].annotations[at].box?.top -= 1
            }
        }
    }

    /// Names of images below the set, without a folder that all of them are in twice over.
    private mutating func settleNames() {
        let isDivided = draft.entries.contains { $0.image.split != nil }
        guard isDivided else { return }
        // What no list names is of no split: it is learned from.
        for index in draft.entries.indices where draft.entries[index].image.split == nil {
            draft.entries[index].image.split = .training
        }
    }

    /// CVAT's own XML: `<image>` elements with `<box>`, `<polygon>` and other shapes, pixels from 0.
    private mutating func readCVAT(_ root: XMLElement, _ path: String) {
        draft.set.format = "CVAT"
        let meta = root["meta"]
        let labels =
            (meta?["task"] ?? meta?["project"] ?? meta?["job"])?["labels"]?.all("label") ?? []
        for name in labels.compactMap({ $0["name"]?.text }) where !listedClasses.contains(name) {
            listedClasses.append(name)
        }
        let finder = finder(GraftTraining.folder(of: path), nil)
        for element in root.all("image") {
            let name = element.attributes["name"] ?? ""
            let place = AnnotationPlace(file: path, line: element.line)
            guard let found = finder.find(name) else {
                draft.set.omissions.add(.missingImage, at: place, name)
                continue
            }
            guard seen.insert(normalized(found)).inserted else {
                draft.set.omissions.add(.duplicate, at: place, name)
                continue
            }
            var image = AnnotatedImage(path: found, name: name)
            image.place = place
            image.split =
                element.attributes["subset"].flatMap { DataSplit(naming: $0) }
                ?? DataSplit(naming: stem(fileName(path)))
            var entry = AnnotationDraft.Entry(image)
            if let width = element.attributes["width"].flatMap({ Int($0) }),
                let height = element.attributes["height"].flatMap({ Int($0) })
            {
                entry.recorded = (width, height)
            }
            for shape in element.children { readCVAT(shape: shape, path, &entry) }
            draft.entries.append(entry)
        }
    }

    private mutating func readCVAT(
        shape: XMLElement, _ path: String, _ entry: inout AnnotationDraft.Entry
    ) {
        guard let label = shape.attributes["label"] else { return }
        let place = AnnotationPlace(file: path, line: shape.line)
        var annotation = Annotation(label: label, place: place)
        func number(_ name: String) -> Double? { shape.attributes[name].flatMap { Double($0) } }
        let points: [Annotation.Point] =
            (shape.attributes["points"] ?? "").split(separator: ";").compactMap { pair in
                let numbers = pair.split(separator: ",").compactMap { Double($0.trimmed) }
                return numbers.count == 2 ? .init(x: numbers[0], y: numbers[1]) : nil
            }
        switch shape.name {
        case "box":
            guard let left = number("xtl"), let top = number("ytl"), let right = number("xbr"),
                let bottom = number("ybr")
            else { return draft.set.omissions.add(.malformed, at: place, "expected 4 edges") }
            let box = Box(left: left, top: top, right: right, bottom: bottom)
            if let degrees = number("rotation"), degrees != 0 {
                annotation.orientedBox = Annotation.corners(
                    center: .init(x: (left + right) / 2, y: (top + bottom) / 2),
                    width: right - left, height: bottom - top, radians: degrees * .pi / 180)
            } else {
                annotation.box = box
            }
        case "polygon": annotation.polygons = [points]
        case "points", "skeleton": annotation.keypoints = points.map { .init(point: $0) }
        case "tag": break
        case "ellipse":
            guard let x = number("cx"), let y = number("cy"), let rx = number("rx"),
                let ry = number("ry")
            else { return draft.set.omissions.add(.malformed, at: place, "expected an ellipse") }
            annotation.polygons = [Annotation.ellipse(center: .init(x: x, y: y), rx: rx, ry: ry)]
        default: return draft.set.omissions.add(.unsupported, at: place, "`\(shape.name)`")
        }
        entry.annotations.append(annotation)
    }
}
