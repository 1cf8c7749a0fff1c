// The loss against PyTorch's numbers and finite differences, and the metrics by hand.

import GraftTraining
import Testing

private func loss(_ logits: [Float], _ classes: Int, _ labels: [Int], _ smoothing: Float)
    -> (value: Double, gradient: [Float])
{
    var gradient = [Float](repeating: .nan, count: logits.count)
    let value = logits.withUnsafeBufferPointer { source in
        gradient.withUnsafeMutableBufferPointer {
            CrossEntropy(labelSmoothing: smoothing).sum(
                logits: source, classes: classes, labels: labels, gradient: $0)
        }
    }
    return (value / Double(labels.count), gradient)
}

@Test func crossEntropyIsThePeers() {
    #expect(abs(loss([2, 1, 0], 3, [0], 0.1).value - 0.50760) < 1e-5)
    #expect(abs(loss([2, 1, 0], 3, [0], 0).value - 0.407606) < 1e-6)
    #expect(loss([1000, 0], 2, [0], 0).value == 0)
}

@Test(arguments: [0, 0.1] as [Float])
func crossEntropyGradientIsItsSlope(smoothing: Float) {
    let logits: [Float] = [0.3, -1.2, 2, 0.5, 0, -0.25]
    let labels = [2, 1]
    let gradient = loss(logits, 3, labels, smoothing).gradient
    for index in logits.indices {
        var up = logits
        var down = logits
        up[index] += 0.01
        down[index] -= 0.01
        let slope =
            (loss(up, 3, labels, smoothing).value - loss(down, 3, labels, smoothing).value)
            / Double(up[index] - down[index])
        #expect(abs(slope - Double(gradient[index])) < 1e-5)
    }
}

@Test func paddingRowsHaveNoGradient() {
    let padded = loss([1, 2, 5, 5], 2, [0], 0)
    #expect(padded.gradient[2...] == [0, 0])
    #expect(padded.gradient[0] != 0)
}

@Test func confusionMatrixScoresClasses() {
    // Rows are the truth: class 2 never occurs but is predicted once.
    let matrix = ConfusionMatrix(rows: [[1, 0, 1], [0, 2, 0], [0, 0, 0]])
    #expect(matrix.accuracy == 0.75)
    #expect(matrix[0].recall == 0.5)
    #expect(matrix[0].precision == 1)
    #expect(matrix[2].precision == 0)
    #expect(abs(matrix.macroF1 - (2.0 / 3 + 1) / 3) < 1e-12)
}

@Test func rankingBreaksTiesByIndex() {
    let scores: [Float] = [0.5, 0.9, 0.5, .nan]
    scores.withUnsafeBufferPointer { scores in
        #expect(Ranking.top(4, of: scores) == [1, 0, 2, 3])
        #expect(Ranking.best(of: scores) == 1)
        #expect(Ranking.isHit(0, within: 2, of: scores))
        #expect(!Ranking.isHit(2, within: 2, of: scores))
        #expect(!Ranking.isHit(3, within: 4, of: scores))
    }
}

@Test func cosineIsKeras() {
    let expected = [0, 0.5, 1, 0.9619, 0.8536, 0.6913, 0.5, 0.3087, 0.1464, 0.0381, 0, 0]
    for (step, value) in expected.enumerated() {
        let rate = Schedule.cosine.rate(peak: 1, step: step, total: 10, warmup: 2)
        #expect(abs(rate - value) < 1e-4)
    }
}

@Test func seedsDecideEverything() {
    var first = RandomSource(seed: 7)
    var second = RandomSource(seed: 7)
    #expect(first.permutation(50) == second.permutation(50))
    #expect(first.permutation(50).sorted() == Array(0..<50))
    let weights = first.glorotUniform(count: 1000, fanIn: 50, fanOut: 10)
    #expect(weights.allSatisfy { abs($0) <= 0.31623 })
    #expect(weights != first.glorotUniform(count: 1000, fanIn: 50, fanOut: 10))
}
