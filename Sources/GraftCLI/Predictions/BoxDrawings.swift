// `--draw`: the images with the boxes of what was found in them.

import FoundationEssentials
import Glibc
import Graft
import GraftImages
import GraftTensors
import GraftTraining

/// Draws what is found into a PNG, or for several images into a folder of them.
struct BoxDrawings: PredictionSink {
    private let place: String
    private let isFolder: Bool
    private let labels: [String]
    private var taken: [String: Int] = [:]

    /// - Throws: `ModelError.unusable` of models that find no boxes, or `FileError`.
    init(_ place: String, _ model: Model, reference: String, isSingle: Bool) throws {
        guard model.task.presentation.isDrawn else {
            throw ModelError.unusable(
                reference, reason: "finds no boxes that could be drawn",
                hint: "`graft train ANNOTATIONS --task detection` makes a model that does")
        }
        labels = model.labels
        var isFolder = false
        let isThere = FileManager.default.fileExists(atPath: place, isDirectory: &isFolder)
        self.isFolder = !isSingle || place.hasSuffix("/") || isFolder
        guard self.isFolder else {
            self.place = place
            return
        }
        if isThere, !isFolder {
            throw ModelError.unusable(
                "--draw \(place)",
                reason: "several images are drawn into a folder, and this is a file",
                hint: "name a folder")
        }
        try FileError.makingFolder(place)
        self.place = place.hasSuffix("/") ? place : place + "/"
    }

    /// Where the drawing of the next image goes. Images of one name from several folders, or in several
    /// formats, get numbers.
    mutating func path(of name: String) -> String {
        guard isFolder else { return place }
        let file = name.split(separator: "/").last.map(String.init) ?? name
        let stem = file.lastIndex(of: ".").map { String(file[..<$0]) } ?? file
        let number = taken[stem, default: 0] + 1
        taken[stem] = number
        return place + stem + (number > 1 ? "-\(number)" : "") + ".boxes.png"
    }

    mutating func add(_ report: ImageReport, of input: ImageInput) throws {
        guard let answer = report.answer, let path = report.drawing else { return }
        // Decoded once more: kept until now, whole images would fill the memory.
        var image = try input.open()
        answer.draw(on: &image, labels: labels)
        try image.writePNG(to: path)
        if !isFolder { Terminal.say("drawn to \(path)") }
    }

    mutating func finish() {
        if isFolder { Terminal.say("drawn to \(place)") }
    }
}
