// The card of a trained run, as the Hub reads it: metadata for its search above the words for people.

internal import FoundationEssentials
internal import GraftNetworks
internal import GraftTensors
internal import GraftTraining

extension ModelCard {
    /// Writes the README.md of the run in a folder: metrics, licence, base model, digest of the data split and
    /// the command that trained it.
    ///
    /// - Returns: The path of the card; nil where the folder is not that of a run, or has a README.md that
    ///   graft has not written.
    /// - Throws: `ModelError` if the run's model cannot be opened, `FileError` if the card cannot be written.
    public static func write(ofRun folder: String) throws -> String? {
        let run = folder.hasSuffix("/") ? folder : folder + "/"
        let file = run + "model.safetensors"
        guard let data = FileManager.default.contents(atPath: run + "run.json"),
            let description = try? JSONDecoder().decode(RunDescription.self, from: data),
            FileManager.default.fileExists(atPath: file)
        else { return nil }
        let path = run + "README.md"
        let old = FileManager.default.contents(atPath: path)
        if let old, !isOurs(String(decoding: old, as: UTF8.self)) { return nil }
        let model = try Model.open(file)
        let card = ModelCard(
            model, files: [file], format: .native, options: ExportOptions(), reference: file,
            command: description.command)
        try write(frontMatter(of: model) + card.text, to: path)
        return path
    }

    /// Whether a README.md is a card of graft, with metadata above it or without.
    static func isOurs(_ text: String) -> Bool {
        if text.hasPrefix(mark) { return true }
        guard text.hasPrefix("---\n"), let end = text.firstRange(of: "\n---\n") else {
            return false
        }
        return text[end.upperBound...].hasPrefix(mark)
    }

    /// The metadata that the Hub searches by.
    private static func frontMatter(of model: Model) -> String {
        var lines = ["library_name: graft"]
        if let licence = model.source.licence.map({ $0.lowercased() }), isPlain(licence) {
            lines.append("license: \(licence)")
        }
        if let base = baseModel(model.source.reference) { lines.append("base_model: \(base)") }
        if let pipeline = pipelines[model.task.rawValue] {
            lines.append("pipeline_tag: \(pipeline)")
        }
        let tags = ["graft", model.graph.name].filter(isPlain)
        lines.append("tags: [\(tags.joined(separator: ", "))]")
        return (["---"] + lines + ["---", ""]).joined(separator: "\n")
    }

    /// The Hub's names of tasks.
    private static let pipelines = [
        "classification": "image-classification", "multi-label": "image-classification",
        "detection": "object-detection", "embedding": "image-feature-extraction",
        "segmentation": "image-segmentation",
    ]

    /// The repository of the Hub that weights came from; nil for other places.
    private static func baseModel(_ reference: String) -> String? {
        guard reference.hasPrefix("hf://") else { return nil }
        let parts = reference.dropFirst("hf://".utf8.count).split(separator: "/").prefix(2)
        let name = parts.joined(separator: "/").prefix { $0 != "@" }
        return isPlain(String(name)) ? String(name) : nil
    }

    /// Whether a text needs no quotes in YAML.
    private static func isPlain(_ text: String) -> Bool {
        guard let first = text.utf8.first, (97...122).contains(first | 0x20) else { return false }
        return text.utf8.allSatisfy {
            (48...57).contains($0) || (97...122).contains($0 | 0x20) || "-_./".utf8.contains($0)
        }
    }
}
