// `--sort-into`: a folder per class with links to the images; the images stay where they are.

import FoundationEssentials
import Glibc
import Graft
import GraftTensors
import GraftTraining

/// Links each image into the folders of what it shows.
struct ClassLinks: PredictionSink {
    private let folder: String
    /// What a link leads to, by its place.
    private var made: [String: String] = [:]

    /// - Throws: `ModelError.unusable` of models that answer no classes, or `FileError`.
    init(_ folder: String, _ model: Model) throws {
        guard model.task.presentation.isSorted else {
            throw ModelError.unusable(
                "--sort-into", reason: "the model predicts no classes to sort images into",
                hint: "`--csv` writes its answers")
        }
        self.folder = folder.hasSuffix("/") && folder != "/" ? String(folder.dropLast()) : folder
        try FileError.makingFolder(self.folder)
    }

    mutating func add(_ report: ImageReport, of input: ImageInput) throws {
        guard report.error == nil else { return }
        guard let file = input.file, let target = absolute(file) else {
            throw ModelError.unusable(
                report.path, reason: "a link can lead to a file only",
                hint: "unpack the archive or the video first")
        }
        let labels = report.answer?.folders ?? []
        for label in labels.isEmpty ? ["_none"] : labels {
            try link(target, named: input.name, below: "\(folder)/\(Self.plain(label))")
        }
    }

    /// Links to `target` under its own name, or with a number where another has it.
    private mutating func link(_ target: String, named name: String, below folder: String) throws {
        try FileError.makingFolder(folder)
        let file = name.split(separator: "/").last.map(String.init) ?? "image"
        let dot = file.lastIndex(of: ".") ?? file.endIndex
        for number in 1... {
            let place = "\(folder)/\(file[..<dot])\(number > 1 ? "-\(number)" : "")\(file[dot...])"
            if made[place] == target { return }
            guard made[place] == nil else { continue }
            if symlink(target, place) != 0 {
                guard errno == EEXIST else { throw FileError("link", place) }
                // A second run finds its own links; anything else keeps its name.
                guard Self.destination(place) == target else { continue }
            }
            made[place] = target
            return
        }
    }

    private static func destination(_ place: String) -> String? {
        var text = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = readlink(place, &text, text.count - 1)
        guard count > 0 else { return nil }
        return String(decoding: text[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private func absolute(_ path: String) -> String? {
        guard let real = realpath(path, nil) else { return nil }
        defer { free(real) }
        return String(cString: real)
    }

    /// A label as the name of a folder: it must not lead elsewhere.
    private static func plain(_ label: String) -> String {
        let name = String(label.prefix(100).map { $0 == "/" || $0 == "\0" ? "_" : $0 })
        return name.isEmpty || name.hasPrefix(".") ? "_" + name : name
    }
}

extension FileError {
    /// Makes a folder and those above it.
    static func makingFolder(_ path: String) throws {
        do {
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: true)
        } catch {
            throw FileError("create", path)
        }
    }
}
