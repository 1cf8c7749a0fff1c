// `--write`: predictions as annotations that other tools open, to correct them or to learn from them.

import ArgumentParser
import Graft
import GraftImages
import GraftTensors
import GraftTraining

/// The format of written annotations.
enum AnnotationFormat: String, ExpressibleByArgument, CaseIterable {
    case yolo, coco, voc, labelstudio

    /// What writes this model's answers.
    ///
    /// - Throws: ``UnwritableAnswer`` of answers that the format has no place for.
    func sink(_ folder: String, _ model: Model) throws -> any PredictionSink {
        let hasBoxes = model.task == .detection
        let hasLabels = model.task == .classification || model.task == .multiLabel
        guard hasBoxes || self == .labelstudio && hasLabels else {
            throw UnwritableAnswer(format: self, task: model.task)
        }
        switch self {
        case .yolo: return try YOLOAnnotations(folder, model.labels)
        case .coco: return try COCOAnnotations(folder, model.labels)
        case .voc: return try VOCAnnotations(folder)
        case .labelstudio: return try LabelStudioTasks(folder, model)
        }
    }
}

/// Answers that a format has no place for.
struct UnwritableAnswer: Diagnostic, Equatable {
    let format: AnnotationFormat
    let task: LearningTask

    var message: String {
        let holds = format == .labelstudio ? "boxes and labels" : "boxes"
        return
            "--write \(format.rawValue) writes \(holds), and this is a model for \(task.rawValue)"
    }
    var hint: String? {
        task == .classification || task == .multiLabel
            ? "`--write labelstudio` and `--csv` write labels; `--sort-into DIR` links images by class"
            : "`--csv` writes its answers"
    }
}

/// YOLO: `data.yaml`, `images/`, and a text of boxes per image in `labels/`.
final class YOLOAnnotations: PredictionSink {
    private let folder: WrittenImages
    private let labels: [String]

    init(_ path: String, _ labels: [String]) throws {
        folder = try WrittenImages(path, images: "images")
        self.labels = labels
        try folder.makeFolder("labels")
    }

    func add(_ report: ImageReport, of input: ImageInput) throws {
        guard let things = report.things else { return }
        let name = try folder.place(input)
        let (width, height) = (Double(report.size.width), Double(report.size.height))
        var text = ""
        for thing in things {
            guard let label = labels.firstIndex(of: thing.label) else { continue }
            let box = thing.box
            let numbers = [
                (box.left + box.right) / 2 / width, (box.top + box.bottom) / 2 / height,
                (box.right - box.left) / width, (box.bottom - box.top) / height,
            ]
            text += "\(label) " + numbers.map { decimals($0, 8) }.joined(separator: " ") + "\n"
        }
        let stem = name.lastIndex(of: ".").map { String(name[..<$0]) } ?? name
        try folder.write(text, as: "labels/\(stem).txt")
    }

    func finish() throws {
        var text = "path: .\ntrain: images\nnc: \(labels.count)\nnames:\n"
        for (index, label) in labels.enumerated() {
            text += "  \(index): \(try JSON.line(label))\n"
        }
        try folder.write(text, as: "data.yaml")
        Terminal.say("annotations of \(grouped(folder.count)) images: \(folder.path)/data.yaml")
    }
}

/// COCO: `annotations.json` and `images/`; each annotation has its score.
final class COCOAnnotations: PredictionSink {
    private struct Category: Encodable {
        let id: Int
        let name: String
    }
    private struct Entry: Encodable {
        let id: Int
        let file_name: String
        let width: Int
        let height: Int
    }
    private struct Annotation: Encodable {
        let id: Int
        let image_id: Int
        let category_id: Int
        let bbox: [Double]
        let area: Double
        let iscrowd = 0
        let score: Double
    }

    private let folder: WrittenImages
    private let labels: [String]
    private var images: JSONListFile
    /// Kept until the list of the images has ended: a few numbers per box.
    private var annotations: [Annotation] = []

    init(_ path: String, _ labels: [String]) throws {
        folder = try WrittenImages(path, images: "images")
        self.labels = labels
        images = try JSONListFile("\(folder.path)/annotations.json", start: "{\"images\":[")
    }

    func add(_ report: ImageReport, of input: ImageInput) throws {
        guard let things = report.things else { return }
        let name = try folder.place(input)
        let id = folder.count
        try images.add(
            Entry(
                id: id, file_name: name, width: report.size.width, height: report.size.height))
        for thing in things {
            guard let label = labels.firstIndex(of: thing.label) else { continue }
            let box = thing.box
            let sides = [box.left, box.top, box.right - box.left, box.bottom - box.top]
            annotations.append(
                Annotation(
                    id: annotations.count + 1, image_id: id, category_id: label + 1, bbox: sides,
                    area: sides[2] * sides[3], score: thing.score))
        }
    }

    func finish() throws {
        let categories = labels.enumerated().map { Category(id: $0 + 1, name: $1) }
        let boxes = try annotations.map { try JSON.line($0) }.joined(separator: ",\n")
        try images.finish(
            "],\n\"categories\":\(try JSON.line(categories)),\n\"annotations\":[\n\(boxes)]}\n")
        Terminal.say(
            "annotations of \(grouped(folder.count)) images: \(folder.path)/annotations.json")
    }
}

/// Pascal VOC: an XML per image in `Annotations/`, the images in `JPEGImages/`.
final class VOCAnnotations: PredictionSink {
    private let folder: WrittenImages

    init(_ path: String) throws {
        folder = try WrittenImages(path, images: "JPEGImages")
        try folder.makeFolder("Annotations")
    }

    func add(_ report: ImageReport, of input: ImageInput) throws {
        guard let things = report.things else { return }
        let name = try folder.place(input)
        var text = """
            <annotation>
              <folder>JPEGImages</folder>
              <filename>\(Self.escaped(name))</filename>
              <size><width>\(report.size.width)</width><height>\(report.size.height)</height>\
            <depth>3</depth></size>
              <segmented>0</segmented>

            """
        for thing in things {
            // The first pixel is 1, and the last one belongs to the box.
            let box = thing.box
            let edges = [
                ("xmin", box.left + 1), ("ymin", box.top + 1), ("xmax", box.right),
                ("ymax", box.bottom),
            ].map { "<\($0)>\(decimals($1, 3))</\($0)>" }.joined()
            text += "  <object>\n    <name>\(Self.escaped(thing.label))</name>\n"
            text += "    <pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult>\n"
            text += "    <bndbox>\(edges)</bndbox>\n  </object>\n"
        }
        let stem = name.lastIndex(of: ".").map { String(name[..<$0]) } ?? name
        try folder.write(text + "</annotation>\n", as: "Annotations/\(stem).xml")
    }

    func finish() {
        Terminal.say("annotations of \(grouped(folder.count)) images: \(folder.path)/Annotations")
    }

    static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            // Control characters have no place in XML 1.0.
            case _ where scalar.value < 32 && scalar != "\t" && scalar != "\n": result += "_"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
