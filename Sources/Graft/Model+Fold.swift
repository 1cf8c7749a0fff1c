// BatchNorm folded into the layers before it: fewer operations, the same answers.

internal import GraftExecution
internal import GraftNetworks
internal import GraftTensors

extension Model {
    /// The model with every BatchNorm that follows a convolution or a linear layer folded into that
    /// layer's weights; others stay. For running, not for training.
    public func folded() throws -> Model {
        var readers = [Int](repeating: 0, count: graph.nodes.count)
        for node in graph.nodes { for input in node.inputs { readers[input] += 1 } }
        let kept = Set([graph.output, graph.features] + (graph.logits.map { [$0] } ?? []))
        var model = self
        var nodes: [Node] = []
        var place: [Int] = []
        var weights = self.weights
        for var node in graph.nodes {
            let source = node.inputs.first ?? 0
            if case .batchNorm(let rule) = node.op, readers[source] == 1,
                !kept.contains(source),
                let into = nodes.indices.contains(place[source])
                    ? nodes[place[source]] : nil,
                let merged = try Self.merged(
                    into, node, epsilon: rule.epsilon, naming: graph.naming, weights: &weights)
            {
                nodes[place[source]] = merged
                place.append(place[source])
                continue
            }
            node.renumberInputs { place[$0] }
            nodes.append(node)
            place.append(nodes.count - 1)
        }
        model.graph.nodes = nodes
        model.graph.output = place[graph.output]
        model.graph.features = place[graph.features]
        model.graph.logits = graph.logits.map { place[$0] }
        for index in graph.outputs.indices {
            model.graph.outputs[index].value.node = place[graph.outputs[index].value.node]
        }
        var bound = StateDict(metadata: weights.metadata, axes: weights.axes)
        for parameter in model.graph.parameters {
            bound[parameter.name] = weights[parameter.name]
        }
        model.weights = bound
        return model
    }

    /// The layer with the norm in its weights; nil if it is no layer that can hold it.
    private static func merged(
        _ layer: Node, _ norm: Node, epsilon: Float, naming: Naming, weights: inout StateDict
    ) throws -> Node? {
        var merged = layer
        let outputs: Int
        switch layer.op {
        case .conv2d(var convolution):
            outputs = convolution.outputs
            convolution.bias = true
            merged.op = .conv2d(convolution)
        case .linear(var linear):
            outputs = linear.outputs
            linear.bias = true
            merged.op = .linear(linear)
        default: return nil
        }
        func numbers(_ node: Node, _ roles: Set<Parameter.Role>) throws -> [Float]? {
            guard let parameter = node.parameters.first(where: { roles.contains($0.role) }) else {
                return nil
            }
            return try weights[parameter.name]?.converted(to: .f32).load().floats
        }
        guard let kernel = layer.parameters.first,
            let values = try numbers(layer, [.kernel, .depthwiseKernel, .matrix]),
            let mean = try numbers(norm, [.runningMean]), mean.count == outputs,
            let variance = try numbers(norm, [.runningVariance]), variance.count == outputs
        else { return nil }
        let gamma = try numbers(norm, [.scale])
        let beta = try numbers(norm, [.shift])
        let bias = try numbers(layer, [.bias])
        let scale = (0..<outputs).map {
            Double(gamma?[$0] ?? 1) / (Double(variance[$0]) + Double(epsilon)).squareRoot()
        }
        let row = values.count / max(outputs, 1)
        let scaled = values.indices.map { Float(Double(values[$0]) * scale[$0 / max(row, 1)]) }
        let shifted = (0..<outputs).map {
            Float(Double(beta?[$0] ?? 0) + (Double(bias?[$0] ?? 0) - Double(mean[$0])) * scale[$0])
        }
        let name =
            layer.parameters.first { $0.role == .bias }?.name
            ?? naming.parameter(.bias, of: layer.name)
        weights[kernel.name] = LazyTensor(Tensor(scaled, shape: kernel.shape))
        weights[name] = LazyTensor(Tensor(shifted, shape: [outputs]))
        merged.parameters = [kernel, Parameter(name: name, shape: [outputs], role: .bias)]
        return merged
    }
}
