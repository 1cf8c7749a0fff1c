// The optimisers against numbers that Keras 3 and PyTorch 2 gave for the same three gradients.

import GraftTensors
import GraftTraining
import Testing

private func run(_ settings: Optimizer.Settings) -> [Float] {
    var optimizer = Optimizer(settings, counts: [1])
    var weight: [Float] = [1]
    return [0.5, -0.2, 0.1].map { (slope: Float) in
        let gradient = [slope]
        optimizer.beginStep(learningRate: 0.1)
        weight.withUnsafeMutableBufferPointer { values in
            gradient.withUnsafeBufferPointer { optimizer.update(0, values: values, gradient: $0) }
        }
        return weight[0]
    }
}

private func close(_ left: [Float], _ right: [Float]) -> Bool {
    left.count == right.count && zip(left, right).allSatisfy { abs($0 - $1) < 2.5e-7 }
}

@Test(arguments: [
    (Optimizer.Settings(.sgd, dialect: .torch), [0.95, 0.97, 0.96] as [Float]),
    (.init(.sgd, dialect: .torch, momentum: 0.9), [0.95, 0.925, 0.8925]),
    (.init(.sgd, dialect: .torch, momentum: 0.9, nesterov: true), [0.905, 0.9025, 0.86325]),
    (.init(.sgd, dialect: .torch, momentum: 0.9, weightDecay: 0.1), [0.94, 0.8966, 0.838574]),
    (.init(.sgd, dialect: .torch, weightDecay: 0.1), [0.94, 0.9506, 0.931094]),
    (.init(.adam, dialect: .torch), [0.9, 0.86543947, 0.8275003]),
    (.init(.adam, dialect: .torch, weightDecay: 0.1), [0.9, 0.8475191, 0.7901622]),
    (.init(.sgd, dialect: .keras), [0.95, 0.97, 0.96]),
    (.init(.sgd, dialect: .keras, momentum: 0.9), [0.95, 0.925, 0.8925]),
    (.init(.sgd, dialect: .keras, momentum: 0.9, nesterov: true), [0.905, 0.9025, 0.86325]),
    (.init(.sgd, dialect: .keras, momentum: 0.9, weightDecay: 0.1), [0.94, 0.9056, 0.864044]),
    (.init(.sgd, dialect: .keras, weightDecay: 0.1), [0.94, 0.9506, 0.931094]),
    (.init(.adam, dialect: .keras), [0.9000013, 0.8654413, 0.8275024]),
    (.init(.adam, dialect: .keras, weightDecay: 0.1), [0.8900013, 0.8465413, 0.800137]),
    (.init(.adamw, dialect: .torch, weightDecay: 0.1), [0.89, 0.8465395, 0.8001349]),
    (.init(.adamw, dialect: .keras, weightDecay: 0.1), [0.8900013, 0.8465413, 0.800137]),
    (.init(.rmsprop, dialect: .torch), [2.4e-7, 0.37300211, 0.18877009]),
    (
        .init(.rmsprop, dialect: .torch, momentum: 0.9, weightDecay: 0.1),
        [1.8e-7, -0.58233923, -1.17296839]
    ),
    (.init(.rmsprop, dialect: .keras), [0.68377286, 0.80663168, 0.74319565]),
    (
        .init(.rmsprop, dialect: .keras, momentum: 0.9, weightDecay: 0.1),
        [0.67377287, 0.50528955, 0.29122955]
    ),
    (.init(.lamb, dialect: .torch, weightDecay: 0.1), [0.9, 0.81, 0.729]),
    (.init(.lamb, dialect: .keras, weightDecay: 0.1), [0.891, 0.793881, 0.707348]),
])
func optimizerFollowsItsPeer(settings: Optimizer.Settings, expected: [Float]) {
    let found = run(settings)
    #expect(close(found, expected), "\(settings): \(found)")
}

@Test func optimizerGoesOnFromItsState() {
    let settings = Optimizer.Settings(.adam)
    var whole = Optimizer(settings, counts: [2])
    var values: [Float] = [1, -1]
    func step(_ optimizer: inout Optimizer, _ values: inout [Float]) {
        let gradient = values.map { $0 * 0.3 + 0.1 }
        optimizer.beginStep(learningRate: 0.01)
        values.withUnsafeMutableBufferPointer { target in
            gradient.withUnsafeBufferPointer { optimizer.update(0, values: target, gradient: $0) }
        }
    }
    for _ in 0..<3 { step(&whole, &values) }
    let saved = Dictionary(
        uniqueKeysWithValues: whole.state(names: ["w"]).map { ($0.name, $0.tensor) })
    var resumed = Optimizer(settings, counts: [2])
    #expect(resumed.restore(names: ["w"], step: whole.step) { saved[$0] })
    #expect(!resumed.restore(names: ["v"], step: 1) { saved[$0] })
    var other = values
    for _ in 0..<3 {
        step(&whole, &values)
        step(&resumed, &other)
    }
    #expect(values == other)
}
