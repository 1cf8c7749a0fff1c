// The solver, the measures of scores, the schedules and the mixing of batches.

import GraftTensors
import GraftTraining
import Testing

@Test func aLogisticHeadIsAtItsOptimum() throws {
    // Two classes on a line, overlapping: at the optimum a change of either number loses.
    let features: [Float] = [-2, -1, 0.5, -0.5, 1, 2]
    let labels = [0, 0, 0, 1, 1, 1]
    let regression = LogisticRegression(features: features, width: 1, labels: labels, classes: 2)
    let head = try regression.fit(penalty: 0.01, tolerance: 1e-9)
    func loss(_ matrix: [Float], _ bias: [Float]) -> Double {
        let logits = features.flatMap { x in (0..<2).map { matrix[$0] * x + bias[$0] } }
        let entropy = logits.withUnsafeBufferPointer {
            CrossEntropy().sum(logits: $0, classes: 2, labels: labels)
        }
        let squares = matrix.reduce(0) { $0 + Double($1) * Double($1) }
        return entropy / 6 + 0.5 * 0.01 / regression.penaltyScale * squares
    }
    let best = loss(head.matrix, head.bias)
    #expect(abs(best - head.loss) < 1e-5)
    for delta in [-0.05, 0.05] as [Float] {
        for index in 0..<2 {
            var (matrix, bias) = (head.matrix, head.bias)
            matrix[index] += delta
            #expect(loss(matrix, head.bias) > best)
            bias[index] += delta
            #expect(loss(head.matrix, bias) > best)
        }
    }
}

@Test func areasAreScikitLearns() {
    let scores: [Float] = [0.1, 0.4, 0.35, 0.8]
    let positive = [false, false, true, true]
    #expect(ScoreMetrics.areaUnderROC(scores, positive) == 0.75)
    #expect(abs((ScoreMetrics.averagePrecision(scores, positive) ?? 0) - 0.8333333) < 1e-6)
    // All alike: a coin. One kind only: nothing to say.
    #expect(ScoreMetrics.areaUnderROC([1, 1, 1], [true, false, true]) == 0.5)
    #expect(ScoreMetrics.areaUnderROC([1, 2], [true, true]) == nil)
    #expect(ScoreMetrics.averagePrecision([1, 2], [false, false]) == nil)
    #expect(ScoreMetrics.averagePrecision([1, 1, 1, 1], positive) == 0.5)
    #expect(ScoreMetrics.calibrationError([[0.5, 0.5], [0.5, 0.5]], [0, 1]) == 0)
    #expect(ScoreMetrics.calibrationError([[1, 0], [1, 0]], [0, 1]) == 0.5)
    #expect(ScoreMetrics.calibrationError([], []) == nil)
}

@Test func oneCycleIsPyTorchs() {
    let expected = [0.04, 0.52, 1, 0.9505, 0.8117, 0.6113, 0.3887, 0.1883, 0.0495, 4e-6]
    for (step, value) in expected.enumerated() {
        let rate = Schedule.onecycle.rate(peak: 1, step: step, total: 10)
        #expect(abs(rate - value) < 1e-4, "step \(step): \(rate)")
    }
}

@Test func plateausLowerTheRate() {
    #expect(Schedule.plateau.factor(losses: [3, 2, 1]) == 1)
    #expect(Schedule.plateau.factor(losses: [1, 1, 1]) == 1)
    #expect(Schedule.plateau.factor(losses: [1, 1, 1, 1]) == 0.1)
    #expect(Schedule.constant.factor(losses: [1, 1, 1, 1]) == 1)
    #expect(Schedule.step.rate(peak: 1, step: 40, total: 90) == 0.1)
}

@Test func mixedLabelsShareTheLoss() {
    let logits: [Float] = [2, 0, -1, 0.5, 1, 0]
    func loss(_ labels: [Int], _ mixed: ([Int], Double)? = nil) -> (Double, [Float]) {
        var gradient = [Float](repeating: 0, count: 6)
        let value = logits.withUnsafeBufferPointer { source in
            gradient.withUnsafeMutableBufferPointer {
                CrossEntropy(labelSmoothing: 0.1).sum(
                    logits: source, classes: 3, labels: labels,
                    mixed: mixed.map { (labels: $0.0, share: $0.1) }, gradient: $0)
            }
        }
        return (value, gradient)
    }
    let (first, second) = (loss([0, 2]), loss([1, 1]))
    let both = loss([0, 2], ([1, 1], 0.3))
    #expect(abs(both.0 - (0.3 * first.0 + 0.7 * second.0)) < 1e-9)
    for index in 0..<6 {
        #expect(abs(both.1[index] - (0.3 * first.1[index] + 0.7 * second.1[index])) < 1e-6)
    }
}

@Test func balancedWeightsHaveMeanOne() {
    let weights = CrossEntropy.balanced(counts: [1, 3, 0])
    #expect(weights == [2, 2.0 / 3, 0])
}

@Test func betaHasItsMoments() {
    var random = RandomSource(seed: 4)
    for alpha in [0.2, 1, 4] {
        let draws = (0..<20_000).map { _ in random.beta(alpha) }
        let mean = draws.reduce(0, +) / 20_000
        let variance = draws.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 20_000
        #expect(abs(mean - 0.5) < 0.01)
        #expect(abs(variance - 1 / (4 * (2 * alpha + 1))) < 0.006)
    }
}

@Test func aTemperatureIsFittedWhereOneIsBest() throws {
    // Sure by 4, right in three of four: the odds of 3 are 4 / T.
    let rows: [[Float]] = [[4, 0], [4, 0], [4, 0], [4, 0]]
    let found = try #require(Temperature.fit(rows, labels: [0, 0, 0, 1]))
    #expect(abs(found - 4 / 1.0986122886681098) < 1e-6)
    let labels = try #require(
        Temperature.fit([[4], [4], [4], [4]], targets: [[1], [1], [1], [0]]))
    #expect(abs(labels - 4 / 1.0986122886681098) < 1e-6)
    // The surer the better, and no guide at all.
    #expect(Temperature.fit(rows, labels: [0, 0, 0, 0]) == nil)
    #expect(Temperature.fit(rows, labels: [1, 1, 1, 1]) == nil)
    #expect(Temperature.fit(rows, labels: [0, 1, 0, 1]) == nil)
    #expect(Temperature.fit([[.nan, 0]], labels: [0]) == nil)
    #expect(Temperature.fit([], labels: []) == nil)
}
