// Networks without published weights: the tiny one to learn with, and any other to be measured.

internal import GraftArchitectures
internal import GraftImages
internal import GraftNetworks
internal import GraftTensors
internal import GraftTraining

extension Models {
    /// The one network that comes without weights.
    static let tinyName = "graft/tiny"

    /// `graft/tiny` before it has learned anything: Kaiming's initialisation (arXiv:1502.01852)
    /// from a fixed seed.
    static func tiny() throws -> Model { try untrained(tinyName, classes: 10) }

    /// A built-in architecture before it has learned anything: to measure its speed, or to train it
    /// from nothing.
    public static func untrained(_ name: String, classes: Int = 1000, size: Int? = nil) throws
        -> Model
    {
        guard (1...1_000_000).contains(classes), size.map({ (1...16_384).contains($0) }) ?? true
        else {
            throw ModelError.unusable(
                name,
                reason: "expected 1 to 1,000,000 classes and images of 1 to 16,384 pixels a side, "
                    + "found \(classes)" + (size.map { " and \($0)" } ?? ""), hint: nil)
        }
        let architecture = try Architectures.named(name)
        let extent = size.map { Extent($0) } ?? architecture.defaultInput
        let graph = try architecture.graph(classes: classes, input: extent)
        return Model(
            graph: graph, weights: untrainedWeights(of: graph),
            preprocessing: .squash(
                height: extent.height, width: extent.width, .half, kernel: .bilinear),
            labels: [], source: Model.Source(reference: name, sha256: "untrained-seed-1"))
    }

    /// Kaiming's uniform numbers for kernels and matrices, 1 for scales and variances, else 0.
    static func untrainedWeights(of graph: Graph) -> StateDict {
        var random = RandomSource(seed: 1)
        var weights = StateDict()
        for parameter in graph.parameters {
            let shape = parameter.shape
            let fanIn = shape.dimensions.dropFirst().reduce(1, *)
            let limit = (6 / Float(max(fanIn, 1))).squareRoot()
            weights[parameter.name] = LazyTensor(
                Tensor(shape: shape) { target in
                    switch parameter.role {
                    case .kernel, .depthwiseKernel, .matrix:
                        // A block of random numbers again and again: 100 million take no time.
                        let block = min(target.count, 1 << 16)
                        for index in 0..<block {
                            target[index] = (2 * random.unit() - 1) * limit
                        }
                        for start in stride(from: block, to: target.count, by: block) {
                            let count = min(block, target.count - start)
                            _ = UnsafeMutableBufferPointer(
                                rebasing: target[start..<(start + count)]
                            )
                            .update(fromContentsOf: target[..<count])
                        }
                    case .scale, .runningVariance: target.update(repeating: 1)
                    case .bias, .shift, .runningMean, .count: target.update(repeating: 0)
                    case .value, .constant:
                        // As class tokens and position tables begin: small.
                        for index in target.indices { target[index] = 0.04 * random.unit() - 0.02 }
                    }
                })
        }
        return weights
    }
}
