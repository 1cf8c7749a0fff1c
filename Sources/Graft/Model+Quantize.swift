// From a model to one that can be computed in eight bits: its values' ranges on photos, and what that costs.

public import GraftExecution
internal import GraftImages
internal import GraftNetworks
internal import GraftTensors
internal import GraftTraining

extension Model {
    /// The model with the ranges of its values as these photos show them. They should be of the kind
    /// that it will meet; labels are not needed, and some dozens do.
    ///
    /// - Throws: `ImageError` if a photo cannot be read, `ModelError.unusable` if there is none.
    public func quantize(photos: [String], progress: (Int, Int) -> Void = { _, _ in }) throws
        -> Model
    {
        guard !photos.isEmpty else {
            throw ModelError.unusable(
                graph.name, reason: "no photo to look at", hint: "name some photos or a folder")
        }
        let shape = input()
        var options = execution
        // One way to compute it, and no more than the network's own rounding between them.
        options.accuracy = .exact
        let observation = try RangeObservation(
            graph: graph, weights: weights, input: shape, options: options)
        let preprocessing = preprocessing
        let reading = Prefetch(count: photos.count) { at in
            Result { try preprocessing.open(photos[at]) }
        }
        for at in photos.indices {
            try Task.checkCancellation()
            guard let image = try reading.next()?.get() else { break }
            try observation.add(
                Tensor(shape: shape) { preprocessing.write(image, into: $0) })
            progress(at + 1, photos.count)
        }
        var model = self
        model.ranges = observation.ranges
        return model
    }
}

/// How far a model's answers in another precision are from those in f32.
public struct PrecisionLoss: Sendable, Encodable {
    /// The precision.
    public let precision: String
    /// The photos that were asked about.
    public let photos: Int
    /// The cosine of the angle between the features of the two, the mean over the photos.
    public let featureCosine: Double
    /// The share of photos whose most probable class is the same; nil if it does not classify.
    public let sameClass: Double?
    /// How far the probability of f32's most probable class moves: the mean, and the most.
    public let meanShift: Double?
    /// The most that it moves.
    public let largestShift: Double?

    /// Compares the two on photos.
    public init(
        _ model: Model, _ precision: Precision, photos: [String],
        progress: (Int, Int) -> Void = { _, _ in }
    ) throws {
        self.precision = precision.rawValue
        self.photos = photos.count
        var other = model
        other.execution.precision = precision
        let sides = [model, other]
        let runners = try sides.map {
            try Runner($0, batch: min(8, max(photos.count, 1)), output: $0.graph.features)
        }
        let classifies = model.task.traits.isExclusive && model.classes != nil
        let predictors = try classifies ? sides.map { try Predictor($0) } : []
        var (cosine, same, shift, most) = (0.0, 0, 0.0, 0.0)
        for start in stride(from: 0, to: photos.count, by: 32) {
            let images = try photos[start..<min(start + 32, photos.count)]
                .map { try model.preprocessing.open($0) }
            let features = try runners.map { try $0.run(images) }
            for (a, b) in zip(features[0], features[1]) { cosine += Self.cosine(a, b) }
            let answers = try predictors.map { try $0.answers(images) }
            if answers.count == 2 {
                for (a, b) in zip(answers[0], answers[1]) {
                    let best = a.withUnsafeBufferPointer { Ranking.best(of: $0) }
                    if best == b.withUnsafeBufferPointer({ Ranking.best(of: $0) }) { same += 1 }
                    let moved = Double(abs(a[best] - b[best]))
                    shift += moved
                    most = max(most, moved)
                }
            }
            progress(min(start + 32, photos.count), photos.count)
        }
        let count = Double(max(photos.count, 1))
        featureCosine = cosine / count
        sameClass = classifies ? Double(same) / count : nil
        meanShift = classifies ? shift / count : nil
        largestShift = classifies ? most : nil
    }

    private static func cosine(_ a: [Float], _ b: [Float]) -> Double {
        var (product, left, right) = (0.0, 0.0, 0.0)
        for (x, y) in zip(a, b) {
            product += Double(x) * Double(y)
            left += Double(x) * Double(x)
            right += Double(y) * Double(y)
        }
        return left > 0 && right > 0 ? product / (left * right).squareRoot() : left == right ? 1 : 0
    }
}
