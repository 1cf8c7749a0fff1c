// The contact sheet of a data set: its images with what is annotated in them, those with findings first.

import GraftImages
import GraftTensors

extension ContactSheet {
    /// A sheet of a set.
    ///
    /// Sets of boxes are shown as a sample of images: those with suspicious boxes first, then evenly
    /// from the whole set. Sets of labels are shown class by class.
    ///
    /// - Parameters:
    ///   - path: Where the sheet is written.
    ///   - limit: The number of images at most.
    package static func of(
        _ set: AnnotatedImages, check: AnnotationCheck, title: String, path: String, limit: Int,
        progress: (Int, Int) -> Void = { _, _ in }
    ) throws -> ContactSheet {
        let classes = check.classes.map(\.name)
        let hasShapes = set.images.contains { $0.annotations.contains { !$0.isWholeImage } }
        var sheet = try ContactSheet(
            path: path, title: title, classes: classes, thumbnailSide: hasShapes ? 640 : 320)
        let chosen: [(index: Int, section: String)]
        if hasShapes {
            chosen = sample(of: set, check: check, limit: limit)
        } else {
            (chosen, sheet.sectionTotals) = byClass(set, classes: classes, limit: limit)
        }
        let suspicious = Dictionary(grouping: check.findings, by: \.imageIndex)
        for (done, place) in chosen.enumerated() {
            progress(done, chosen.count)
            let image = set.images[place.index]
            let found = (suspicious[place.index] ?? []).reduce(into: [String: Int]()) {
                $0[$1.kind.title, default: 0] += 1
            }
            let highlighted = Set((suspicious[place.index] ?? []).map(\.annotationIndex))
            let notes = found.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }
            sheet.add(
                image, section: place.section, notes: notes, highlighting: highlighted)
        }
        sheet.facts = facts(
            of: set, check: check, shown: chosen.count, hasShapes: hasShapes)
        return sheet
    }

    private static func facts(
        of set: AnnotatedImages, check: AnnotationCheck, shown: Int, hasShapes: Bool
    ) -> [String] {
        var facts = ["\(grouped(check.images)) images"]
        if hasShapes {
            facts.append("\(grouped(check.annotations)) annotations")
        }
        facts.append("\(check.classes.count) classes")
        for split in DataSplit.allCases {
            if let count = check.splits[split.rawValue] {
                facts.append("\(grouped(count)) \(split.name)")
            }
        }
        if shown < check.images { facts.append("\(grouped(shown)) shown") }
        return facts
    }

    /// Images with findings, at most half of the sheet, and others from all over the set.
    private static func sample(of set: AnnotatedImages, check: AnnotationCheck, limit: Int)
        -> [(index: Int, section: String)]
    {
        let present = set.images.indices.filter { !set.images[$0].isMissing }
        // One of each kind of finding before the second of any.
        var byKind: [AnnotationCheck.Kind: [Int]] = [:]
        for finding in check.findings where byKind[finding.kind]?.last != finding.imageIndex {
            byKind[finding.kind, default: []].append(finding.imageIndex)
        }
        var suspicious: [Int] = []
        var taken: Set<Int> = []
        let lists = AnnotationCheck.Kind.allCases.compactMap { byKind[$0] }
        for round in 0..<(lists.map(\.count).max() ?? 0) where suspicious.count < limit / 2 {
            for list in lists where round < list.count && suspicious.count < limit / 2 {
                if taken.insert(list[round]).inserted { suspicious.append(list[round]) }
            }
        }
        let rest = present.filter { !taken.contains($0) }
        let count = min(limit - suspicious.count, rest.count)
        let even = (0..<max(count, 0)).map { rest[$0 * rest.count / count] }
        return suspicious.sorted().map { ($0, "With findings") }
            + even.map { ($0, suspicious.isEmpty ? "" : "Sample of the others") }
    }

    /// Images of each class, the same number of each where there are enough.
    private static func byClass(_ set: AnnotatedImages, classes: [String], limit: Int)
        -> (chosen: [(index: Int, section: String)], totals: [String: Int])
    {
        var lists: [String: [Int]] = [:]
        for index in set.images.indices where !set.images[index].isMissing {
            let labels = Set(set.images[index].annotations.map(\.label))
            // An image of several labels is shown once, with all of them.
            let section = labels.count > 1 ? "Several labels" : labels.first ?? "No label"
            lists[section, default: []].append(index)
        }
        let sections = (classes + ["Several labels", "No label"]).filter { lists[$0] != nil }
        let share = max(1, limit / max(sections.count, 1))
        let chosen = sections.flatMap { section -> [(index: Int, section: String)] in
            let list = lists[section] ?? []
            let count = min(share, list.count)
            return (0..<count).map { (list[$0 * list.count / count], section) }
        }
        return (chosen, lists.mapValues(\.count))
    }

    /// Places an image of a data set with its annotations.
    ///
    /// - Parameter highlighting: The indices of the annotations that are drawn thick.
    package mutating func add(
        _ image: AnnotatedImage, section: String = "", notes: [String] = [],
        highlighting: Set<Int> = []
    ) {
        let count = image.annotations.count { !$0.isWholeImage }
        let number = count == 1 ? "1 object" : "\(count) objects"
        let caption = ((count > 0 ? [number] : []) + notes).joined(separator: " · ")
        do {
            let opened = try image.open(covering: 640)
            // A large JPEG is decoded smaller than the boxes are drawn in.
            let shown = opened.extent.right - opened.extent.left
            let scale = image.width.map { shown / Double(max($0, 1)) } ?? 1
            try add(
                opened, name: image.name, caption: caption, section: section,
                marks: image.annotations.enumerated().map { index, annotation in
                    var mark = annotation.mark(scaledBy: scale)
                    mark.isHighlighted = highlighting.contains(index)
                    return mark
                })
        } catch {
            let reason = (error as? any Diagnostic)?.message ?? "\(error)"
            add(unreadable: image.name, caption: reason, section: section)
        }
    }
}

extension Annotation {
    /// What a sheet draws of it.
    fileprivate func mark(scaledBy scale: Double) -> ContactSheet.Mark {
        let outlines = (polygons + (orientedBox.isEmpty ? [] : [orientedBox]))
            .map { $0.flatMap { [$0.x * scale, $0.y * scale] } }
        let around = boundingBox.map {
            Box(
                left: $0.left * scale, top: $0.top * scale, right: $0.right * scale,
                bottom: $0.bottom * scale)
        }
        return ContactSheet.Mark(
            label: label, box: around, polygons: outlines, score: score,
            isDashed: isCrowd || isDifficult)
    }
}

extension AnnotationCheck.Kind {
    /// The kind in words.
    package var title: String {
        switch self {
        case .outside: "outside"
        case .tiny: "tiny"
        case .duplicate: "duplicate"
        case .twoClasses: "of two classes"
        case .long: "long"
        case .whole: "of the whole image"
        }
    }
}
