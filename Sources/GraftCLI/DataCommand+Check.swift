// `graft data check`: what is wrong with a data set before anything is learned from it.

import ArgumentParser
import Graft
import GraftImages
import GraftTensors
import GraftTraining

extension DataCommand {
    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "check",
            abstract: "Find unreadable images, duplicates, and labels or boxes that look wrong.",
            discussion: """
                Example: graft data check images --sheet sheet.html
                The sheet shows the images with their boxes and polygons on one page.
                """)

        @Argument(help: "Labelled or annotated images, as `graft train` takes them.")
        var data: String
        @OptionGroup(title: "Data") var reading: DataSettings
        @Option(help: "Validation images: duplicates across the two sets are found too.")
        var validation: String?
        @Option(help: "Trained model: names images that it takes for another class.")
        var model: String?
        @Option(help: "Minimum confidence of the model (default: 0.95).") var sure: Float = 0.95
        @Option(help: "Contact sheet to write, .html or .png.") var sheet: String?
        @Option(help: "Maximum number of images on the sheet (default: 120).")
        var sheetImages = 120
        @Flag(help: "Skip opening the images: look at the annotations only.")
        var annotationsOnly = false
        @Flag(help: "Print one JSON object.") var json = false

        struct Doubt: Encodable {
            let path: String
            let label: String
            let looksLike: String
            let probability: Float
        }

        struct Answer: Encodable {
            let annotations: AnnotationCheck?
            let check: DataCheck?
            let doubts: [Doubt]
        }

        func validate() throws {
            guard sure > 0, sure <= 1 else {
                throw ValidationError("--sure takes a share above 0, at most 1")
            }
            guard (1...10_000).contains(sheetImages) else {
                throw ValidationError("--sheet-images takes 1 to 10000, found \(sheetImages)")
            }
        }

        func run() async throws {
            if let sheet { try ContactSheet.check(path: sheet) }
            let path = try await Models.photos(at: data)
            let (set, photos) = try AnnotatedImages.opened(path, reading.reading)
            if !json { DataSettings.sayNotes(of: photos) }
            let isAnnotated = set.images.contains { $0.annotations.contains { !$0.isWholeImage } }
            let annotations = AnnotationCheck(set)
            let check = annotationsOnly ? nil : try await check(photos)
            let doubts = try await doubts(photos)
            if let sheet { try writeSheet(of: set, check: annotations, to: sheet) }
            if json {
                Terminal.answer(
                    try JSON.line(
                        Answer(
                            annotations: isAnnotated ? annotations : nil, check: check,
                            doubts: doubts)))
                return
            }
            var lines: [String] = []
            if isAnnotated { lines += annotations.table(width: Terminal.answerWidth) + [""] }
            let findings =
                photos.remarks.map { "left out    \($0)" }
                + (isAnnotated ? annotations.lines : [])
                + (check.map { Self.lines($0, isAnnotated: isAnnotated) } ?? [])
                + doubts.map {
                    "label?      \($0.path): labelled \($0.label), looks like \($0.looksLike) "
                        + "(\(decimals($0.probability, 3)))"
                }
            let count = findings.count
            let things =
                isAnnotated ? ", \(grouped(annotations.annotations)) annotations" : ""
            let result =
                count == 0 ? "nothing found" : "\(count) \(count == 1 ? "finding" : "findings")"
            let classCount = isAnnotated ? annotations.classes.count : photos.classes.count
            lines += findings
            lines.append(
                "\(grouped(annotations.images)) \(annotations.images == 1 ? "image" : "images")\(things) of "
                    + "\(classCount) \(classCount == 1 ? "class" : "classes"): \(result)"
            )
            Terminal.answer(DataArchive.shown(lines.joined(separator: "\n")))
        }

        private func check(_ photos: PhotoFolder) async throws -> DataCheck {
            let held = try await validation.asyncMap { validation in
                try PhotoFolder.open(
                    try await Models.photos(at: validation), reading.reading)
            }
            let others = photos.with(
                items: photos.items.filter { ![nil, .training].contains($0.split) })
            let progress = JobProgress("checking")
            let check = DataCheck(
                photos.isDivided ? photos.only(.training) : photos,
                validation: held ?? (photos.isDivided ? others : nil)
            ) { progress.show($0, of: $1) }
            Terminal.redraw("")
            return check
        }

        private func writeSheet(
            of set: AnnotatedImages, check: AnnotationCheck, to path: String
        ) throws {
            let name = data.split(separator: "/").last.map(String.init) ?? data
            let progress = JobProgress("drawing")
            var page = try ContactSheet.of(
                set, check: check, title: name, path: path, limit: sheetImages
            ) { progress.show($0, of: $1) }
            Terminal.redraw("")
            // Paths are of this machine: a page is sent to others.
            let folder = data.hasSuffix("/") ? data : data + "/"
            page.findings = (set.remarks.map { "left out \($0)" } + check.lines)
                .map { $0.replacing(folder, with: "") }
            try page.write()
            Terminal.say("wrote \(path): \(page.count) of \(set.images.count) images")
        }

        private static func lines(_ check: DataCheck, isAnnotated: Bool) -> [String] {
            var lines = check.unreadable.map { "unreadable  \($0.path): \($0.reason)" }
            func add(_ kind: String, groups: [DataCheck.Group]) {
                for group in groups {
                    let notes =
                        (group.acrossClasses
                            ? [isAnnotated ? "different labels" : "different classes"] : [])
                        + (group.acrossSides ? ["both sides of the split"] : [])
                    lines.append(
                        "\(kind)  " + group.paths.joined(separator: "  ")
                            + (notes.isEmpty ? "" : "  (\(notes.joined(separator: ", ")))"))
                }
            }
            add("duplicate ", groups: check.duplicates)
            add("lookalike ", groups: check.lookalikes)
            lines += check.tiny.map { "tiny        \($0)" }
            lines += check.small.map { "few images  class `\($0)` has \(check.counts[$0] ?? 0)" }
            return lines
        }

        /// The images whose labels a model strongly disagrees with, the surest first.
        private func doubts(_ photos: PhotoFolder) async throws -> [Doubt] {
            guard let model else { return [] }
            let network = try await Models.open(model)
            guard photos.labelling == .oneClass, network.task.traits.isExclusive else {
                throw ModelError.unusable(
                    model, reason: "doubts are about images of one class each", hint: nil)
            }
            var doubts: [Doubt] = []
            let progress = JobProgress("checking labels")
            for start in stride(from: 0, to: photos.items.count, by: 64) {
                let items = photos.items[start..<min(start + 64, photos.items.count)]
                progress.show(start, of: photos.items.count)
                let readable = items.compactMap { item in
                    (try? item.open(covering: network.preprocessing.covering)).map { (item, $0) }
                }
                let answers = try network.predict(readable.map(\.1), top: 1)
                for ((item, _), answer) in zip(readable, answers) {
                    let label = photos.classes[item.classIndex]
                    guard let best = answer.first, best.label != label, best.probability >= sure
                    else { continue }
                    doubts.append(
                        Doubt(
                            path: item.path, label: label, looksLike: best.label,
                            probability: best.probability))
                }
            }
            Terminal.redraw("")
            return doubts.sorted { $0.probability > $1.probability }
        }
    }
}

