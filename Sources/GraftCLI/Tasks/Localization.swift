// Localisation on the command line: its options, and figures of the object of each image.

import ArgumentParser
import Graft
import GraftTraining

struct LocalizationOptions: TaskOptionGroup {
    static let task = LearningTask.localization

    @Option(
        help: ArgumentHelp("Function of the box's numbers: sigmoid or relu (default: sigmoid)."),
        transform: choice)
    var boxFunction: LocalizationSettings.BoxFunction?
    @Option(
        help: ArgumentHelp("Loss of the box: squared or giou (default: squared)."),
        transform: choice)
    var boxLoss: LocalizationSettings.BoxLoss?
    @Option(help: "Weight of the box in the loss (default: 1).") var boxWeight: Double?

    var given: [String] {
        [
            ("--box-function", boxFunction != nil), ("--box-loss", boxLoss != nil),
            ("--box-weight", boxWeight != nil),
        ].filter(\.1).map(\.0)
    }

    func settings() -> any TaskSettings {
        var settings = LocalizationSettings()
        if let boxFunction { settings.box = boxFunction }
        if let boxLoss { settings.loss = boxLoss }
        if let boxWeight { settings.boxWeight = boxWeight }
        return settings
    }
}

/// Answers are those of detection: an object or none.
enum LocalizationPresentation: TaskPresentation {
    static func subject(of photos: PhotoFolder) -> String {
        "the largest object of an image, its class and its box"
    }

    static func figures(_ measured: some Measured, classes: [String], columns: Int?) -> String? {
        guard let found = measured.localization else { return nil }
        var table = Table(["", ""], numeric: [1])
        for (name, value) in found.summary { table.add([name, Report.number(value)]) }
        table.add(["images with an object", "\(found.objects)"])
        return table.text
    }

    static func columns(labels: [String], top: Int, first: (any ReadableAnswer)?) -> [String] {
        DetectionPresentation.columns(labels: labels, top: top, first: first)
    }

    static var takesThreshold: Bool { true }
    static var formats: [DataSetFormat] { DetectionPresentation.formats }
    static var isDrawn: Bool { true }
}
