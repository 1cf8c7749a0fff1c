// From a network's last value to the answer of its task: which function is applied, once.

internal import GraftImages
internal import GraftNetworks
internal import GraftTensors
public import GraftTraining

extension Model {
    /// The value that is read and what is applied to it.
    struct Answer: Hashable {
        /// The node whose value is read.
        var node: Int
        /// The function that is applied to the value of ``node``.
        var activation: OutputActivation
    }

    /// The number of values that the network answers with; nil where its size of input does not
    /// fit.
    public var outputCount: Int? {
        if let classes = graph.classes, !task.traits.answersRaw { return classes }
        guard let shapes = try? graph.shapes(input: input()) else { return nil }
        return shapes[graph.output].dimensions.dropFirst().reduce(1, *)
    }

    /// Whether one probability decides between two classes.
    public var isBinary: Bool {
        task.traits.isExclusive && neighbours == nil && outputCount == 1
            && probabilityFunction == .sigmoid
    }

    /// The function behind the model's probabilities, whether the network's last layer computes it
    /// or graft does; `.none` where the answer is numbers.
    public var probabilityFunction: OutputActivation {
        switch graph.ending {
        case .softmax: return activation == .sigmoid ? .sigmoid : .softmax
        case .sigmoid, .probabilities: return .sigmoid
        case .linear, .values, .features:
            return activation ?? task.traits.activation(outputCount)
        }
    }

    /// The node to read, and what is still to be applied to its value.
    ///
    /// - Throws: `ModelError.unusable` if the network ends in features.
    func answer() throws -> Answer {
        if task.traits.answersRaw { return Answer(node: graph.output, activation: .none) }
        if neighbours != nil { return Answer(node: graph.features, activation: .none) }
        switch graph.ending {
        // In double precision, as graft computes it of scores.
        case .softmax(let scores): return Answer(node: scores, activation: .softmax)
        case .sigmoid(let scores): return Answer(node: scores, activation: .sigmoid)
        case .probabilities: return Answer(node: graph.output, activation: .none)
        case .linear, .values: break
        case .features:
            guard activation != nil || !task.traits.isExclusive else {
                throw ModelError.unusable(
                    graph.name,
                    reason: "the network has no classes to predict: it ends in features",
                    hint: "train a head for it: `graft train PHOTOS --backbone MODEL -o RUN`")
            }
        }
        return Answer(
            node: graph.output,
            activation: activation ?? task.traits.activation(outputCount))
    }

    /// The answers of rows of the value of ``answer()``: probabilities or numbers. A binary
    /// classifier with two labels gives both their probabilities.
    func answers(_ rows: [[Float]], _ answer: Answer) -> [[Float]] {
        let both = isBinary && labels.count == 2
        return rows.map { row in
            let values =
                switch answer.activation {
                case .none: row
                case .softmax: softmax(row)
                case .sigmoid: row.map { Float(sigmoid(Double($0))) }
                }
            return both && values.count == 1 ? [1 - values[0], values[0]] : values
        }
    }

    /// Decides the task and the activation of an imported network by its last layer; what the
    /// caller knows of them goes first.
    ///
    /// - Throws: `ModelError.unusable` if the network's own last layer contradicts `activation`.
    mutating func settleAnswer(
        task stated: LearningTask? = nil, activation given: OutputActivation? = nil,
        isClassifier: Bool = false
    ) throws {
        let outputs = outputCount
        activation = nil
        switch (graph.ending, given) {
        case (.softmax, .sigmoid), (.sigmoid, .softmax), (.probabilities, .softmax):
            throw ModelError.unusable(
                graph.name,
                reason: "its last layer is another activation than the `\(given?.rawValue ?? "")` "
                    + "asked for",
                hint: "leave out `--activation`: the network's own is applied once")
        case (.softmax, _), (.sigmoid, _), (.probabilities, _): break
        case (.linear, let given), (.values, let given), (.features, let given):
            activation = given
        }
        if let stated {
            task = stated
        } else if let found = answeredTask(given, outputs, isClassifier: isClassifier) {
            task = found
        }
        if !task.traits.hasThresholds {
            thresholds = []
        } else if thresholds.count != outputs {
            thresholds = Array(repeating: 0.5, count: outputs ?? labels.count)
        }
    }

    /// The task that the last layer and an activation make, with a note where that is a guess.
    private mutating func answeredTask(
        _ given: OutputActivation?, _ outputs: Int?, isClassifier: Bool
    ) -> LearningTask? {
        let bySigmoid = LearningTask.bySigmoid(outputs: outputs)
        switch (graph.ending, given) {
        case (.softmax, _): return .ofShares
        case (.sigmoid, _), (.probabilities, _): return bySigmoid
        case (_, .softmax?): return .ofShares
        case (_, .sigmoid?): return bySigmoid
        case (.features, nil): return nil
        case (_, OutputActivation.none?): return .ofNumbers
        case (.values, nil):
            if case .unitNorm = graph.nodes[graph.output].op { return .ofUnitVectors }
            notes.append(
                "the last layer is no class score: taken as values (regression); `--task` and "
                    + "`--activation` set it")
            return .ofNumbers
        case (.linear, nil):
            if outputs == 1, !(1...2).contains(labels.count) {
                notes.append(
                    "one linear output: taken as a number (regression); if it is the score of a "
                        + "binary classifier, add `--activation sigmoid`")
                return .ofNumbers
            }
            if !isClassifier, labels.isEmpty, let outputs {
                notes.append(
                    "\(outputs) linear outputs: taken as class scores (softmax); `--task "
                        + "regression` or `--activation` sets it")
            }
            return .ofShares
        }
    }

    /// Throws unless images can be given.
    func requireImages() throws {
        guard graph.takesImages else {
            throw ModelError.unusable(
                graph.name,
                reason: "it takes "
                    + graph.nodes.prefix(graph.inputCount).map { "`\($0.name)`" }
                    .joined(separator: ", ") + ", not images",
                hint: "give it tensors: `graft run MODEL --input NAME=x.npy --output y.npy`")
        }
        guard preprocessing.takesImages else {
            throw ModelError.unusable(
                graph.name,
                reason: "it takes \(preprocessing.channels) channels; an image has 3, or 1 in grey",
                hint: "give it tensors: `graft run MODEL --input x.npy --output y.npy`")
        }
    }
}

extension Model {
    /// The parts that the task makes answers of.
    func answerSite(top: Int = 5, threshold: Double? = nil) -> AnswerSite {
        var site = AnswerSite(
            graph: graph, input: input(), preprocessing: preprocessing, labels: labels)
        site.thresholds = thresholds
        site.isBinary = isBinary
        site.top = max(top, 0)
        site.threshold = threshold
        return site
    }

    /// What the task of the model does, with its flaws as those of this model.
    func asTask<R>(_ body: (any TaskKind.Type) throws -> R) throws -> R {
        do {
            return try body(task.kind)
        } catch let flaw as TaskFlaw {
            throw ModelError.unusable(graph.name, reason: flaw.reason, hint: flaw.hint)
        }
    }
}
