// The properties by which an exported model says what it is, and reading them and those of other programs.

internal import FoundationEssentials
internal import GraftArchitectures
internal import GraftImages
internal import GraftNetworks
internal import GraftTensors
internal import GraftTraining

extension Model {
    /// The names of properties in ONNX's `metadata_props` and in Keras' files.
    enum Property {
        static let labels = "labels"
        static let task = "task"
        static let activation = "activation"
        static let thresholds = "thresholds"
        static let input = "input"
        static let source = "source"
        /// What other programs call the names of the outputs.
        static let otherLabels = ["names", "classes", "class_names", "id2label", "label_names"]
        /// All of these in one JSON text, in a Keras file.
        static let keras = "graft"
    }

    /// What an exported model says of itself; `input` is how images become the inputs of what is
    /// written, `activation` what is still to be applied to its outputs.
    func properties(
        input: Preprocessing, inputNote: String, activation: OutputActivation
    ) throws -> [(key: String, value: String)] {
        func json(_ value: some Encodable) throws -> String {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(value), as: UTF8.self)
        }
        var properties: [(key: String, value: String)] = []
        if !labels.isEmpty { properties.append((Property.labels, try json(labels))) }
        properties += [
            (Property.task, task.rawValue), (Property.activation, activation.rawValue),
        ]
        if !thresholds.isEmpty { properties.append((Property.thresholds, try json(thresholds))) }
        return properties + [
            (Property.input, try json(input)), ("input_description", inputNote),
            (Property.source, try json(source)),
        ]
    }

    /// The properties as one JSON text.
    func propertyText(_ properties: [(key: String, value: String)]) throws -> String {
        try JSONTree.object(Dictionary(properties.map { ($0.key, .string($0.value)) }) { $1 })
            .text()
    }

    /// Takes what the file's own metadata and the files beside it say, decides what the outputs
    /// answer, and notes what had to be assumed.
    mutating func adopt(
        metadata: [String: String], companions: CompanionFiles?, loss: KerasLoss? = nil,
        isClassifier: Bool = false, isPrepared: Bool = false
    ) throws {
        var properties = metadata
        if let text = metadata[Property.keras], case .object(let members)? = LabelNames.json(text) {
            for (key, value) in members { properties[key] = value.string }
        }
        let outputs = outputCount
        if let companions { take(companions) }
        let described = takeInput(properties)
        for key in [Property.labels] + Property.otherLabels {
            guard let names = properties[key].flatMap(LabelNames.parse) else { continue }
            if names.count == outputs || names.count == 2 && outputs == 1 {
                labels = names
                notes.append("taken: \(names.count) labels from its metadata (\(key))")
            } else {
                notes.append(
                    "its metadata has \(names.count) labels, the network \(outputs ?? 0) outputs: "
                        + "not used")
            }
            break
        }
        if let text = properties[Property.source],
            let origin = try? JSONDecoder().decode(Source.self, from: Data(text.utf8))
        {
            source.licence = source.licence ?? origin.licence
        }
        var task =
            properties[Property.task].flatMap { LearningTask(rawValue: $0) }
            ?? companions?.task
        let activation = properties[Property.activation].flatMap { OutputActivation(rawValue: $0) }
        // Such an answer is not told by the numbers of outputs, and the layer says it itself.
        if task?.traits.needsObjects == true { task = nil }
        if task == nil, let loss { task = self.task(of: loss, outputs: outputs) }
        try settleAnswer(
            task: task, activation: fitting(activation), isClassifier: isClassifier)
        if let text = properties[Property.thresholds], !thresholds.isEmpty,
            let values = try? JSONDecoder().decode([Float].self, from: Data(text.utf8)),
            values.count == outputs
        {
            thresholds = values
        }
        let isKnown = isPrepared || described || companions?.preprocessing != nil
        guard !isKnown, !graph.preprocessesItself, graph.inputChannels == preprocessing.channels,
            preprocessing.takesImages
        else { return }
        notes.append(
            "how pixels were prepared is not known: they are passed as 0 to 255, resized to "
                + "\(preprocessing.height)×\(preprocessing.width); `--preprocess` sets it (caffe, "
                + "tf, torch, half, unit, clip, none, or a file)")
    }

    /// An activation that the file states, where the last layer has not computed it.
    private func fitting(_ activation: OutputActivation?) -> OutputActivation? {
        switch graph.ending {
        case .softmax, .sigmoid, .probabilities: nil
        case .linear, .values, .features: activation
        }
    }

    /// Takes the input specification that graft wrote; whether there was one.
    private mutating func takeInput(_ properties: [String: String]) -> Bool {
        guard let text = properties[Property.input],
            let input = try? JSONDecoder().decode(Preprocessing.self, from: Data(text.utf8)),
            input.channels == graph.inputChannels, (try? input.validate()) != nil,
            (try? graph.shapes(input: [1, input.channels, input.height, input.width])) != nil
        else { return false }
        preprocessing = input
        return true
    }

    /// The task that a loss trains; nil where the last layer contradicts it.
    private mutating func task(of loss: KerasLoss, outputs: Int?) -> LearningTask? {
        let isLinear: Bool
        switch graph.ending {
        case .linear, .values: isLinear = true
        case .softmax, .sigmoid, .probabilities, .features: isLinear = false
        }
        switch loss {
        case .binary where isLinear: return .bySigmoid(outputs: outputs)
        case .categorical where isLinear && outputs != 1: return .ofShares
        case .distance(let name) where isLinear:
            notes.append(
                "compiled with the loss `\(name)`: its outputs are taken as numbers (regression); "
                    + "`--activation sigmoid|softmax` makes them probabilities")
            return .ofNumbers
        case .binary, .categorical, .distance: return nil
        }
    }
}
