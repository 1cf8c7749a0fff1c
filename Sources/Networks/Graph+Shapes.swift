// Shape inference: what every node yields for an input of a given size.

public import GraftTensors

extension Graph {
    /// The largest number of elements of a value.
    static let maximumElementCount = 1 << 40
    /// The largest number of values of a node.
    static let maximumOutputCount = 4096
    /// The largest number of elements of a weight.
    static let maximumWeightCount = 1 << 34

    /// The shape of every node's value for an input (N, C, H, W), in the order of the nodes.
    ///
    /// Also the check of a graph that a stranger wrote: indices, ranks, channel counts, parameter
    /// shapes and sizes are all looked at.
    public func shapes(input: Shape) throws(NetworkError) -> [Shape] {
        try types(inputs: [ValueType(input)]).map { $0[0].shape }
    }

    /// The types of every node's values for inputs of these types, in the order of the nodes.
    ///
    /// The same check as ``shapes(input:)``, for any number of inputs.
    public func types(inputs: [ValueType]) throws(NetworkError) -> [[ValueType]] {
        guard inputs.count == inputCount, inputCount > 0 else {
            guard inputCount > 0 else {
                throw .invalidNode(
                    nodes.first?.name ?? name, reason: "the first layer must be the input")
            }
            throw .invalidGraph("it has \(inputCount) inputs, found values for \(inputs.count)")
        }
        var types: [[ValueType]] = []
        types.reserveCapacity(nodes.count)
        for (index, node) in nodes.enumerated() {
            var sources: [ValueType] = []
            for value in node.reads {
                guard 0..<index ~= value.node else {
                    throw .invalidNode(
                        node.name, reason: "reads node \(value.node), which is not before it")
                }
                guard types[value.node].indices.contains(value.output) else {
                    throw .invalidNode(
                        node.name,
                        reason: "reads value \(value.output) of `\(nodes[value.node].name)`, "
                            + "which has \(types[value.node].count)")
                }
                sources.append(types[value.node][value.output])
            }
            if case .input = node.op {
                guard index < inputCount else {
                    throw .invalidNode(node.name, reason: "inputs must come before other layers")
                }
                sources = [inputs[index]]
            }
            types.append(try node.outputTypes(reading: sources))
        }
        var names: Set<String> = []
        for output in outputs {
            guard types.indices.contains(output.value.node),
                types[output.value.node].indices.contains(output.value.output),
                names.insert(output.name).inserted
            else { throw .invalidGraph("its output `\(output.name)` is not a value of it") }
        }
        for index in [output, features] + (logits.map { [$0] } ?? [])
        where !nodes.indices.contains(index) {
            throw .invalidGraph("it names node \(index) of \(nodes.count)")
        }
        return types
    }

    /// The number of inputs: the first nodes.
    public var inputCount: Int {
        nodes.prefix { if case .input = $0.op { true } else { false } }.count
    }
}

extension Node {
    /// The types of the node's values when it reads values of these types; its weights are checked too.
    func outputTypes(reading inputs: [ValueType]) throws(NetworkError) -> [ValueType] {
        let rule = op.rule
        let outputs: [ValueType]
        let expected: [ExpectedParameter]
        do {
            outputs = try rule.outputs(reading: inputs)
            expected = try rule.parameters(reading: inputs)
        } catch {
            throw .invalidNode(name, reason: error.explanation)
        }
        try check(expected)
        guard 1...Graph.maximumOutputCount ~= outputs.count else {
            throw .invalidNode(name, reason: "has \(outputs.count) values")
        }
        for output in outputs {
            guard let count = output.shape.checkedCount, count <= Graph.maximumElementCount else {
                throw .invalidNode(name, reason: "its output \(output.shape) is too large")
            }
        }
        return outputs
    }

    /// Whether the weights are those that the operation expects, in its order, and none is too large.
    private func check(_ expected: [ExpectedParameter]) throws(NetworkError) {
        let required = expected.filter { !$0.isOptional }
        let accepted = parameters.count == required.count ? required : expected
        guard parameters.map(\.shape) == accepted.map(\.shape) else {
            throw .invalidNode(
                name,
                reason:
                    "expected weights \(required.map(\.shape)), found \(parameters.map(\.shape))")
        }
        for (parameter, wanted) in zip(parameters, accepted)
        where !parameter.role.serves(as: wanted.role) {
            throw .invalidNode(
                name,
                reason:
                    "expected a weight `\(wanted.role.rawValue)`, found `\(parameter.role.rawValue)`"
            )
        }
        for parameter in parameters {
            guard let count = parameter.shape.checkedCount, count <= Graph.maximumWeightCount else {
                throw .invalidNode(
                    name, reason: "its weight `\(parameter.name)` \(parameter.shape) is too large")
            }
        }
    }
}

extension Parameter.Role {
    /// Whether a weight of this role can be the one that is wanted: publishers call the kernel of a
    /// depthwise convolution by either name.
    fileprivate func serves(as wanted: Self) -> Bool {
        let kernels: Set<Self> = [.kernel, .depthwiseKernel]
        return self == wanted || (kernels.contains(self) && kernels.contains(wanted))
    }
}
