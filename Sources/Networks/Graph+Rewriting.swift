// Operations that exporters write out in several, put together again.

extension Graph {
    /// This graph with its written-out operations put together, one rule after another, and its unread
    /// nodes removed.
    package func rewritten() -> Graph {
        var graph = self
        for rule in Rewriting.all {
            for index in graph.nodes.indices {
                guard let found = rule(graph.nodes, index) else { continue }
                graph.nodes[index] = Node(
                    name: graph.nodes[index].name, op: found.op, inputs: found.inputs,
                    stage: graph.nodes[index].stage)
            }
        }
        return graph == self ? self : graph.pruned()
    }
}

/// The rules by which nodes become one.
private enum Rewriting {
    /// What a node becomes with all that leads to it; nil if it is something else.
    typealias Rule = @Sendable (_ nodes: [Node], _ index: Int) -> (op: Op, inputs: [Int])?

    static let all: [Rule] = [gelu]

    /// `0.5 x (1 + erf(x / √2))`, the half anywhere.
    private static let gelu: Rule = { nodes, index in
        var halves = 0
        /// The node whose value is scaled by half here, or the node itself.
        func unhalved(_ index: Int) -> Int {
            guard isAffine(nodes[index], scale: 0.5, shift: 0) else { return index }
            halves += 1
            return nodes[index].inputs[0]
        }
        let product = unhalved(index)
        guard case .multiply = nodes[product].op, nodes[product].inputs.count == 2 else {
            return nil
        }
        let operands = nodes[product].inputs
        for (first, second) in [(operands[0], operands[1]), (operands[1], operands[0])] {
            let outside = halves
            let sum = unhalved(second)
            let x = unhalved(first)
            defer { halves = outside }
            guard halves == 1, isAffine(nodes[sum], scale: 1, shift: 1),
                let error = nodes[sum].inputs.first,
                nodes[error].op == .elementwise(.erf),
                let scaled = nodes[error].inputs.first,
                isAffine(nodes[scaled], scale: 0.70710678, shift: 0), nodes[scaled].inputs == [x]
            else { continue }
            return (.activation(.gelu), [x])
        }
        return nil
    }

    /// Whether a node scales and shifts all numbers alike, to six digits.
    private static func isAffine(_ node: Node, scale: Float, shift: Float) -> Bool {
        guard case .affine(let op) = node.op, op.scale.count == 1, op.shift.count == 1 else {
            return false
        }
        return abs(op.scale[0] - scale) < 1e-6 && abs(op.shift[0] - shift) < 1e-6
    }
}
