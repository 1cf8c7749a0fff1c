// YOLO's annotations: a `.yaml` of names and folders, and beside each photo a text of boxes.

import GraftImages
import GraftTensors

/// Reads `data.yaml` and the `labels/*.txt` of the photos in its `train` folder.
enum YOLO {
    static func read(_ path: String) throws -> AnnotatedPhotos {
        func malformed(_ reason: String, _ place: String) -> AnnotationError {
            .malformed(place, format: "YOLO", reason: reason)
        }
        let settings = Settings(
            try Storage(mapping: path).withBytes { String(decoding: $0, as: UTF8.self) })
        guard !settings.names.isEmpty, let train = settings.train else {
            throw malformed("expected `names` and `train`", path)
        }
        let base = folder(of: path)
        func under(_ name: String, _ base: String) -> String {
            name.hasPrefix("/") || base.isEmpty ? name : base + "/" + name
        }
        // Other programs resolve `path` against settings of their own: beside the file is tried too.
        let root = settings.root.map { under($0, base) } ?? base
        let images = [under(train, root), under(train, base)].first(where: PhotoFolder.isFolder)
        guard let images else { throw malformed("there is no folder `\(train)`", path) }
        var result = AnnotatedPhotos()
        result.classes = settings.names
        for name in try PhotoFolder.photos(in: images) {
            let full = images + "/" + name
            var photo = AnnotatedPhotos.Photo(path: full, name: name)
            let labels = Self.labels(of: full)
            // No text, or an empty one: nothing is in the photo.
            guard PhotoFolder.isFile(labels) else {
                result.photos.append(photo)
                continue
            }
            let text = try Storage(mapping: labels).withBytes {
                String(decoding: $0, as: UTF8.self)
            }
            var size: (width: Double, height: Double)?
            for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
                .enumerated()
            where !line.allSatisfy(\.isWhitespace) {
                let words = line.split(whereSeparator: \.isWhitespace)
                let numbers = words.dropFirst().prefix(4).compactMap { Double($0) }
                guard let label = words.first.flatMap({ Int($0) }), numbers.count == 4 else {
                    throw malformed("line \(index + 1) is not `class x y width height`", labels)
                }
                guard settings.names.indices.contains(label) else {
                    throw malformed(
                        "line \(index + 1) is of class \(label), the names are 0 to \(settings.names.count - 1)",
                        labels)
                }
                if size == nil {
                    let image = try Image.decode(path: full)
                    size = (Double(image.width), Double(image.height))
                }
                let (width, height) = size ?? (1, 1)
                let (x, y) = (numbers[0] * width, numbers[1] * height)
                let (w, h) = (numbers[2] * width, numbers[3] * height)
                let box = Box(
                    left: x - w / 2, top: y - h / 2, right: x + w / 2, bottom: y + h / 2)
                result.add(
                    AnnotatedPhotos.Thing(label: settings.names[label], box: box), to: &photo,
                    place: "line \(index + 1) of `\(labels)`")
            }
            result.photos.append(photo)
        }
        return result
    }

    /// The text of a photo: `images` in its path becomes `labels`.
    private static func labels(of photo: String) -> String {
        var parts = photo.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        if let at = parts.lastIndex(of: "images") { parts[at] = "labels" }
        let stem = parts[parts.count - 1].split(separator: ".", omittingEmptySubsequences: false)
            .dropLast().joined(separator: ".")
        parts[parts.count - 1] = stem + ".txt"
        return parts.joined(separator: "/")
    }

    /// The few lines of YAML that such files have.
    private struct Settings {
        var names: [String] = []
        var root: String?
        var train: String?

        init(_ text: String) {
            func plain(_ text: some StringProtocol) -> String {
                let bare = Substring(text).trimmed
                for quote in ["\"", "'"]
                where bare.count > 1 && bare.hasPrefix(quote) && bare.hasSuffix(quote) {
                    return String(bare.dropFirst().dropLast())
                }
                return bare
            }
            var inNames = false
            for raw in text.split(separator: "\n") {
                let line = raw.split(separator: "#", omittingEmptySubsequences: false).first ?? raw
                guard !line.allSatisfy(\.isWhitespace) else { continue }
                let indented = line.first?.isWhitespace == true || line.hasPrefix("-")
                if inNames, indented {
                    let item = Substring(plain(line))
                    names.append(
                        item.hasPrefix("-")
                            ? plain(item.dropFirst())
                            : plain(item.split(separator: ":", maxSplits: 1).last ?? ""))
                    continue
                }
                inNames = false
                let parts = line.split(
                    separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
                guard parts.count == 2 else { continue }
                let value = plain(parts[1])
                switch plain(parts[0]) {
                case "path": root = value
                case "train": train = value
                case "names":
                    if value.hasPrefix("["), value.hasSuffix("]") {
                        names = value.dropFirst().dropLast().split(separator: ",").map { plain($0) }
                    } else {
                        inNames = true
                    }
                default: break
                }
            }
        }
    }
}
