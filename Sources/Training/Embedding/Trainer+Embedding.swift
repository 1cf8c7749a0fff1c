// What is of embeddings alone in a run: what validation photos must be like, and what they find.

extension Trainer {
    /// Throws where no validation photo has another of its class to find.
    func requirePairs(_ validation: Samples) throws(TrainingError) {
        guard !validation.items.isEmpty, Set(validation.labels).count == validation.labels.count
        else { return }
        throw .option(
            "validation set", expected: "two photos of a class or more, to find one by the other",
            found: "one photo of each")
    }

    /// How well the vectors of a score find each other, and what each found first.
    func retrieval(_ score: TrainingLoop.Score, _ validation: Samples) throws
        -> RetrievalMetrics.Found?
    {
        guard let width = score.probabilities.first?.count else { return nil }
        return try RetrievalMetrics.find(
            score.probabilities.flatMap { $0 }, width: width, labels: validation.labels,
            classes: input.classes)
    }

    /// The photos whose nearest other is of another class, the most alike first.
    func mistaken(_ validation: Samples, _ score: TrainingLoop.Score) throws -> [Wrong] {
        let nearest = try retrieval(score, validation)?.nearest ?? []
        return nearest.enumerated().compactMap { photo, found in
            let (label, other) = (validation.labels[photo], validation.labels[found.photo])
            guard label != other else { return nil }
            return Wrong(
                photo: photo, shown: 0, truth: input.classes[label],
                prediction: input.classes[other], probability: found.cosine,
                weight: found.cosine, other: found.photo)
        }.sorted { $0.weight > $1.weight }
    }
}
