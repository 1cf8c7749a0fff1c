// Layers that an export gets around the network: the arithmetic on pixels before, probabilities after.

internal import GraftExecution
internal import GraftImages
internal import GraftNetworks
internal import GraftTensors
internal import GraftTraining

extension Model {
    /// The model whose output is its probabilities: the softmax or sigmoid is a layer of the network,
    /// once.
    ///
    /// - Throws: `ModelError.unusable` if `wanted` is another function than the model's own.
    func withProbabilities(_ wanted: OutputActivation) throws -> Model {
        let own = probabilityFunction
        guard own == wanted, task.traits.hasProbabilities else {
            throw ModelError.unusable(
                graph.name,
                reason: own == .none
                    ? "its outputs are no probabilities: `\(wanted.rawValue)` does not fit"
                    : "its probabilities are those of `\(own.rawValue)`, not of "
                        + "`\(wanted.rawValue)`",
                hint: "set what the outputs are with `--activation`")
        }
        switch graph.ending {
        case .softmax, .sigmoid, .probabilities: return self
        case .linear, .values, .features: break
        }
        var model = self
        let op: Op = own == .softmax ? .softmax : .activation(.sigmoid)
        model.graph.nodes.append(
            Node(
                name: unusedName("probabilities"), op: op, inputs: [graph.output], stage: "head"))
        model.graph.output = model.graph.nodes.count - 1
        model.graph.logits = graph.logits ?? graph.output
        model.activation = nil
        return model
    }

    /// The model that takes colours of 0…255, its arithmetic on them the first layer.
    func withPreprocessingLayers() throws -> Model {
        try requireImages()
        let it = preprocessing.normalization
        let channels = it.mean.count
        let scale = it.std.map { Float(it.scale / $0) }
        let shift = zip(it.mean, it.std).map { Float(-$0 / $1) }
        var model = self
        model.preprocessing.normalization =
            Normalization.passThrough.forChannels(channels) ?? .passThrough
        let isIdentity = scale.allSatisfy { $0 == 1 } && shift.allSatisfy { $0 == 0 }
        guard !isIdentity || it.channels == .bgr else { return model }
        let name = unusedName("preprocessing")
        var node = Node(
            name: name, op: .affine(scale: Self.one(scale), shift: Self.one(shift)), inputs: [0])
        var weights = self.weights
        if it.channels == .bgr {
            // The order too: a convolution of one pixel.
            let kernel = graph.naming.parameter(.kernel, of: name)
            let bias = graph.naming.parameter(.bias, of: name)
            node.op = .conv2d(
                outputs: channels, window: Window(kernel: 1), groups: 1, bias: true)
            node.parameters = [
                Parameter(name: kernel, shape: [channels, channels, 1, 1], role: .kernel),
                Parameter(name: bias, shape: [channels], role: .bias),
            ]
            var values = [Float](repeating: 0, count: channels * channels)
            for (channel, source) in it.sources.enumerated() {
                values[channel * channels + source] = scale[channel]
            }
            weights[kernel] = LazyTensor(Tensor(values, shape: [channels, channels, 1, 1]))
            weights[bias] = LazyTensor(Tensor(shift, shape: [channels]))
        }
        model.graph.nodes.insert(node, at: 1)
        for index in model.graph.nodes.indices.dropFirst(2) {
            model.graph.nodes[index].renumberInputs { $0 + 1 }
        }
        func moved(_ index: Int) -> Int { index + 1 }
        model.graph.output = moved(graph.output)
        model.graph.features = moved(graph.features)
        model.graph.logits = graph.logits.map(moved)
        model.weights = weights
        return model
    }

    /// One number where all are the same.
    private static func one(_ values: [Float]) -> [Float] {
        Set(values).count == 1 ? [values[0]] : values
    }

    private func unusedName(_ base: String) -> String {
        var name = base
        var number = 1
        while graph.index(of: name) != nil {
            name = "\(base)_\(number)"
            number += 1
        }
        return name
    }
}
