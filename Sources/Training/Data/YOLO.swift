// YOLO's data sets: a settings file that names folders and classes, and beside each image a text of boxes.

import GraftFormats
import GraftImages
import GraftTensors

/// Reads what Ultralytics' `data.yaml`, darknet's `obj.data` or a `classes.txt` describe.
struct YOLO {
    private var draft: AnnotationDraft
    private let reading: PhotoReading
    /// The file or folder that is read, for messages.
    private let path: String
    private var names: [String] = []
    /// The number of keypoints of an object and the numbers of each, if objects have them.
    private var keypoints: (count: Int, numbers: Int)?
    private var seen: Set<String> = []

    private init(_ path: String, format: String, _ reading: PhotoReading) {
        self.path = path
        self.reading = reading
        draft = AnnotationDraft(format: format)
    }

    private func malformed(_ reason: String) -> AnnotationError {
        .malformed(path, format: "YOLO", reason: reason)
    }

    /// Reads a `data.yaml`: all splits that it names.
    static func read(_ path: String, _ reading: PhotoReading) throws -> AnnotatedImages {
        var yolo = YOLO(path, format: "YOLO", reading)
        let settings = try YOLOSettings(YAMLTree.read(path), path: path)
        yolo.take(names: settings.names)
        yolo.keypoints = settings.keypoints
        guard !settings.splits.isEmpty else {
            let beside = folder(of: path)
            try yolo.read(folder: beside.isEmpty ? "." : beside)
            return yolo.draft.finished(reading)
        }
        let places = YOLOPlaces(settings: settings, folder: folder(of: path), reading)
        var sources: [(split: DataSplit, source: YOLOPlaces.Source)] = []
        for (split, wanted) in settings.splits {
            for name in wanted {
                if let source = places.source(of: name) {
                    sources.append((split, source))
                } else if split == .training, sources.isEmpty, wanted.count == 1 {
                    throw yolo.malformed(
                        "expected the images of `train` in `\(name)`, found nothing there")
                } else {
                    yolo.draft.set.omissions.add(
                        .missingFolder, at: AnnotationPlace(file: path),
                        "`\(split.name)` names `\(name)`, which is not there")
                }
            }
        }
        guard !sources.isEmpty else {
            throw yolo.malformed(
                "expected folders of images in `train`, `val` or `test`, found none")
        }
        try yolo.read(sources)
        return yolo.draft.finished(reading)
    }

    /// Reads darknet's `obj.data`, or a folder of images with texts and a list of names.
    static func read(names file: String, folder: String, _ reading: PhotoReading) throws
        -> AnnotatedImages
    {
        var yolo = YOLO(folder, format: "YOLO", reading)
        let lines = try TextBytes(path: file).lines.map { $0.text.trimmedText }
        yolo.take(names: lines.reversed().drop { $0.isEmpty }.reversed().map { $0 })
        guard !yolo.names.isEmpty else {
            throw AnnotationError.malformed(
                file, format: "YOLO", reason: "expected a class in each line, found none")
        }
        try yolo.read(folder: folder)
        return yolo.draft.finished(reading)
    }

    /// Reads the images of a folder, which lists or the names of folders may divide.
    private mutating func read(folder: String) throws {
        var sources: [(split: DataSplit?, source: YOLOPlaces.Source)] = []
        let lists = try FolderListing.names(in: folder).filter {
            fileExtension($0) == "txt" && DataSplit(naming: stem($0)) != nil
        }
        for list in lists {
            sources.append((DataSplit(naming: stem(list)), .list(folder + "/" + list)))
        }
        if sources.isEmpty { sources = [(nil, .folder(folder))] }
        try read(sources.map { ($0.split, $0.source) })
        if lists.isEmpty {
            for index in draft.entries.indices {
                let folders = draft.entries[index].image.name.split(separator: "/").dropLast()
                draft.entries[index].image.split =
                    folders.lazy.compactMap { DataSplit(naming: $0) }.first
            }
        }
        if Set(draft.entries.map(\.image.split)).count == 1 {
            // One list of everything divides nothing.
            for index in draft.entries.indices { draft.entries[index].image.split = nil }
        }
    }

