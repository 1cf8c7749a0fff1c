// Embeddings: losses by TensorFlow Addons' and plain numbers, batches of classes, and what is found.

import Testing

@testable import GraftTraining

@Suite struct EmbeddingTests {
    private func loss(
        _ loss: EmbeddingLoss, _ vectors: [Float], _ labels: [Int], proxies: [Float] = []
    ) -> (value: Double, gradient: [Float], proxies: [Float]) {
        var gradient = [Float](repeating: .nan, count: vectors.count)
        var (values, slopes) = (proxies, [Float](repeating: .nan, count: proxies.count))
        var value = 0.0
        vectors.withUnsafeBufferPointer { vectors in
            gradient.withUnsafeMutableBufferPointer { gradient in
                values.withUnsafeMutableBufferPointer { values in
                    slopes.withUnsafeMutableBufferPointer { slopes in
                        value = loss.mean(
                            vectors, width: 2, labels: labels,
                            proxies: proxies.isEmpty ? nil : .init(values, gradient: slopes),
                            gradient: gradient)
                    }
                }
            }
        }
        return (value, gradient, slopes)
    }

    @Test func `Semi-hard triplets have TensorFlow Addons' golden value`() {
        let found = loss(EmbeddingLoss(.tripletSemiHard), [0, 1, 1, 0], [0, 0])
        #expect(abs(found.value - 2.41421356) < 1e-7)
    }

    @Test func `A pair at distance 0 has no slope, and rows without a label neither`() {
        let found = loss(EmbeddingLoss(.contrastive), [0, 1, 0, 1, 1, 0, 0, 0], [0, 0, 1])
        // Two of three pairs are of two classes, √2 apart: beyond the margin.
        #expect(found.value == 0 && found.gradient == [Float](repeating: 0, count: 8))
    }

    @Test func `Negatives are the nearest beyond the positive, else the furthest`() {
        // On a circle at 0°, 60°, 90° and 45°: distances from the first are 1, √2 and 0.765.
        let (half, root) = (Float(0.5), Float(3).squareRoot() / 2)
        let diagonal = Float(0.5).squareRoot()
        let vectors: [Float] = [1, 0, half, root, 0, 1, diagonal, diagonal]
        let found = loss(EmbeddingLoss(.tripletSemiHard, margin: 0.1), vectors, [0, 0, 1, 2])
        // From 0°: 1 − √2 + 0.1 < 0. From 60°: none is further away than 1; the furthest is 90°.
        let furthest = 2 * 0.25881904510252074
        #expect(abs(found.value - (1 - furthest + 0.1) / 2) < 1e-6)
    }

    @Test func `ArcFace adds an angle, CosFace takes a margin`() {
        let proxies: [Float] = [2, 0, 0, 3]
        let arc = loss(
            EmbeddingLoss(.arcFace, margin: 0.5, scale: 1), [1, 0], [0], proxies: proxies)
        // cos(0 + 0.5) against cos 90°.
        #expect(abs(arc.value - logarithm(1 + exponential(-0.8775825618903728))) < 1e-6)
        let cos = loss(
            EmbeddingLoss(.cosFace, margin: 0.35, scale: 1), [1, 0], [0], proxies: proxies)
        #expect(abs(cos.value - logarithm(1 + exponential(-0.65))) < 1e-6)
        #expect(cos.gradient.allSatisfy(\.isFinite) && cos.proxies.allSatisfy(\.isFinite))
        // Opposite to its class, beyond θ = π − margin: the slope stays that of the cosine.
        let far = loss(EmbeddingLoss(.arcFace, scale: 1), [-1, 0], [0], proxies: proxies)
        #expect(far.gradient.allSatisfy(\.isFinite) && far.gradient[0] < 0)
    }

    @Test(arguments: [
        ([6, 6, 6], 12, 4), ([9, 2, 1, 5], 8, 2), ([3, 40], 32, 4), ([1, 1, 1], 4, 2),
    ])
    func `Every photo is met, in batches of classes`(counts: [Int], size: Int, each: Int) {
        let labels = counts.enumerated().flatMap { [Int](repeating: $0, count: $1) }
        let batches = ClassBatches(labels, size: size, photosPerClass: each)
        var random = RandomSource(seed: 7)
        let drawn = batches.draw(&random)
        #expect(Set(drawn.flatMap { $0 }) == Set(labels.indices))
        for batch in drawn {
            let byClass = Dictionary(grouping: batch, by: { labels[$0] })
            #expect(byClass.count == min(size / each, counts.count) && batch.count <= size)
            #expect(byClass.allSatisfy { $1.count == min(each, counts[$0]) })
            #expect(Set(batch).count == batch.count)
        }
        let next = batches.draw(&random)
        #expect(next.count == drawn.count)
        var again = RandomSource(seed: 7)
        #expect(batches.draw(&again) == drawn)
    }

    @Test func `Photos find others of their class`() throws {
        // At 0°, 10°, 30° and 90°; the last is alone.
        let vectors: [Float] = [1, 0, 0.9848, 0.1736, 0.866, 0.5, 0, 2]
        let found = try #require(
            try RetrievalMetrics.find(
                vectors, width: 2, labels: [0, 1, 0, 1], classes: ["a", "b"]))
        #expect(found.nearest.map(\.photo) == [1, 0, 1, 2])
        #expect(found.metrics.queries == 4 && found.metrics.recallAt1 == 0)
        #expect(found.metrics.recallAt5 == 1 && found.metrics.mapAtR == 0)
        let three = try #require(
            try RetrievalMetrics.measure(
                vectors, width: 2, labels: [0, 0, 0, 1], classes: ["a", "b"]))
        #expect(three.queries == 3 && three.recallAt1 == 1 && three.mapAtR == 1)
        #expect(three.perClass.map(\.recallAt1) == [1, nil])
        let alone = try RetrievalMetrics.measure(
            [1, 0, 0, 1], width: 2, labels: [0, 1], classes: ["a", "b"])
        #expect(alone == nil)
    }
}
