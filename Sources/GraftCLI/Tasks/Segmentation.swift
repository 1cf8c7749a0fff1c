// Segmentation on the command line: its options, figures class by class, and masks of an image.

import ArgumentParser
import FoundationEssentials
import Graft
import GraftImages
import GraftTensors
import GraftTraining

struct SegmentationOptions: TaskOptionGroup {
    static let task = LearningTask.segmentation

    @Option(
        help: ArgumentHelp("Head of the network: unet, lraspp or deeplab (default: unet)."),
        transform: choice)
    var segmenter: SegmentationSettings.Head?
    @Option(
        help: ArgumentHelp("Loss of the pixels: ce, dice or ce-dice (default: ce-dice)."),
        transform: choice)
    var pixelLoss: SegmentationSettings.Loss?

    var given: [String] {
        [("--segmenter", segmenter != nil), ("--pixel-loss", pixelLoss != nil)]
            .filter(\.1).map(\.0)
    }

    func settings() -> any TaskSettings {
        var settings = SegmentationSettings()
        if let segmenter { settings.head = segmenter }
        if let pixelLoss { settings.loss = pixelLoss }
        return settings
    }
}

/// The options of `graft predict` for masks.
struct SegmentationOutputs: TaskOutputGroup {
    @Option(
        help: "Folder in which to write a mask per image: PNG of grey values, 0 for background.")
    var masks: String?
    @Flag(help: "Write --masks in the colours of Pascal VOC's palette.") var palette = false

    func validate() throws {
        guard palette, masks == nil else { return }
        let idle = IdleOption(option: "--palette", phrase: "without --masks")
        throw ValidationError(idle.message)
    }

    func sinks(_ model: Model) throws -> [any PredictionSink] {
        guard let masks else { return [] }
        guard model.task == .segmentation else {
            throw ModelError.unusable(
                "--masks", reason: "the model is for \(model.task.rawValue) and finds no masks",
                hint: "`graft train ANNOTATIONS --task segmentation` makes a model that does")
        }
        return [try MaskFiles(folder: masks, inColor: palette)]
    }
}

/// Writes the mask of each image under the image's name.
private struct MaskFiles: PredictionSink {
    private let folder: String
    private let inColor: Bool
    private var taken: [String: Int] = [:]

    init(folder: String, inColor: Bool) throws {
        try FileError.makingFolder(folder)
        self.folder = folder.hasSuffix("/") ? folder : folder + "/"
        self.inColor = inColor
    }

    mutating func add(_ report: ImageReport, of input: ImageInput) throws {
        guard let answer = report.answer as? SegmentAnswer else { return }
        let file = input.name.split(separator: "/").last.map(String.init) ?? input.name
        let stem = file.lastIndex(of: ".").map { String(file[..<$0]) } ?? file
        let number = taken[stem, default: 0] + 1
        taken[stem] = number
        try answer.mask.image(inColor: inColor)
            .writePNG(to: folder + stem + (number > 1 ? "-\(number)" : "") + ".png")
    }

    mutating func finish() { Terminal.say("masks written to \(folder)") }
}

enum SegmentationPresentation: TaskPresentation {
    static func subject(of photos: PhotoFolder) -> String { "the class of each pixel" }

    static func figures(_ measured: some Measured, classes: [String], columns: Int?) -> String? {
        guard let found = measured.segmentation else { return nil }
        var table = Table(["class", "IoU", "Dice", "accuracy", "pixels"], numeric: [1, 2, 3, 4])
        for row in found.perClass {
            table.add([
                row.name, Report.number(row.iou), Report.number(row.dice),
                Report.number(row.accuracy), grouped(row.pixels),
            ])
        }
        return """
            \(table.text)

            mIoU \(Report.number(found.meanIoU))  mDice \(Report.number(found.meanDice))  pixel \
            accuracy \(Report.number(found.pixelAccuracy))  mean accuracy \
            \(Report.number(found.meanAccuracy))
            """
    }

    static func columns(labels: [String], top: Int, first: (any ReadableAnswer)?) -> [String] {
        ["label", "share", "pixels"]
    }

    static var formats: [DataSetFormat] { [.coco] }
    static var isDrawn: Bool { true }
}

extension SegmentAnswer: ReadableAnswer {
    var table: String? {
        guard !segments.isEmpty else { return nil }
        var table = Table(["class", "share", "pixels"], numeric: [1, 2])
        for segment in segments {
            table.add([segment.label, decimals(segment.share, 3), grouped(segment.pixels)])
        }
        return table.text
    }

    var summary: String {
        segments.isEmpty
            ? "background alone"
            : segments.map { "\($0.label) \(decimals($0.share * 100, 1)) %" }.joined(
                separator: ", ")
    }

    func rows(labels: [String], top: Int) -> [[String]] {
        segments.map { [$0.label, "\(Float($0.share))", "\($0.pixels)"] }
    }

    var folders: [String] { segments.map(\.label) }

    func annotate(_ image: inout AnnotatedImage, in set: inout AnnotatedImages) {
        image.annotations = segments.compactMap { segment in
            guard let index = labels.firstIndex(of: segment.label) else { return nil }
            var annotation = Annotation(label: segment.label)
            annotation.mask = mask.runs(of: UInt8(index + 1))
            return annotation
        }
    }

    /// Colours the pixels of each class.
    func draw(on image: inout Image, labels: [String]) {
        guard image.width == mask.width, image.height == mask.height else { return }
        for y in 0..<image.height {
            for x in 0..<image.width {
                let value = Int(mask.values[y * mask.width + x])
                guard value > 0 else { continue }
                image[x, y] = image[x, y].mixed(with: Image.ink(value - 1), 0.5)
            }
        }
    }
}