extension AnnotationCheck {
    /// The classes with their counts and sizes, and what holds of all annotations.
    fileprivate func table(width: Int?) -> [String] {
        let head = ["class", "annotations", "images", "small", "medium", "large", "median size"]
        let shown = classes.prefix(100)
        let rows =
            [head]
            + shown.map { entry in
                let size = entry.medianSize.map { "\(Self.short($0[0])) × \(Self.short($0[1]))" }
                return [
                    shortened(entry.name, to: 32), grouped(entry.annotations),
                    grouped(entry.images),
                ]
                    + entry.bySize.map(grouped) + [size ?? "–"]
            }
        let widths = head.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        var lines = rows.map { row in
            row.enumerated().map { column, text in
                let space = String(repeating: " ", count: widths[column] - text.count)
                return column == 0 ? text + space : space + text
            }.joined(separator: "  ")
        }
        if shown.count < classes.count {
            lines.append("and \(classes.count - shown.count) classes more: --json has all")
        }
        func line(_ name: String, of spread: Spread?, unit: String = "") {
            guard let spread else { return }
            lines.append(
                "\(name): median \(Self.short(spread.median))\(unit), 5 % below \(Self.short(spread.low)), "
                    + "95 % below \(Self.short(spread.high)), at most \(Self.short(spread.maximum))"
            )
        }
        lines.append("")
        line("size (root of the area)", of: sizes, unit: " pixels")
        line("width / height", of: aspectRatios)
        line("annotations per image", of: perImage)
        let kinds = shapes.sorted { $0.key < $1.key }.map { "\(grouped($0.value)) \($0.key)" }
        if !kinds.isEmpty { lines.append("drawn as: \(kinds.joined(separator: ", "))") }
        return lines
    }

