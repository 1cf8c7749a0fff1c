// Shape inference: what every node yields for an input of a given size.

public import GraftTensors

extension Graph {
    /// The largest number of elements of a value.
    static let maximumElementCount = 1 << 40
    /// The largest number of elements of a weight.
    static let maximumWeightCount = 1 << 34

    /// The shape of every node's value for an input (N, C, H, W), in the order of the nodes.
    ///
    /// Also the check of a graph that a stranger wrote: indices, ranks, channel counts, parameter
    /// shapes and sizes are all looked at.
    public func shapes(input: Shape) throws(NetworkError) -> [Shape] {
        var types: [ValueType] = []
        types.reserveCapacity(nodes.count)
        for (index, node) in nodes.enumerated() {
            for from in node.inputs where from < 0 || from >= index {
                throw .invalidNode(node.name, reason: "reads node \(from), which is not before it")
            }
            let isInput = if case .input = node.op { true } else { false }
            guard isInput == (index == 0) else {
                throw .invalidNode(
                    node.name,
                    reason: isInput
                        ? "only the first layer can be the input"
                        : "the first layer must be the input")
            }
            let sources = isInput ? [ValueType(input)] : node.inputs.map { types[$0] }
            types.append(try node.outputType(reading: sources))
        }
        for index in [output, features] + (logits.map { [$0] } ?? [])
        where !nodes.indices.contains(index) {
            throw .invalidGraph("it names node \(index) of \(nodes.count)")
        }
        return types.map(\.shape)
    }
}

extension Node {
    /// The type of the node's value when it reads values of these types; its weights are checked too.
    func outputType(reading inputs: [ValueType]) throws(NetworkError) -> ValueType {
        let rule = op.rule
        let outputs: [ValueType]
        let expected: [ExpectedParameter]
        do {
            outputs = try rule.outputs(reading: inputs)
            expected = try rule.parameters(reading: inputs)
        } catch {
            throw .invalidNode(name, reason: error.explanation)
        }
        guard let output = outputs.first, outputs.count == 1 else {
            throw .invalidNode(name, reason: "expected 1 value, found \(outputs.count)")
        }
        try check(expected)
        guard let count = output.shape.checkedCount, count <= Graph.maximumElementCount else {
            throw .invalidNode(name, reason: "its output \(output.shape) is too large")
        }
        return output
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
