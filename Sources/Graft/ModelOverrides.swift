// What a caller says of a model, where its file does not or says otherwise.

internal import GraftArchitectures
internal import GraftImages
internal import GraftNetworks
internal import GraftTensors
public import GraftTraining

/// What a caller says of a model, where its file does not or says otherwise.
public struct ModelOverrides: Sendable {
    /// The name of the output to take, of a network with several.
    public var select: String?
    /// Whether all outputs of a network are kept where none is named: it is not asked for one answer.
    package var keepsOutputs = false
    /// The names of the outputs.
    public var labels: [String]?
    /// What the outputs answer.
    public var task: LearningTask?
    /// What is applied to the outputs.
    public var activation: OutputActivation?
    /// How images become inputs.
    public var preprocessing = PreprocessingChanges()

    /// Nothing said.
    public init() {}

    /// Whether nothing is said.
    public var isEmpty: Bool {
        select == nil && labels == nil && task == nil && activation == nil && preprocessing.isEmpty
    }

    /// The labels, all different and none empty.
    func checkedLabels() throws -> [String]? {
        guard let labels else { return nil }
        var seen: Set<String> = []
        for label in labels {
            guard !label.isEmpty, seen.insert(label).inserted else {
                throw ModelError.unusable(
                    "--labels",
                    reason: label.isEmpty ? "a label is empty" : "duplicate label `\(label)`",
                    hint: "name each output once, in their order")
            }
        }
        return labels
    }
}

extension StateDict {
    /// The tensors that a graph has weights of.
    fileprivate func filtered(by graph: Graph) -> StateDict {
        var result = StateDict(metadata: metadata, axes: axes)
        for parameter in graph.parameters { result[parameter.name] = self[parameter.name] }
        return result
    }
}

extension Model {
    /// The model with what `overrides` say.
    ///
    /// - Throws: `ModelError.unusable` if that does not fit the network.
    public func with(_ overrides: ModelOverrides) throws -> Model {
        var model = self
        if let select = overrides.select, let graph = graph.selecting(select) {
            model.graph = graph
            model.weights = try graph.bound(weights.filtered(by: graph))
        } else if overrides.select == nil, graph.outputs.count > 1, !overrides.keepsOutputs {
            throw ArchitectureError.outputs(graph.outputs.map(\.name), selected: nil)
        } else if graph.outputs.count > 1, let select = overrides.select {
            throw ArchitectureError.outputs(graph.outputs.map(\.name), selected: select)
        } else if let select = overrides.select, select != graph.nodes[graph.output].name,
            select != "output"
        {
            throw ModelError.unusable(
                graph.name, reason: "no output is called `\(select)`",
                hint: "its only output is `\(graph.nodes[graph.output].name)`")
        }
        if let labels = try overrides.checkedLabels() { model.labels = labels }
        if overrides.labels != nil || overrides.task != nil || overrides.activation != nil {
            guard !task.traits.needsObjects, neighbours == nil || overrides.activation == nil else {
                throw ModelError.unusable(
                    graph.name, reason: "a detector's labels and outputs are those of its training",
                    hint: nil)
            }
            if overrides.task != nil || overrides.activation != nil
                || (1...2).contains(model.labels.count) && outputCount == 1
            {
                model.notes.removeAll { $0.contains("--activation") }
                try model.settleAnswer(
                    task: overrides.task, activation: overrides.activation ?? nil,
                    isClassifier: true)
            }
        }
        if !overrides.preprocessing.isEmpty {
            model.preprocessing = try overrides.preprocessing.applied(
                to: preprocessing, channels: graph.inputChannels)
            if overrides.preprocessing.normalization != nil {
                model.notes.removeAll { $0.contains("--preprocess") }
            }
            try model.fitSize()
        }
        if overrides.labels != nil || !overrides.preprocessing.isEmpty {
            try model.checkParts()
        }
        return model
    }

    /// Makes the network for the size of input, if it is one of position tables or windows for another.
    private mutating func fitSize() throws {
        let size = Extent(preprocessing.height, preprocessing.width)
        guard (try? graph.shapes(input: input())) == nil,
            let other = try Architectures.resized(graph, weights: weights, to: size)
        else { return }
        (graph, weights) = (other.graph, other.weights)
        notes.append("the network is made for images of \(size)")
    }

    /// Throws unless labels and the size of input fit the network.
    private func checkParts() throws {
        if graph.takesImages { _ = try graph.shapes(input: input()) }
        let outputs = outputCount
        guard neighbours == nil, let outputs, graph.ending != .features, !labels.isEmpty,
            labels.count != outputs, !(isBinary && labels.count == 2)
        else { return }
        throw ModelError.unusable(
            graph.name,
            reason: "expected \(outputs) labels, one per output, found \(labels.count)",
            hint: "`--labels` takes a file of one name per line, or names separated by commas")
    }
}
