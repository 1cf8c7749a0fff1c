// `graft gradients`, hidden: the loss and its gradients, for comparison with the frameworks.

import ArgumentParser
import Graft
import GraftExecution
import GraftFormats
import GraftNetworks
import GraftTensors
import GraftTraining
import OrderedCollections

struct GradientsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gradients",
        abstract: "Compute a loss and its gradients, or take steps along them.",
        discussion: """
            Example: graft gradients model.safetensors --input x.npy --labels y.npy -o g.safetensors
            With --steps the inputs are cut into that many batches, one optimiser step each, and \
            the file holds `losses` and the weights that came out.
            """,
        shouldDisplay: false)

    @Argument(help: "A native model, a registry name or a weight file.") var model: String
    @Option(help: "The inputs: .npy of (N, C, H, W), or (N, H, W, C) with --layout nhwc.")
    var input: String
    @Option(help: "The classes, .npy of (N).") var labels: String?
    @Option(help: "Labels of 0 and 1, or numbers, instead of classes, .npy of (N, outputs).")
    var targets: String?
    @Flag(help: "The targets are numbers.") var regression = false
    @Option(name: .shortAndLong, help: "Where to write the gradients, .safetensors.")
    var output: String
    @Option(help: "The order of the axes of the input.") var layout: RunCommand.Layout = .nchw
    @Flag(help: "Everything learns: the default.") var trainAll = false
    @Option(help: "How many of the last stages learn, with the head.") var unfreeze: Int?
    @Flag(help: "γ and β of BatchNorm do not learn.") var freezeNorm = false
    @Flag(help: "BatchNorm normalises by the batch, and its running statistics move.")
    var trainBn = false
    @Option(help: "ε of label smoothing.") var labelSmoothing: Float = 0
    @Option(help: "Steps to take; none only computes gradients.") var steps: Int?
    @Option(help: "The optimiser.", transform: choice) var optimizer = Optimizer.Rule.sgd
    @Option(help: "Whose arithmetic the optimiser follows.", transform: choice)
    var dialect = Optimizer.Dialect.torch
    @Option(help: "The step size.") var learningRate: Double = 0.01
    @Option(help: "μ of SGD.") var momentum: Float = 0
    @Flag(help: "Look ahead, with sgd.") var nesterov = false
    @Option(help: "λ of weight decay, on all that learns.") var weightDecay: Float = 0
    @Option(help: "What each class counts, .npy.") var classWeights: String?
    @Option(help: "The architecture of a weight file.") var architecture: String?
    @Option(
        help:
            "How 3×3 convolutions are computed: `exact` as the sums that define them, `default` also by transforms."
    )
    var accuracy: ExecutionSettings.Closeness = .default

    func run() async throws {
        let model = try await Models.open(self.model, architecture: architecture)
        guard let logits = model.graph.logits, let classes = model.classes else {
            throw ModelError.unusable(
                self.model, reason: "the network has no classes", hint: "train a head for it")
        }
        var x = try Npy.read(input).converted(to: .f32)
        guard x.shape.rank == 4 else {
            throw ModelError.unusable(
                input, reason: "expected 4 axes, found \(x.shape)", hint: "add the batch axis")
        }
        if layout == .nhwc { x = x.permuted([0, 3, 1, 2]) }
        let truth = try truth(count: x.shape[0], classes: classes)
        let rounds = max(steps ?? 1, 1)
        guard x.shape[0] % rounds == 0 else {
            throw ModelError.unusable(
                input, reason: "\(x.shape[0]) samples do not divide into \(rounds) batches",
                hint: nil)
        }
        var shape = x.shape
        shape[0] /= rounds
        let plan = try TrainingPlan(
            graph: model.graph, weights: model.weights, input: shape,
            trainable: learned(model.graph), output: logits,
            moving: trainBn
                ? MovingStatistics(
                    names: Set(model.graph.parameters.filter(\.isBuffer).map(\.name)),
                    isUnbiased: dialect == .torch) : nil,
            options: ExecutionOptions(accuracy: accuracy.accuracy))
        var rule = Optimizer(
            Optimizer.Settings(
                optimizer, dialect: dialect, momentum: momentum, nesterov: nesterov,
                weightDecay: weightDecay),
            counts: plan.trainable.map(\.shape.count))
        let weights = try classWeights.map { try Npy.read($0).floats }
        var losses: [Float] = []
        for round in 0..<rounds {
            let part = Array(x.floats[(round * shape.count)..<((round + 1) * shape.count)])
            let photos = (round * shape[0])..<((round + 1) * shape[0])
            let scores = try plan.forward(
                Tensor(part, shape: shape), dropoutSeed: nil, movesStatistics: trainBn)
            let slope = scores.withFloats { floats in
                Tensor(shape: scores.shape) { target in
                    let sum = self.loss(floats, classes, truth, photos, weights, target)
                    losses.append(Float(sum / Double(photos.count)))
                }
            }
            try plan.backward(slope)
            guard steps != nil else { continue }
            rule.beginStep(learningRate: learningRate)
            for index in plan.trainable.indices {
                plan.withParameter(index) { rule.update(index, values: $0, gradient: .init($1)) }
            }
        }
        var result: OrderedDictionary<String, LazyTensor> = [
            "losses": LazyTensor(Tensor(losses, shape: [losses.count]))
        ]
        for (index, parameter) in plan.trainable.enumerated() {
            let numbers = plan.withParameter(index) { Array(steps == nil ? $1 : $0) }
            result[parameter.name] = LazyTensor(Tensor(numbers, shape: parameter.shape))
        }
        for (index, parameter) in plan.statistics.enumerated() {
            let numbers = plan.withStatistic(index) { Array($0) }
            result[parameter.name] = LazyTensor(Tensor(numbers, shape: parameter.shape))
        }
        try Safetensors.write(StateDict(result), to: output)
        Terminal.answer(losses.map { "\($0)" }.joined(separator: " "))
    }

    /// What is to be answered.
    private enum Truth {
        case classes([Int])
        case rows([[Float]])
    }

    private func truth(count: Int, classes: Int) throws -> Truth {
        guard let targets else {
            guard let labels else { throw ValidationError("name --labels or --targets") }
            let y = try Npy.read(labels).floats.map { Int($0) }
            guard y.count == count, y.allSatisfy((0..<classes).contains) else {
                throw ModelError.unusable(
                    labels, reason: "expected \(count) classes of 0 to \(classes - 1)", hint: nil)
            }
            return .classes(y)
        }
        let rows = try Npy.read(targets).converted(to: .f32)
        guard rows.shape == [count, classes] else {
            throw ModelError.unusable(
                targets, reason: "expected \(count) × \(classes), found \(rows.shape)", hint: nil)
        }
        let numbers = rows.floats
        return .rows((0..<count).map { Array(numbers[($0 * classes)..<(($0 + 1) * classes)]) })
    }

    /// The loss of some photos, summed, and its gradient.
    private func loss(
        _ scores: UnsafeBufferPointer<Float>, _ classes: Int, _ truth: Truth,
        _ photos: Range<Int>, _ weights: [Float]?, _ gradient: UnsafeMutableBufferPointer<Float>
    ) -> Double {
        switch truth {
        case .classes(let labels):
            CrossEntropy(labelSmoothing: labelSmoothing, classWeights: weights).sum(
                logits: scores, classes: classes, labels: Array(labels[photos]),
                gradient: gradient)
        case .rows(let rows):
            (regression
                ? DenseLoss.squaredError : .binaryCrossEntropy(labelSmoothing: labelSmoothing))
                .sum(
                    scores, width: classes, targets: Array(rows[photos]), weights: weights,
                    gradient: gradient)
        }
    }

    /// The names of what learns.
    private func learned(_ graph: Graph) -> Set<String> {
        var start = 0
        if let unfreeze, !trainAll { start = graph.cut(unfreezing: unfreeze) }
        var names: Set<String> = []
        for node in graph.nodes[start...] {
            if case .batchNorm = node.op, freezeNorm { continue }
            names.formUnion(node.parameters.filter { !$0.isBuffer }.map(\.name))
        }
        return names
    }
}

/// A setting of the library by its name.
func choice<Value: RawRepresentable & CaseIterable>(_ text: String) throws -> Value
where Value.RawValue == String {
    guard let value = Value(rawValue: text) else {
        throw ValidationError(
            "`\(text)` is none of \(Value.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return value
}