    private mutating func take(names: [String]) {
        self.names = names
        draft.set.classes = uniqued(names)
        for (index, name) in names.enumerated() { draft.set.categories[index] = name }
    }

    /// Names once each, in their order.
    private func uniqued(_ names: [String]) -> [String] {
        var seen: Set<String> = []
        return names.filter { seen.insert($0).inserted }
    }

    private mutating func read(_ sources: [(split: DataSplit?, source: YOLOPlaces.Source)]) throws {
        // A split that is the same folder as training divides nothing.
        var held: [String: DataSplit] = [:]
        for (split, source) in sources {
            if let split, let first = held[source.path], first != split {
                draft.set.notes.append(
                    "`\(split.name)` and `\(first.name)` name the same images: they are taken as "
                        + "\(first.name) images only")
                continue
            }
            if let split { held[source.path] = split }
            switch source {
            case .folder(let folder):
                for name in try PhotoFolder.photos(in: folder) {
                    try Task.checkCancellation()
                    add(image: folder + "/" + name, name: relative(folder + "/" + name), split)
                }
            case .list(let file):
                for (number, line) in try TextBytes(path: file).lines {
                    try Task.checkCancellation()
                    let name = line.trimmedText
                    guard !name.isEmpty else { continue }
                    let place = AnnotationPlace(file: file, line: number)
                    guard let image = finder(folder(of: file)).find(name) else {
                        draft.set.omissions.add(.missingImage, at: place, name)
                        continue
                    }
                    add(image: image, name: relative(image), split)
                }
            }
        }
        for finder in finders.values { draft.set.notes += finder.notes }
        settleOrientedBoxes()
        guard !draft.entries.isEmpty else {
            throw malformed(
                "expected images, found none in "
                    + sources.map { "`\($0.source.path)`" }.joined(separator: ", "))
        }
    }

    /// Four corners are an oriented box, but in a set with polygons they are a polygon too.
    private mutating func settleOrientedBoxes() {
        let hasPolygons = draft.entries.contains {
            $0.annotations.contains { !$0.polygons.isEmpty }
        }
        guard hasPolygons else { return }
        for entry in draft.entries.indices {
            for index in draft.entries[entry].annotations.indices {
                let corners = draft.entries[entry].annotations[index].orientedBox
                guard !corners.isEmpty else { continue }
                draft.entries[entry].annotations[index].polygons = [corners]
                draft.entries[entry].annotations[index].orientedBox = []
            }
        }
    }

    private var finders: [String: ImageFinder] = [:]
    private mutating func finder(_ folder: String) -> ImageFinder {
        if let known = finders[folder] { return known }
        let new = ImageFinder(near: folder, reading)
        finders[folder] = new
        return new
    }

    /// The path of an image below the folder of the set.
    private func relative(_ image: String) -> String {
        let base = normalized(PhotoFolder.isFolder(path) ? path : folder(of: path))
        let full = normalized(image)
        return full.hasPrefix(base + "/") ? String(full.dropFirst(base.count + 1)) : full
    }

    private mutating func add(image path: String, name: String, _ split: DataSplit?) {
        guard seen.insert(normalized(path)).inserted else {
            draft.set.omissions.add(.duplicate, at: AnnotationPlace(file: path))
            return
        }
        var image = AnnotatedImage(path: path, name: name)
        image.split = split
        var entry = AnnotationDraft.Entry(image)
        entry.unit = .shares
        // No text, or an empty one: nothing is in the image.
        if let file = Self.labels(of: path) {
            do {
                let text = try TextBytes(path: file)
                for (number, line) in text.lines {
                    read(line, at: AnnotationPlace(file: file, line: number), &entry)
                }
            } catch {
                draft.set.omissions.add(.malformed, at: AnnotationPlace(file: file), error.message)
            }
        }
        draft.entries.append(entry)
    }

    /// The text of an image: `images` in its path becomes `labels`, or it lies beside the image.
    private static func labels(of image: String) -> String? {
        var parts = image.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        parts[parts.count - 1] = stem(parts[parts.count - 1]) + ".txt"
        let beside = parts.joined(separator: "/")
        if let at = parts.lastIndex(where: { $0.lowercased() == "images" }) {
            for name in ["labels", "Labels", "LABELS"] {
                parts[at] = name
                let path = parts.joined(separator: "/")
                if PhotoFolder.isFile(path) { return path }
            }
        }
        // Roboflow's `path: train` names the folder above `images`.
        return PhotoFolder.isFile(beside) ? beside : nil
    }

