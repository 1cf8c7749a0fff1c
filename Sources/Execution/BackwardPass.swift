// Gradients: the groups of a forward pass in reverse order, each by its rule.

import CDNNL
import GraftNetworks
import GraftTensors

/// Compiles the gradients of what learns, from those of the values of some nodes.
final class BackwardPass {
    let compiler: Compiler
    let learning: Learning
    /// After how many steps the gradients of which parameters are complete, in order.
    private(set) var completions: [(steps: Int, parameters: [String])] = []
    /// The parts of the gradient of each node's value that are found.
    private var found: [ValueID: [Memory]] = [:]

    /// Appends the steps for `groups`, given the gradients of the values of the nodes `outputs`.
    init(
        _ compiler: Compiler, groups: [any CompiledGroup], learning: Learning, outputs: [Int],
        gradients: [Memory]
    ) throws {
        self.compiler = compiler
        self.learning = learning
        for (output, gradient) in zip(outputs, gradients) { found[ValueID(output)] = [gradient] }
        let start = compiler.steps.count
        for group in groups.reversed() {
            let site = group.site
            let last = site.group.last
            let parts = compiler.types[last].indices.map {
                found.removeValue(forKey: ValueID(last, output: $0)) ?? []
            }
            if learns(ValueID(last)), parts.contains(where: { !$0.isEmpty }) {
                let gradients = OutputGradients(compiler: compiler, parts: parts)
                let results = try group.backward(from: gradients, in: self)
                for (input, gradient) in zip(site.inputs, results) where learns(input) {
                    guard let gradient else { continue }
                    found[input, default: []].append(gradient)
                }
            }
            let own = site.group.nodes.flatMap { compiler.graph.nodes[$0].parameters }
                .map(\.name).filter { learning.slots[$0] != nil }
            if !own.isEmpty { completions.append((compiler.steps.count - start, own)) }
        }
        learning.appendSums(of: compiler.shared, in: compiler)
    }

    /// Whether a gradient flows to a node's value.
    func learns(_ value: ValueID) -> Bool { learning.learns[value.node] }

    /// The memory of a weight's gradient, if it learns.
    func gradient(of parameter: Parameter?) -> Memory? { learning.gradient(of: parameter) }
}

/// The gradients of an operation's values, in the parts that its readers have found.
struct OutputGradients {
    let compiler: Compiler
    /// The parts for each output; none where no gradient flows.
    let parts: [[Memory]]

    /// The gradient of the first value, its parts added up.
    func sum() throws -> Memory {
        guard let sum = try sum(output: 0) else {
            preconditionFailure("a group without a gradient is not compiled backward")
        }
        return sum
    }

    /// The gradient of one of several values; nil where none flows.
    func sum(output: Int) throws -> Memory? {
        guard var sum = parts[output].first else { return nil }
        for part in parts[output].dropFirst() {
            sum = try compiler.binary(
                dnnl_binary_add, sum, with: try compiler.reordered(part, to: sum.descriptor),
                as: "gradient")
        }
        return sum
    }
}
