// How well a model does on labelled photos.

internal import FoundationEssentials
internal import GraftImages
internal import GraftNetworks
internal import GraftTensors
public import GraftTraining

/// The result of running a model over photos whose labels or numbers are known.
public struct Evaluation: Measured, Sendable, Encodable {
    /// What the model answers.
    public let task: LearningTask
    /// The names of the classes, labels or numbers, in the order of the figures.
    public let classes: [String]
    /// The figures of the task, by their names among the others.
    public let figures: any TaskMetrics
    /// The photos that were answered.
    public let photos: Int
    /// The photos that could not be read, each with the reason.
    public let skipped: [String]
    /// The part of a divided set that was evaluated; nil of a set that is not divided.
    public let split: DataSplit?
    /// What had to be assumed while the set was read, as sentences.
    public let notes: [String]
    /// What was left out of the set while it was read, a line for each cause.
    public let leftOut: [String]
    /// Which of the images the model was trained on.
    public let trained: TrainingOverlap

    /// Evaluates `model` on labelled photos; with the `split.json` of a run, on its validation
    /// photos only. Of a divided set the test images are evaluated, or else the validation images.
    ///
    /// Images that the model was trained on are left out, where the run's `split.json` beside the model
    /// tells them; ``trained`` says how many, or why they cannot be told.
    ///
    /// - Parameter includesTraining: Measure on images that the model was trained on too.
    /// - Throws: `ModelError.unusable` if the model's classes are not those of the photos, or if it was
    ///   trained on all of them.
    public init(
        _ model: Model, folder: String, reading: PhotoReading = PhotoReading(),
        splitFile: String? = nil, includesTraining: Bool = false,
        progress: (Int, Int) -> Void = { _, _ in }
    ) throws {
        let whole = try Evaluation.images(at: folder, reading, model)
        let part = splitFile == nil ? whole.evaluated : (photos: whole, split: nil)
        let photos = part.photos
        split = part.split
        (notes, leftOut) = (whole.notes, whole.remarks)
        let traits = model.task.traits
        // A class that no image has may be unknown to the model.
        for (name, count) in zip(photos.classes, photos.counts)
        where !traits.isVector && !model.labels.contains(name)
            && (count > 0 || photos.items.isEmpty || traits.labelling == .values)
        {
            throw ModelError.unusable(
                folder, reason: "the model has no class `\(name)`",
                hint: "its classes are \(model.labels.prefix(10).joined(separator: ", "))")
        }
        let selection = try Selection(
            model, splitFile: splitFile, includesTraining: includesTraining)
        var overlap = selection.overlap
        let items = photos.items
        var meter = try model.asTask {
            try $0.meter(model.answerSite(), classes: photos.classes)
        }
        let predictor = try Predictor(model, batch: min(8, max(1, items.count)))
        var skipped: [String] = []
        var answered = 0
        let preprocessing = model.preprocessing
        let reading = Prefetch(count: items.count) { at in
            selection.look(at: items[at], preprocessing)
        }
        var waiting: [(item: PhotoFolder.Item, image: PreparedImage)] = []
        for at in items.indices {
            switch reading.next() {
            case .image(let image, let item, let isTrained):
                if isTrained { overlap.images += 1 }
                waiting.append((item, image))
            case .trained: overlap.images += 1
            case .unreadable(let reason): skipped.append(reason)
            case .other, nil: break
            }
            guard waiting.count == 8 || at == items.count - 1 else { continue }
            let rows = try predictor.answers(waiting.map(\.image))
            for (row, image) in zip(rows, waiting) { try meter.add(row, of: image.item) }
            answered += rows.count
            waiting.removeAll(keepingCapacity: true)
            progress(at + 1, items.count)
        }
        guard answered > 0 else {
            throw selection.nothingLeft(of: folder, overlap, unreadable: skipped)
        }
        guard let figures = try meter.figures() else {
            throw ModelError.unusable(folder, reason: meter.obstacle, hint: nil)
        }
        self.figures = figures
        trained = overlap
        task = model.task
        classes = traits.isVector ? photos.classes : model.labels
        self.skipped = skipped
        self.photos = answered
    }

    private enum CodingKeys: String, CodingKey {
        case task, classes, photos, skipped, split, notes, leftOut, trained
    }

    /// Writes the figures of the task beside the others.
    public func encode(to encoder: any Encoder) throws {
        var keys = encoder.container(keyedBy: CodingKeys.self)
        try keys.encode(task, forKey: .task)
        try keys.encode(classes, forKey: .classes)
        try keys.encode(photos, forKey: .photos)
        try keys.encode(skipped, forKey: .skipped)
        try keys.encodeIfPresent(split, forKey: .split)
        try keys.encode(notes, forKey: .notes)
        try keys.encode(leftOut, forKey: .leftOut)
        try keys.encode(trained, forKey: .trained)
        try figures.encode(to: encoder)
    }
}
