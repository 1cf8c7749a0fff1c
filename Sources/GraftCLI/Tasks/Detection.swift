// Detection on the command line: average precision class by class, and the objects of an image.

import Graft
import GraftImages
import GraftTensors
import GraftTraining

enum DetectionPresentation: TaskPresentation {
    static func subject(of photos: PhotoFolder) -> String { "objects and their boxes" }

    static func figures(_ measured: some Measured, classes: [String], columns: Int?) -> String? {
        measured.boxes.map(Report.boxes)
    }

    static func columns(labels: [String], top: Int, first: (any ReadableAnswer)?) -> [String] {
        ["label", "score", "left", "top", "right", "bottom"]
    }

    static var takesThreshold: Bool { true }
    static var formats: [DataSetFormat] { DataSetFormat.allCases.filter { $0 != .folders } }
    static var isDrawn: Bool { true }
    static var exportNote: String? {
        "the exported output is the detector's raw vector: boxes are not decoded, and "
            + "no suppression is applied"
    }
}

extension ObjectAnswer: ReadableAnswer {
    /// An empty table says less than the remark that goes with it.
    var table: String? {
        guard !things.isEmpty else { return nil }
        var table = Table(
            ["object", "score", "left", "top", "right", "bottom"], numeric: [1, 2, 3, 4, 5])
        for thing in things {
            let box = thing.box
            table.add(
                [thing.label, decimals(thing.score, 3)]
                    + [box.left, box.top, box.right, box.bottom].map { decimals($0, 1) })
        }
        return table.text
    }

    var summary: String {
        guard let first = things.first else {
            return "no objects"
                + (best.map { ", best score \(decimals($0.score, 3)) (\($0.label))" } ?? "")
        }
        var counts: [(label: String, count: Int)] = []
        for thing in things {
            if let at = counts.firstIndex(where: { $0.label == thing.label }) {
                counts[at].count += 1
            } else {
                counts.append((thing.label, 1))
            }
        }
        return counts.map { "\($0.count) \($0.label)" }.joined(separator: ", ")
            + ", best score \(decimals(first.score, 3))"
    }

    func rows(labels: [String], top: Int) -> [[String]] {
        things.map { thing in
            let box = thing.box
            return [thing.label, "\(Float(thing.score))"]
                + [box.left, box.top, box.right, box.bottom].map { decimals($0, 2) }
        }
    }

    var folders: [String] { Array(Set(things.map(\.label))) }

    var marks: [ContactSheet.Mark] {
        things.map { ContactSheet.Mark(label: $0.label, box: $0.box, score: $0.score) }
    }

    func annotate(_ image: inout AnnotatedImage, in set: inout AnnotatedImages) {
        image.annotations = things.map { thing in
            var annotation = Annotation(label: thing.label, box: thing.box)
            annotation.score = thing.score
            return annotation
        }
    }

    func draw(on image: inout Image, labels: [String]) {
        for thing in things.reversed() {
            image.outline(
                thing.box, saying: "\(thing.label) \(decimals(thing.score, 2))",
                Image.ink(labels.firstIndex(of: thing.label) ?? 0))
        }
    }

    var objects: (isEmpty: Bool, best: FoundThing?)? { (things.isEmpty, best) }
}

extension Report {
    /// The figures of boxes: class by class, and by size.
    static func boxes(_ found: BoxMetrics) -> String {
        func number(_ value: Double?) -> String { value.map { decimals($0, 4) } ?? "–" }
        var classes = Table(
            ["class", "boxes", "found", "AP", "AP50", "VOC 2007", "VOC 2010"],
            numeric: [1, 2, 3, 4, 5, 6])
        for row in found.perClass where row.truths + row.detections > 0 {
            classes.add([
                row.name, "\(row.truths)", "\(row.detections)", number(row.ap),
                number(row.ap50), number(row.voc07), number(row.voc10),
            ])
        }
        var means = Table(["", "all", "small", "medium", "large"], numeric: [1, 2, 3, 4])
        func add(_ name: String, of values: Double?...) {
            let cells = values.map { number($0) }
            means.add([name] + cells + [String](repeating: "", count: 4 - cells.count))
        }
        add("AP", of: found.ap, found.apSmall, found.apMedium, found.apLarge)
        add("AP50", of: found.ap50)
        add("AP75", of: found.ap75)
        add("AR, 1 box", of: found.ar1)
        add("AR, 10 boxes", of: found.ar10)
        add("AR, 100 boxes", of: found.ar100, found.arSmall, found.arMedium, found.arLarge)
        add("VOC 2007", of: found.voc07)
        add("VOC 2010", of: found.voc10)
        return "\(classes.text)\n\n\(means.text)"
    }
}
