// A model card and a list of labels, for whoever gets an exported model without its history.

internal import FoundationEssentials
internal import GraftArchitectures
internal import GraftImages
internal import GraftNetworks
internal import GraftTensors
internal import GraftTraining

/// The README.md and labels.txt that go with an exported model.
public struct ModelCard {
    /// The first line of a card, by which one of graft's is known again.
    static let mark = "<!-- Model card written by graft -->"
    private let model: Model
    /// The exported files.
    private let files: [String]
    private let options: ExportOptions
    private let format: OutputFormat
    /// The run's metrics as JSON, if the model is that of a run.
    private let metrics: JSONTree?
    private let command: String

    /// A card of `model`, exported to `files`. `reference` is what was exported: of a model in a
    /// run's folder the metrics are read. `command` repeats the export.
    public init(
        _ model: Model, files: [String], format: OutputFormat, options: ExportOptions,
        reference: String, command: String
    ) {
        self.model = model
        self.files = files
        self.format = format
        self.options = options
        self.command = command
        let folder = Self.folder(of: reference)
        let isRun = FileManager.default.fileExists(atPath: folder + "run.json")
        metrics = isRun ? try? CompanionFiles.json(at: folder + "metrics.json") : nil
    }

    /// Throws if no card can be written beside `file`.
    ///
    /// - Throws: `ModelError.unusable` if there is a README.md that graft has not written.
    public static func check(beside file: String) throws {
        let card = folder(of: file) + "README.md"
        if FileManager.default.fileExists(atPath: card),
            try !isOurs(LabelNames.text(at: card))
        {
            throw ModelError.unusable(
                card, reason: "it exists and is not a model card of graft",
                hint: "export into a folder of its own: `-o model/model.onnx`")
        }
    }

    private static func folder(of file: String) -> String {
        file.lastIndex(of: "/").map { String(file[...$0]) } ?? ""
    }

    /// Writes README.md and, of a model with labels, labels.txt beside the first file. Gives their
    /// paths.
    ///
    /// - Throws: `ModelError.unusable` if there is a README.md that graft has not written.
    public func write() throws -> [String] {
        let first = files.first ?? ""
        try Self.check(beside: first)
        let folder = Self.folder(of: first)
        let card = folder + "README.md"
        var written = [card]
        try Self.write(text, to: card)
        if !model.labels.isEmpty {
            let labels = folder + "labels.txt"
            // A line is a label: what would break it becomes a blank.
            let lines = model.labels.map { $0.split { $0.isNewline }.joined(separator: " ") }
            try Self.write(lines.joined(separator: "\n") + "\n", to: labels)
            written.append(labels)
        }
        return written
    }

    static func write(_ text: String, to path: String) throws {
        var file = try AtomicFile(replacing: path)
        try file.write(Array(text.utf8))
        try file.commit(durably: false)
    }

    /// The card.
    var text: String {
        let it = model.preprocessing
        var lines = [
            Self.mark, "# \(model.graph.name)", "",
            "| | |", "|---|---|",
            "| Task | \(model.task.rawValue) |",
            "| Architecture | \(model.graph.name) |",
            "| Parameters | \(grouped(model.graph.parameterCount)) |",
            "| Files | \(files.map { "`\(name($0))`" }.joined(separator: ", ")) "
                + "(\(format.rawValue)) |",
            "| Weights from | \(model.source.reference) |",
            "| SHA-256 of those | \(model.source.sha256) |",
            "| Licence of those | \(model.source.licence ?? "not stated") |",
        ]
        if let training = model.training {
            lines.append("| Training images | \(training.images) |")
            lines.append("| Digest of the data split | \(training.split) |")
        }
        lines += ["", "## Input", ""]
        lines.append(
            options.withPreprocessing && format == .onnx
                ? "`input`: uint8 (batch, height, width, 3), RGB, any size. Resizing, cropping and "
                    + "normalisation are part of the model."
                : options.withPreprocessing
                    ? "Float values of 0 to 255, \(it.height)×\(it.width), "
                        + "\(it.channels == 1 ? "grey" : "RGB"); normalisation is part of the model."
                    : "\(it.channels) channels, \(it.height)×\(it.width), normalised.")
        lines += ["", "Preprocessing: \(it.summary).", "", "## Output", ""]
        let function = model.probabilityFunction
        if model.task.traits.hasProbabilities {
            let isInside =
                options.withPreprocessing || options.activation != .none
                || [.softmax, .sigmoid].contains(model.endingFunction)
            lines.append(
                isInside
                    ? "Probabilities (\(function.rawValue))."
                    : "Scores; \(function.rawValue) makes probabilities of them.")
        } else {
            lines.append(model.task.traits.outputNote)
        }
        if !model.labels.isEmpty {
            lines += ["", "Labels, in the order of the outputs (`labels.txt`):", ""]
            lines += model.labels.prefix(100).enumerated().map { "\($0). `\($1)`" }
            if model.labels.count > 100 { lines.append("\n… and \(model.labels.count - 100) more") }
        }
        if let metrics { lines += ["", "## Metrics", ""] + Self.rows(metrics) }
        lines += ["", "## Command", "", "```", command, "```", ""]
        return lines.joined(separator: "\n")
    }

    private func name(_ path: String) -> String {
        path.split(separator: "/").last.map(String.init) ?? path
    }

    /// The single numbers among the metrics of a run.
    private static func rows(_ metrics: JSONTree) -> [String] {
        guard case .object(let members) = metrics else { return [] }
        let rows = members.sorted { $0.key < $1.key }.compactMap { key, value -> String? in
            value.number.map { "| \(key) | \(($0 * 10000).rounded() / 10000) |" }
        }
        return ["Measured on the run's validation images.", "", "| | |", "|---|--:|"] + rows
    }
}

extension Model {
    /// The function that the network's last layer computes itself.
    var endingFunction: OutputActivation {
        switch graph.ending {
        case .softmax: .softmax
        case .sigmoid, .probabilities: .sigmoid
        case .linear, .values, .features: .none
        }
    }
}
