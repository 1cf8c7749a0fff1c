// A linear head on kept features, in plain loops: what most runs learn is this small.

import GraftNetworks
import GraftTensors

/// A linear layer with an optional bias and dropout before it, on one vector per photo.
final class HeadLearner: Learner {
    let trainable: [Parameter]
    private let classes: Int
    private let width: Int
    private let rate: Float
    /// Who has the other rows of a batch.
    private let crew: any Crew
    private let values: [UnsafeMutableBufferPointer<Float>]
    private let gradients: [UnsafeMutableBufferPointer<Float>]
    private var features: [Float] = []
    private var rows = 0

    /// A learner for a graph that is nothing but such a head, nil for any other.
    init?(
        _ graph: Graph, weights: StateDict, trainable: Set<String>, crew: any Crew = Alone()
    ) throws {
        var rate: Float = 0
        var head: Node?
        for (index, node) in graph.nodes.enumerated() {
            guard index == 0 || node.inputs == [index - 1], head == nil else { return nil }
            switch node.op {
            case .input where index == 0: continue
            case .flatten where index == 1: continue
            case .dropout(let op): rate = op.rate
            case .linear: head = node
            default: return nil
            }
        }
        guard let parameters = head?.parameters, let matrix = parameters.first,
            matrix.shape.rank == 2, parameters.allSatisfy({ trainable.contains($0.name) })
        else { return nil }
        values = try parameters.map { parameter in
            guard let tensor = weights[parameter.name], tensor.shape == parameter.shape else {
                throw TrainingError.missingWeight(parameter.name)
            }
            return Self.lasting(try tensor.load().floats)
        }
        self.trainable = parameters
        self.rate = rate
        self.crew = crew
        classes = matrix.shape[0]
        width = matrix.shape[1]
        gradients = values.map { Self.lasting([Float](repeating: 0, count: $0.count)) }
    }

    deinit { for numbers in values + gradients { numbers.deallocate() } }

    /// Numbers that stay where they are.
    private static func lasting(_ numbers: [Float]) -> UnsafeMutableBufferPointer<Float> {
        let buffer = UnsafeMutableBufferPointer<Float>.allocate(capacity: numbers.count)
        _ = buffer.initialize(fromContentsOf: numbers)
        return buffer
    }

    func forward(_ input: Tensor, dropoutSeed: UInt64?) throws -> [Tensor] {
        rows = input.shape[0]
        precondition(input.count == rows * width)
        features = input.floats
        if let dropoutSeed, rate > 0 { drop(RandomSource(seed: dropoutSeed)) }
        let bias = values.count > 1 ? values[1] : nil
        let scores = Tensor(shape: [rows, classes]) { target in
            let matrix = UnsafeBufferPointer(values[0])
            features.withUnsafeBufferPointer { features in
                for row in 0..<rows {
                    for k in 0..<classes {
                        target[row * classes + k] =
                            Self.product(features, row * width, matrix, k * width, width)
                            + (bias?[k] ?? 0)
                    }
                }
            }
        }
        return [scores]
    }

    /// Hides features as one process does that has the whole batch: what is drawn for the rows of
    /// others is passed over.
    private func drop(_ random: RandomSource) {
        var random = random
        let scale = 1 / (1 - rate)
        for row in 0..<(rows * crew.count) {
            guard row % crew.count == crew.rank else {
                for _ in 0..<width { _ = random.next() }
                continue
            }
            let start = row / crew.count * width
            for index in start..<(start + width) {
                features[index] = random.unit() < rate ? 0 : features[index] * scale
            }
        }
    }

    /// Σ a[i] b[i], eight sums side by side, which the compiler keeps in one register.
    private static func product(
        _ a: UnsafeBufferPointer<Float>, _ fromA: Int, _ b: UnsafeBufferPointer<Float>,
        _ fromB: Int, _ count: Int
    ) -> Float {
        var sums = SIMD8<Float>(repeating: 0)
        var j = 0
        while j + 8 <= count {
            var (x, w) = (SIMD8<Float>(), SIMD8<Float>())
            for lane in 0..<8 {
                x[lane] = a[fromA + j + lane]
                w[lane] = b[fromB + j + lane]
            }
            sums += x * w
            j += 8
        }
        var sum = sums.sum()
        while j < count {
            sum += a[fromA + j] * b[fromB + j]
            j += 1
        }
        return sum
    }

    func backward(_ outputGradients: [Tensor], ready: ((Int) throws -> Void)?) throws {
        let gradient = outputGradients[0]
        precondition(gradient.count == rows * classes)
        for numbers in gradients { numbers.update(repeating: 0) }
        gradient.withFloats { slopes in
            let matrix = gradients[0]
            features.withUnsafeBufferPointer { features in
                for row in 0..<rows {
                    for k in 0..<classes {
                        let slope = slopes[row * classes + k]
                        // The zero rows that pad a ragged batch cost nothing.
                        guard slope != 0 else { continue }
                        let (from, to) = (row * width, k * width)
                        for j in 0..<width { matrix[to &+ j] += slope * features[from &+ j] }
                    }
                }
            }
            guard gradients.count > 1 else { return }
            for row in 0..<rows {
                for k in 0..<classes { gradients[1][k] += slopes[row * classes + k] }
            }
        }
        if let ready { for index in trainable.indices { try ready(index) } }
    }

    func withParameter(
        _ index: Int,
        _ body: (UnsafeMutableBufferPointer<Float>, UnsafeMutableBufferPointer<Float>) throws ->
            Void
    ) throws {
        try body(values[index], gradients[index])
    }
}
