// How well a model does on a folder of labelled photos.

internal import FoundationEssentials
internal import GraftImages
internal import GraftNetworks
internal import GraftTensors
public import GraftTraining

/// The result of running a classifier over photos whose classes are known.
public struct Evaluation: Sendable, Encodable {
    /// The share of photos whose most probable class is the true one.
    public let accuracy: Double
    /// The mean F1 over the classes that occur.
    public let macroF1: Double
    /// The names of the classes, in the order of the matrix.
    public let classes: [String]
    /// Which class was taken for which.
    public let confusion: ConfusionMatrix
    /// The photos that could not be read, each with the reason.
    public let skipped: [String]

    /// Evaluates `model` on the folder of folders at `folder`; with the `split.json` of a run, on
    /// its validation photos only.
    ///
    /// - Throws: `ModelError.unusable` if the model's classes are not the folder's.
    public init(
        _ model: Model, folder: String, splitFile: String? = nil,
        progress: (Int, Int) -> Void = { _, _ in }
    ) throws {
        let photos = try PhotoFolder.open(folder)
        for name in photos.classes where !model.labels.contains(name) {
            throw ModelError.unusable(
                folder, reason: "the model has no class `\(name)`",
                hint: "its classes are \(model.labels.prefix(10).joined(separator: ", "))")
        }
        let positions = photos.classes.compactMap { model.labels.firstIndex(of: $0) }
        let items = try Evaluation.items(of: photos, splitFile: splitFile)
        guard let logits = model.graph.logits else {
            throw ModelError.unusable(
                model.graph.name, reason: "the network has no classes", hint: "train a head for it")
        }
        let runner = try Runner(model, batch: min(8, max(1, items.count)), output: logits)
        var confusion = ConfusionMatrix(classes: model.labels.count)
        var skipped: [String] = []
        for start in stride(from: 0, to: items.count, by: 32) {
            var images: [Image] = []
            var truths: [Int] = []
            for item in items[start..<min(start + 32, items.count)] {
                do {
                    images.append(try Image.decode(path: item.path))
                    truths.append(positions[item.classIndex])
                } catch let error as any Diagnostic {
                    skipped.append(error.message)
                }
            }
            for (truth, scores) in zip(truths, try runner.run(images)) {
                let best = scores.withUnsafeBufferPointer { Ranking.best(of: $0) }
                confusion.add(truth: truth, prediction: best)
            }
            progress(min(start + 32, items.count), items.count)
        }
        guard confusion.count > 0 else {
            throw ModelError.unusable(
                folder, reason: "none of its photos could be read", hint: skipped.first)
        }
        self.accuracy = confusion.accuracy
        self.macroF1 = confusion.macroF1
        self.classes = model.labels
        self.confusion = confusion
        self.skipped = skipped
    }
}

extension Evaluation {
    /// All photos, or those that a run's split kept for validation.
    private static func items(of photos: PhotoFolder, splitFile: String?) throws
        -> [PhotoFolder.Item]
    {
        guard let splitFile else { return photos.items }
        let split: Split
        do {
            split = try JSONDecoder().decode(
                Split.self, from: try Data(contentsOf: URL(filePath: splitFile)))
        } catch {
            throw ModelError.unusable(
                splitFile, reason: "is no split of a run", hint: "name the run's `split.json`")
        }
        let items = split.items(of: photos).validation
        guard !items.isEmpty else {
            throw ModelError.unusable(
                splitFile, reason: "none of its validation photos is in `\(photos.path)`", hint: nil
            )
        }
        return items
    }
}
