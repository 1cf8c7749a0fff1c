// A text of boxes for each image, by the names of folders: DOTA's `labelTxt` and KITTI's `label_2`.

import GraftFormats
import GraftImages
import GraftTensors

/// Reads sets of a text for each image whose lines name their classes.
struct ImageTexts {
    /// The formats, by the folder of their texts.
    enum Kind: String, CaseIterable {
        case dota = "DOTA"
        case kitti = "KITTI"

        /// The folder of the texts.
        var texts: String { self == .dota ? "labelTxt" : "label_2" }
        /// The folders of the images beside it.
        var images: [String] { self == .dota ? ["images", "image"] : ["image_2"] }
    }

    private let kind: Kind
    private let folder: String
    private var draft: AnnotationDraft

    /// The format whose folders are among these files.
    static func kind(of files: [String]) -> Kind? {
        Kind.allCases.first { kind in
            files.contains { file in
                fileExtension(file) == "txt"
                    && fileName(GraftTraining.folder(of: file)).lowercased()
                        == kind.texts.lowercased()
            }
        }
    }

    /// Reads all images of a folder, split by the names of folders; `settings` is a `data.yaml` that
    /// lists the classes.
    static func read(
        _ folder: String, as kind: Kind, settings: String?, _ reading: PhotoReading
    ) throws -> AnnotatedImages {
        var set = ImageTexts(
            kind: kind, folder: folder, draft: AnnotationDraft(format: kind.rawValue))
        if let settings {
            set.draft.set.classes = try YOLOSettings(YAMLTree.read(settings), path: settings).names
        }
        for name in try PhotoFolder.photos(in: folder) {
            try Task.checkCancellation()
            set.add(image: name)
        }
        guard !set.draft.entries.isEmpty else {
            throw AnnotationError.malformed(
                folder, format: kind.rawValue,
                reason: "expected images beside `\(kind.texts)`, found none")
        }
        let splits = Set(set.draft.entries.map(\.image.split))
        if splits.count == 1 {
            for index in set.draft.entries.indices { set.draft.entries[index].image.split = nil }
        }
        return set.draft.finished(reading)
    }

    private init(kind: Kind, folder: String, draft: AnnotationDraft) {
        self.kind = kind
        self.folder = folder
        self.draft = draft
    }

    private mutating func add(image name: String) {
        var image = AnnotatedImage(path: folder + "/" + name, name: name)
        image.split =
            name.split(separator: "/").dropLast().lazy.compactMap { DataSplit(naming: $0) }.first
        guard let file = text(of: name) else {
            draft.set.omissions.add(.unannotated, at: AnnotationPlace(file: image.path))
            return
        }
        var entry = AnnotationDraft.Entry(image)
        do {
            for (number, line) in try TextBytes(path: file).lines {
                read(line, at: AnnotationPlace(file: file, line: number), into: &entry)
            }
        } catch {
            draft.set.omissions.add(.malformed, at: AnnotationPlace(file: file), error.message)
        }
        draft.entries.append(entry)
    }

    /// The text of an image: in the folder beside that of the images, or in one beside the image.
    private func text(of name: String) -> String? {
        var parts = name.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        parts[parts.count - 1] = stem(parts[parts.count - 1]) + ".txt"
        let at = parts.indices.dropLast().last { kind.images.contains(parts[$0].lowercased()) }
        var candidates: [[String]] = []
        if let at {
            var moved = parts
            moved[at] = kind.texts
            candidates.append(moved)
        }
        candidates.append(parts.dropLast() + [kind.texts, parts[parts.count - 1]])
        return candidates.map { folder + "/" + $0.joined(separator: "/") }
            .first(where: PhotoFolder.isFile)
    }

    private mutating func read(
        _ line: Substring.UnicodeScalarView, at place: AnnotationPlace,
        into entry: inout AnnotationDraft.Entry
    ) {
        let words = line.split { $0.properties.isWhitespace || $0 == "\u{FEFF}" }.map { String($0) }
        guard let first = words.first else { return }
        func leaveOut(_ cause: Omissions.Cause, _ detail: String) {
            draft.set.omissions.add(cause, at: place, detail)
        }
        switch kind {
        case .dota:
            // `imagesource:GoogleEarth` and `gsd:0.1` come before the objects.
            if first.contains(":"), words.count < 9 { return }
            let numbers = words.prefix(8).compactMap { Double($0) }
            guard words.count >= 9, numbers.count == 8 else {
                return leaveOut(
                    .malformed, "expected 4 corners, a class and whether it is difficult")
            }
            guard numbers.allSatisfy(\.isFinite) else {
                return leaveOut(.notFinite, "class `\(words[8])`")
            }
            var annotation = Annotation(label: words[8], place: place)
            annotation.orientedBox = stride(from: 0, to: 8, by: 2).map {
                .init(x: numbers[$0], y: numbers[$0 + 1])
            }
            annotation.isDifficult = words.count > 9 && words[9] != "0"
            entry.annotations.append(annotation)
        case .kitti:
            // Class, truncation, occlusion, angle, the edges of the box, seven numbers of a body.
            let numbers = words.dropFirst(4).prefix(4).compactMap { Double($0) }
            guard words.count >= 15, numbers.count == 4 else {
                return leaveOut(.malformed, "expected a class and at least 14 numbers")
            }
            guard numbers.allSatisfy(\.isFinite) else {
                return leaveOut(.notFinite, "class `\(first)`")
            }
            guard first != "DontCare" else {
                return leaveOut(.unsupported, "a region of `DontCare`")
            }
            var annotation = Annotation(label: first, place: place)
            annotation.box = Box(
                left: numbers[0], top: numbers[1], right: numbers[2], bottom: numbers[3])
            annotation.isTruncated = (Double(words[1]) ?? 0) > 0.5
            annotation.score = words.count > 15 ? Double(words[15]) : nil
            entry.annotations.append(annotation)
        }
    }
}