    /// What was found, a line for each kind.
    fileprivate var lines: [String] {
        var lines: [String] = []
        func add(_ name: String, count: Int, of what: String, examples: [String]) {
            guard count > 0 else { return }
            let rest = count - examples.count
            let title = name + String(repeating: " ", count: max(12 - name.count, 1))
            lines.append(
                title + "\(grouped(count)) \(what): " + examples.joined(separator: ", ")
                    + (rest > 0 ? " and \(grouped(rest)) more" : ""))
        }
        func images(_ count: Int) -> String { count == 1 ? "image" : "images" }
        add(
            "missing", count: missing.count, of: "\(images(missing.count)) not on disk",
            examples: missing.examples)
        add(
            "empty", count: withoutAnnotations.count,
            of: "\(images(withoutAnnotations.count)) without annotations",
            examples: withoutAnnotations.examples)
        for kind in Kind.allCases {
            let found = findings.filter { $0.kind == kind }
            let examples = found.prefix(3).map { finding in
                let corners = finding.box.map(Self.short)
                return "`\(finding.place ?? finding.image)` (\(finding.label)"
                    + (finding.other.map { " and \($0)" } ?? "")
                    + ", \(corners[0]), \(corners[1]) to \(corners[2]), \(corners[3]))"
            }
            add(kind.name, count: found.count, of: kind.words(found.count), examples: examples)
        }
        let unused = classes.filter { $0.annotations == 0 }.map { "`\($0.name)`" }
        add(
            "unused", count: unused.count,
            of: "\(unused.count == 1 ? "class" : "classes") without annotations",
            examples: Array(unused.prefix(5)))
        return lines
    }

    fileprivate static func short(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e9 else { return "\(value)" }
        let rounded = abs(value) < 10 ? (value * 100).rounded() / 100 : value.rounded()
        return rounded == rounded.rounded() ? "\(Int(rounded))" : "\(rounded)"
    }
}

extension [String] {
    fileprivate var examples: [String] { prefix(3).map { "`\($0)`" } }
}

extension AnnotationCheck.Kind {
    fileprivate var name: String {
        switch self {
        case .twoClasses: "two classes"
        default: rawValue
        }
    }

    fileprivate func words(_ count: Int) -> String {
        let one = count == 1
        return switch self {
        case .outside: one ? "box beyond the image" : "boxes beyond the image"
        case .tiny:
            (one ? "box" : "boxes") + " below \(Int(AnnotationCheck.tinySide)) pixels on a side"
        case .duplicate: one ? "box drawn twice" : "boxes drawn twice"
        case .twoClasses: (one ? "box" : "boxes") + " with two classes"
        case .long: (one ? "box" : "boxes") + " more than ten times as long as wide"
        case .whole: (one ? "box" : "boxes") + " of the whole image"
        }
    }
}
