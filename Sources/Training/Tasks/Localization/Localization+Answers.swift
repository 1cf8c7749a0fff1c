// What localisation answers of an image, what its report shows, and how answers are measured.

import GraftImages
import GraftNetworks
import GraftTensors

extension Localization {
    static func check(_ model: AnswerSite) throws {
        let shapes = try model.graph.shapes(input: model.input)
        let count = shapes[model.graph.output].dimensions.dropFirst().reduce(1, *)
        guard count == 5 + model.labels.count, !model.labels.isEmpty else {
            throw TaskFlaw(
                reason:
                    "the network answers \(count) numbers, and the box and presence of an object of "
                    + "\(model.labels.count) classes are \(5 + model.labels.count)",
                hint: "train one that does: `graft train ANNOTATIONS --task localization …`")
        }
    }

    static func answers(_ model: AnswerSite) throws -> any TaskAnswers {
        try check(model)
        return Boxes(labels: model.labels, threshold: model.threshold ?? 0.5)
    }

    /// Makes the object of y.
    struct Boxes: TaskAnswers {
        let labels: [String]
        let threshold: Double

        /// Boxes are in the pixels of the whole image.
        func covering(_ preprocessing: Preprocessing) -> Int? { nil }

        func answer(_ row: [Float], width: Int, height: Int) -> any TaskAnswer {
            let box = Box(center: row[1...4].map { Double($0) }).cut
            let shares = Array(row[5...])
            let best = shares.withUnsafeBufferPointer { Ranking.best(of: $0) }
            let found = FoundThing(
                label: labels.indices.contains(best) ? labels[best] : "\(best)",
                score: Double(row[0]),
                box: Box(
                    left: box.left * Double(width), top: box.top * Double(height),
                    right: box.right * Double(width), bottom: box.bottom * Double(height)))
            return ObjectAnswer(things: found.score >= threshold ? [found] : [], best: found)
        }
    }

    static func meter(_ model: AnswerSite, classes: [String]) throws -> any AnswerMeter {
        try check(model)
        return Meter(labels: model.labels)
    }

    /// Measures y against the annotated object.
    struct Meter: AnswerMeter {
        private let places: [String: Int]
        private var tally = LocalizationTally()

        init(labels: [String]) {
            places = Dictionary(
                labels.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        }

        mutating func add(_ answer: [Float], of item: PhotoFolder.Item) {
            tally.add(answer, against: LocalizationTarget(item, places: places))
        }

        func figures() -> (any TaskMetrics)? { tally.metrics }
        var obstacle: String { "no image was answered" }
    }

    var mistakesNote: String {
        "The validation images whose object was localised worst, as the network sees them."
    }

    func mistakes(in score: Score, _ metrics: LocalizationMetrics) -> [Wrong] {
        let found = score.answers.enumerated().compactMap { image, pair -> Wrong? in
            let (y, target) = pair
            let shares = Array(y[5...])
            let best = shares.withUnsafeBufferPointer { Ranking.best(of: $0) }
            let isFound = y[0] >= 0.5
            guard let object = target.object else {
                guard isFound else { return nil }
                return Wrong(
                    image: image, shown: 0, truth: "no object", prediction: setting.classes[best],
                    probability: y[0], weight: 1 + y[0])
            }
            let overlap = Box(center: y[1...4].map { Double($0) }).cut.overlap(object.box)
            guard !isFound || best != object.label || overlap < 0.5 else { return nil }
            let words = isFound ? setting.classes[best] : "no object"
            return Wrong(
                image: image, shown: 0, truth: setting.classes[object.label],
                prediction: words + ", IoU " + HTML.places(overlap, 2), probability: y[0],
                weight: Float(1 - overlap) + (best == object.label ? 0 : 1))
        }
        return found.sorted { $0.weight > $1.weight }
    }

    func reportPart(of run: RunDescription, metrics: LocalizationMetrics, score: Score?) -> String {
        let rows = setting.classes.enumerated().map { label, name in
            var tally = LocalizationTally()
            for (y, target) in score?.answers ?? [] where target.object?.label == label {
                tally.add(y, against: target)
            }
            let own = tally.metrics
            return [
                name, "\(run.trainingCounts[label])", "\(own.objects)", HTML.number(own.localized),
                HTML.number(own.classAccuracy), HTML.number(own.meanIoU),
            ]
        }
        return "<h2>Classes</h2>\n"
            + HTML.table(
                ["class", "learned", "validated", "localised", "class right", "mean IoU"], rows)
    }
}
