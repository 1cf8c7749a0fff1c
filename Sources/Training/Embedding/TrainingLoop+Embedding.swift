// Epochs of embeddings: the loss of a batch, and how well validation photos find each other.

import GraftTensors

extension TrainingLoop {
    /// The batches of an epoch, step by step.
    mutating func batches(_ labels: [Int]) -> [[[Int]]] {
        let all: [[Int]]
        if let embedding = options.embedding {
            all = classBatches(labels, embedding).draw(&random)
        } else {
            all = parts(order(labels), options.batchSize)
        }
        return parts(all, options.accumulate)
    }

    private func classBatches(_ labels: [Int], _ embedding: EmbeddingSettings) -> ClassBatches {
        ClassBatches(
            labels, size: options.batchSize, photosPerClass: embedding.photosPerClass)
    }

    private func parts<Element>(_ list: [Element], _ size: Int) -> [[Element]] {
        stride(from: 0, to: list.count, by: size).map {
            Array(list[$0..<min($0 + size, list.count)])
        }
    }

    /// The loss of a batch's vectors, summed over its photos, and how many of them are nearest to
    /// one of their class.
    func embed(
        _ vectors: UnsafeBufferPointer<Float>, _ labels: [Int], _ embedding: EmbeddingSettings,
        gradient: UnsafeMutableBufferPointer<Float>, _ met: inout Met
    ) -> Double {
        met.correct += Self.pairs(vectors, classes, labels)
        return Double(labels.count)
            * embedding.loss.mean(
                vectors, width: classes, labels: labels,
                proxies: (learner as? ProxyLearner)?.proxies, gradient: gradient)
    }

    /// How many rows are nearest to a row of their own class.
    private static func pairs(
        _ vectors: UnsafeBufferPointer<Float>, _ width: Int, _ labels: [Int]
    ) -> Int {
        let distances = PairDistances(vectors, width: width, count: labels.count)
        return labels.indices.count { row in
            let nearest = labels.indices.filter { $0 != row }
                .min { distances[row, $0] < distances[row, $1] }
            return nearest.map { labels[$0] == labels[row] } ?? false
        }
    }

    /// Judges all vectors of some photos by how they find each other. Their loss is that of batches
    /// that are the same in every epoch; of classes that have no vector there is none.
    func judge(_ outputs: [Float], _ samples: Samples, _ embedding: EmbeddingSettings) throws
        -> Score
    {
        var score = Score(loss: 0, top5: 0, confusion: ConfusionMatrix(classes: 0))
        let names = (0..<((samples.labels.max() ?? 0) + 1)).map { "\($0)" }
        score.retrieval = try RetrievalMetrics.measure(
            outputs, width: classes, labels: samples.labels, classes: names)
        score.measure = score.retrieval?.recallAt1 ?? 0
        score.probabilities = samples.items.indices.map {
            Array(outputs[($0 * classes)..<(($0 + 1) * classes)])
        }
        let proxies = (learner as? ProxyLearner)?.proxies
        if let proxies, names.count > proxies.values.count / classes {
            score.isLossKnown = false
            return score
        }
        var fixed = RandomSource(seed: 0)
        var met = 0
        for batch in classBatches(samples.labels, embedding).draw(&fixed) {
            let rows = batch.flatMap { score.probabilities[$0] }
            score.loss += rows.withUnsafeBufferPointer { rows in
                Double(batch.count)
                    * embedding.loss.mean(
                        rows, width: classes, labels: batch.map { samples.labels[$0] },
                        proxies: proxies.map { EmbeddingLoss.Proxies($0.values) })
            }
            met += batch.count
        }
        score.loss /= Double(max(met, 1))
        return score
    }
}
