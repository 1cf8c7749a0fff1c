// Weights that several nodes read: each reader has a gradient of its own, and their sum is the weight's.

import GraftNetworks

/// The readers of weights that several nodes read, under names of their own.
struct SharedParameters {
    /// The weight of each reader's name.
    private(set) var origins: [String: String] = [:]
    /// The readers' names of each weight, in the order of the nodes.
    private(set) var readers: [String: [String]] = [:]

    /// Gives the readers of shared weights names of their own in `graph`.
    init(separatingIn graph: inout Graph) {
        var counts: [String: Int] = [:]
        for parameter in graph.nodes.flatMap(\.parameters) {
            counts[parameter.name, default: 0] += 1
        }
        for node in graph.nodes.indices {
            for index in graph.nodes[node].parameters.indices {
                let parameter = graph.nodes[node].parameters[index]
                guard !parameter.isBuffer, counts[parameter.name, default: 0] > 1 else { continue }
                // No name of a file has a zero byte.
                let own = "\(parameter.name)\0\(node).\(index)"
                origins[own] = parameter.name
                readers[parameter.name, default: []].append(own)
                graph.nodes[node].parameters[index].name = own
            }
        }
    }

    /// The name of the weight that a node reads under `name`.
    func origin(of name: String) -> String { origins[name] ?? name }
}

extension Learning {
    /// Appends the step that adds the readers' gradients up.
    func appendSums(of shared: SharedParameters, in compiler: Compiler) {
        for (name, readers) in shared.readers.sorted(by: { $0.key < $1.key }) {
            guard let slot = slots[name] else { continue }
            let gradients = readers.compactMap { slots[$0]?.gradient }
            let count = slot.gradient.descriptor.byteCount / 4
            compiler.loop("gradient", uses: []) {
                let sum = slot.gradient.buffer.floats(count)
                sum.update(repeating: 0)
                for gradient in gradients {
                    let part = gradient.buffer.floats(count)
                    for at in 0..<count { sum[at] += part[at] }
                }
            }
        }
    }
}
