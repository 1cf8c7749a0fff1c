// Labels and numbers: losses, metrics, thresholds, and jobs that are done ahead.

import Testing

@testable import GraftTraining

@Test func binaryCrossEntropyIsKerasAndPyTorchs() {
    // torch.nn.functional.binary_cross_entropy_with_logits([[0, 2], [-1, 3]], [[1, 0], [0, 1]])
    let outputs: [Float] = [0, 2, -1, 3]
    let targets: [[Float]] = [[1, 0], [0, 1]]
    outputs.withUnsafeBufferPointer { outputs in
        let loss = DenseLoss.binaryCrossEntropy(labelSmoothing: 0)
            .sum(outputs, width: 2, targets: targets)
        #expect(abs(loss / 2 - 0.7954811) < 1e-6)
    }
    // Far from 0 nothing overflows, and the gradient is that of the mean.
    var gradient = [Float](repeating: 9, count: 6)
    let far: [Float] = [800, -800, 0, 0, 5, 5]
    far.withUnsafeBufferPointer { far in
        gradient.withUnsafeMutableBufferPointer {
            let loss = DenseLoss.binaryCrossEntropy(labelSmoothing: 0)
                .sum(far, width: 2, targets: [[0, 0], [1, 1]], gradient: $0)
            #expect(abs(loss - (400 + 0.6931472)) < 1e-4)
        }
    }
    #expect(gradient == [0.25, 0, -0.125, -0.125, 0, 0])
}

@Test func squaredErrorIsTheMean() {
    var gradient = [Float](repeating: 9, count: 4)
    [Float(1), 2, 7, 7].withUnsafeBufferPointer { outputs in
        gradient.withUnsafeMutableBufferPointer {
            let loss = DenseLoss.squaredError
                .sum(outputs, width: 2, targets: [[3, 1]], gradient: $0)
            #expect(loss == 2.5)
        }
    }
    #expect(gradient == [-2, 1, 0, 0])
}

@Test func labelMetricsCountAnswers() {
    let metrics = LabelMetrics(
        probabilities: [[0.9, 0.2], [0.4, 0.8], [0.6, 0.7]], targets: [[1, 0], [1, 1], [0, 1]],
        names: ["a", "b"], thresholds: [0.5, 0.5])
    #expect(metrics.labels[0].precision == 0.5 && metrics.labels[0].recall == 0.5)
    #expect(metrics.labels[1].f1 == 1 && metrics.macroF1 == 0.75)
    #expect(abs(metrics.microF1 - 0.75) < 1e-12)
    #expect(abs(metrics.subsetAccuracy - 1.0 / 3) < 1e-12)
    #expect(abs(metrics.hammingLoss - 2.0 / 6) < 1e-12)
    // The best threshold lies between two scores, and ties cannot be told apart.
    #expect(LabelMetrics.bestThreshold([0.9, 0.5, 0.1], [true, true, false]) == 0.3)
    #expect(LabelMetrics.bestThreshold([0.5, 0.5, 0.1], [true, false, false]) == 0.3)
    #expect(LabelMetrics.bestThreshold([0.5, 0.2], [false, false]) == 0.5)
}

@Test func valueMetricsAreThoseOfTheBooks() {
    let metrics = ValueMetrics(
        answers: [[2.5], [0], [2], [8]], targets: [[3], [-0.5], [2], [7]], names: ["x"])
    #expect(metrics.values[0].meanAbsoluteError == 0.5)
    #expect(abs(metrics.values[0].rootMeanSquaredError - 0.6123724) < 1e-6)
    #expect(abs((metrics.r2 ?? 0) - 0.9486081) < 1e-6)
    #expect(ValueMetrics(answers: [[1], [2]], targets: [[1], [1]], names: ["x"]).r2 == nil)
    // The table of a run has no number there either, and an epoch is judged by its loss.
    var one = DenseAnswers()
    one.add([1], against: [0])
    #expect(Regression.r2(one) == nil)
    #expect(MultiLabel.meanPrecision(one) == nil)
    func epoch(_ loss: Double, measure: Double?) -> EpochRecord {
        EpochRecord(
            epoch: 1, trainingLoss: 1, validationLoss: loss, validationAccuracy: measure,
            learningRate: 1)
    }
    #expect(epoch(0.5, measure: nil).isBetter(than: epoch(0.6, measure: nil)))
    #expect(!epoch(0.7, measure: nil).isBetter(than: epoch(0.6, measure: nil)))
    #expect(epoch(0.7, measure: 0.9).isBetter(than: epoch(0.6, measure: 0.8)))
}

@Test func jobsComeInOrder() {
    let ahead = Prefetch(count: 500) { $0 * $0 }
    var results: [Int] = []
    while let next = ahead.next() { results.append(next) }
    #expect(results == (0..<500).map { $0 * $0 })
    #expect(Prefetch(count: 0) { $0 }.next() == nil)
}