    /// A line: a class and a box, a box with confidence, an oriented box, a polygon, or keypoints.
    private mutating func read(
        _ line: Substring.UnicodeScalarView, at place: AnnotationPlace,
        _ entry: inout AnnotationDraft.Entry
    ) {
        let words = line.split {
            $0.properties.isWhitespace || $0 == "," || $0 == ";" || $0 == "\u{FEFF}"
        }
        guard !words.isEmpty else { return }
        func leaveOut(_ cause: Omissions.Cause, _ detail: String) {
            draft.set.omissions.add(cause, at: place, detail)
        }
        let numbers = words.map { Double(String($0)) }
        guard let first = numbers[0], let label = Int(exactly: first), numbers.count >= 5 else {
            return leaveOut(.malformed, "expected `class x y width height`")
        }
        guard names.indices.contains(label) else {
            return leaveOut(.unknownClass, "class \(label), the names are 0 to \(names.count - 1)")
        }
        let values = numbers.dropFirst().compactMap { $0 }
        guard values.count == numbers.count - 1 else {
            return leaveOut(.malformed, "a word is not a number")
        }
        guard values.allSatisfy(\.isFinite) else {
            return leaveOut(.notFinite, "class `\(names[label])`")
        }
        var annotation = Annotation(label: names[label], place: place)
        var shares = values
        if let keypoints, values.count >= 4 + keypoints.count * keypoints.numbers {
            let rest = values[4...]
            for index in 0..<keypoints.count {
                let at = 4 + index * keypoints.numbers
                let visibility =
                    keypoints.numbers > 2 ? Int(exactly: rest[at + 2].rounded()) ?? 2 : 2
                annotation.keypoints.append(
                    .init(point: .init(x: rest[at], y: rest[at + 1]), visibility: visibility))
            }
            shares = Array(values[..<4])
        }
        switch shares.count {
        case 4, 5:
            let (x, y, width, height) = (shares[0], shares[1], shares[2], shares[3])
            shares = Array(shares[..<4])
            annotation.box = Box(
                left: x - width / 2, top: y - height / 2, right: x + width / 2,
                bottom: y + height / 2)
            if values.count == 5 { annotation.score = values[4] }
        case 8: annotation.orientedBox = Self.points(shares)
        case let count where count % 2 == 0: annotation.polygons = [Self.points(shares)]
        // A polygon with a confidence after it, as `save_conf` writes it.
        case let count where count > 8:
            annotation.polygons = [Self.points(Array(shares.dropLast()))]
            annotation.score = shares.removeLast()
        default: return leaveOut(.malformed, "\(shares.count) numbers are no box and no polygon")
        }
        guard shares.allSatisfy({ $0 <= Self.shareLimit }) else {
            let largest = shares.max() ?? 0
            return leaveOut(.notShares, "\(largest) where shares of at most 1 are expected")
        }
        guard shares.allSatisfy({ $0 >= 1 - Self.shareLimit }) else {
            return leaveOut(
                .outside, "\(shares.min() ?? 0) where shares of at least 0 are expected")
        }
        entry.annotations.append(annotation)
    }

    /// Rounding takes a share a little above 1.
    private static let shareLimit = 1.01

    private static func points(_ values: [Double]) -> [Annotation.Point] {
        stride(from: 0, to: values.count - 1, by: 2).map { .init(x: values[$0], y: values[$0 + 1]) }
    }
}

extension Substring.UnicodeScalarView {
    /// The text without blanks and byte-order marks around.
    var trimmedText: String {
        func isBlank(_ scalar: Unicode.Scalar) -> Bool {
            scalar.properties.isWhitespace || scalar == "\u{FEFF}"
        }
        guard let first = firstIndex(where: { !isBlank($0) }),
            let last = lastIndex(where: { !isBlank($0) })
        else { return "" }
        return String(self[first...last])
    }
}
