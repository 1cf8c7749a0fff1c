// How well a model does on labelled photos.

internal import FoundationEssentials
internal import GraftImages
internal import GraftNetworks
internal import GraftTensors
public import GraftTraining

/// The result of running a model over photos whose labels or numbers are known.
public struct Evaluation: Sendable, Encodable {
    /// What the model answers.
    public let task: LearningTask
    /// The share of photos whose most probable class is the true one; nil where there is no class.
    public let accuracy: Double?
    /// The share of photos whose true class is among the best five; nil of five classes or fewer.
    public let top5: Double?
    /// The mean F1 over the classes or labels that occur; nil for numbers.
    public let macroF1: Double?
    /// Precision, recall and F1 of all classes together; nil where there is no class.
    public let averages: AveragedScores?
    /// The names of the classes, labels or numbers, in the order of the matrix.
    public let classes: [String]
    /// Which class was taken for which.
    public let confusion: ConfusionMatrix
    /// What the scores are worth before a threshold; nil where there is no class.
    public let scores: ScoreSummary?
    /// How well labels are told; nil where they are not.
    public let labels: LabelMetrics?
    /// How well numbers are told; nil where they are not.
    public let values: ValueMetrics?
    /// How well photos find others of their class; nil where the model is not made for it.
    public let retrieval: RetrievalMetrics?
    /// How well boxes are found; nil where the model finds none.
    public let boxes: BoxMetrics?
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
        // A class that no image has may be unknown to the model.
        for (name, count) in zip(photos.classes, photos.counts)
        where model.task != .embedding && !model.labels.contains(name)
            && (count > 0 || photos.items.isEmpty || model.task == .regression)
        {
            throw ModelError.unusable(
                folder, reason: "the model has no class `\(name)`",
                hint: "its classes are \(model.labels.prefix(10).joined(separator: ", "))")
        }
        let positions = photos.classes.map { model.labels.firstIndex(of: $0) }
        let selection = try Selection(
            model, splitFile: splitFile, includesTraining: includesTraining)
        var overlap = selection.overlap
        var items = photos.items
        let detector = model.task == .detection ? try model.detector() : nil
        if detector != nil {
            items = try AnnotatedImages.read(folder, reading).targets(
                for: items, classes: model.labels)
        }
        var found: [Detection] = []
        var detected = 0
        let predictor = try Predictor(model, batch: min(8, max(1, items.count)))
        var skipped: [String] = []
        var answers: [[Float]] = []
        var answered: [PhotoFolder.Item] = []
        let preprocessing = model.preprocessing
        let candidates = items
        let reading = Prefetch(count: items.count) { at in
            selection.look(at: candidates[at], preprocessing)
        }
        var waiting: [(item: PhotoFolder.Item, image: PreparedImage)] = []
        for (at, item) in items.enumerated() {
            switch reading.next() {
            case .image(let image, let isTrained):
                if isTrained { overlap.images += 1 }
                waiting.append((item, image))
            case .trained: overlap.images += 1
            case .unreadable(let reason): skipped.append(reason)
            case .other, nil: break
            }
            guard waiting.count == 8 || at == items.count - 1 else { continue }
            let rows = try predictor.answers(waiting.map(\.image))
            answered += waiting.map(\.item)
            waiting.removeAll(keepingCapacity: true)
            if let detector {
                // Row by row: they are long, and what is found in them is not.
                for (row, item) in zip(rows, answered.suffix(rows.count)) {
                    let photo = detected
                    found += row.withUnsafeBufferPointer { detector.found($0, photo: photo) }.map {
                        var thing = $0
                        thing.box = item.inPixels(thing.box)
                        return thing
                    }
                    detected += 1
                }
            } else {
                answers += rows
            }
            progress(at + 1, items.count)
        }
        guard !answered.isEmpty else {
            throw selection.nothingLeft(of: folder, overlap, unreadable: skipped)
        }
        trained = overlap
        task = model.task
        classes = model.task == .embedding ? photos.classes : model.labels
        retrieval =
            model.task == .embedding
            ? try RetrievalMetrics.measure(
                answers.flatMap { $0 }, width: answers.first?.count ?? 1,
                labels: answered.map(\.classIndex), classes: photos.classes) : nil
        self.skipped = skipped
        self.photos = answered.count
        boxes =
            detector == nil
            ? nil
            : BoxMetrics(
                found, answered.enumerated().flatMap { $1.truth(photo: $0) },
                photos: answered.count, classes: model.labels)
        /// The targets in the order of the model's outputs.
        let targets = answered.map { item in
            var row = [Float](repeating: 0, count: model.labels.count)
            guard detector == nil else { return row }
            for (at, value) in zip(positions, item.targets) { if let at { row[at] = value } }
            return row
        }
        var confusion = ConfusionMatrix(classes: model.task == .classification ? classes.count : 0)
        switch model.task {
        case .classification:
            let truths = answered.map { positions[$0.classIndex] ?? 0 }
            for (truth, shares) in zip(truths, answers) {
                let best = shares.withUnsafeBufferPointer { Ranking.best(of: $0) }
                confusion.add(truth: truth, prediction: best)
            }
            accuracy = confusion.accuracy
            macroF1 = confusion.macroF1
            scores = ScoreSummary(probabilities: answers, labels: truths, classes: classes.count)
            (labels, values) = (nil, nil)
        case .multiLabel:
            let told = LabelMetrics(
                probabilities: answers, targets: targets, names: classes,
                thresholds: model.thresholds)
            (accuracy, macroF1, scores, labels, values) = (nil, told.macroF1, nil, told, nil)
        case .regression:
            (accuracy, macroF1, scores, labels) = (nil, nil, nil, nil)
            values = ValueMetrics(answers: answers, targets: targets, names: classes)
        case .detection: (accuracy, macroF1, scores, labels, values) = (nil, nil, nil, nil, nil)
        case .embedding:
            guard retrieval != nil else {
                throw ModelError.unusable(
                    folder, reason: "no class has two photos, to find one by the other", hint: nil)
            }
            (accuracy, macroF1, scores, labels, values) = (nil, nil, nil, nil, nil)
        }
        self.confusion = confusion
        let isRanked = model.task == .classification && classes.count > 5
        let hits =
            !isRanked
            ? 0
            : zip(answered, answers).count { item, shares in
                shares.withUnsafeBufferPointer {
                    Ranking.isHit(positions[item.classIndex] ?? 0, within: 5, of: $0)
                }
            }
        top5 = isRanked ? Double(hits) / Double(answered.count) : nil
        averages = model.task == .classification ? AveragedScores(confusion) : nil
    }
}
