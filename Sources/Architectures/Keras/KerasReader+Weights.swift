// The weights of a Keras model: what files call the variables of its layers.

import GraftNetworks
import GraftTensors
import OrderedCollections

extension KerasReader {
    /// The graph with its head found, and the weights under its names.
    mutating func finish(
        name: String?, output: Int
    ) throws -> (graph: Graph, weights: StateDict) {
        var graph = try builder.finished(name: name ?? "keras", output: output)
        var files: [String: String] = [:]
        for index in graph.nodes.indices {
            for position in graph.nodes[index].parameters.indices {
                let parameter = graph.nodes[index].parameters[position]
                var name = renames[parameter.name] ?? parameter.name
                if let (call, layer) = calls[graph.nodes[index].name],
                    name.hasPrefix(call + "/")
                {
                    name = layer + name.dropFirst(call.count)
                }
                graph.nodes[index].parameters[position].name = name
                if let file = fileName(of: name) { files[file] = name }
            }
        }
        var renamed = StateDict(metadata: state.metadata, axes: state.axes)
        for (file, tensor) in state.tensors where !used.contains(file) {
            renamed[files[file] ?? file] = tensor
        }
        guard !unneeded.isEmpty else { return (graph, try graph.bound(renamed)) }
        // What the other outputs need has no place here.
        var (weights, report) = graph.binding(renamed)
        report.unexpected = []
        guard report.isClean else { throw NetworkError.binding(report) }
        weights.metadata = renamed.metadata
        return (graph, weights)
    }

    /// The file's name of a parameter.
    private func fileName(of parameter: String) -> String? {
        guard let cut = parameter.lastIndex(of: "/") else { return nil }
        let variable = parameter[parameter.index(after: cut)...]
        let layer = String(parameter[..<cut])
        let spelled =
            spellings[parameter]
            ?? {
                switch variable {
                case "depthwise_kernel": ["depthwise_kernel", "kernel"]
                case "gamma": ["gamma", "variable", "0"]  // A layer scale's weight has no name.
                default: [String(variable)]
                }
            }()
        for alias in aliases[layer] ?? [layer] {
            for variable in spelled where state["\(alias)/\(variable)"] != nil {
                return "\(alias)/\(variable)"
            }
        }
        // Keras writes the names of outer models or not, as it was built: only one may fit.
        let parts = layer.split(separator: "/")
        guard let outer = parts.first, let own = parts.last else { return nil }
        let fitting = state.tensors.keys.filter { name in
            name.hasPrefix("\(outer)/") && spelled.contains { name.hasSuffix("/\(own)/\($0)") }
        }
        return fitting.count == 1 ? fitting[0] : nil
    }

    /// A constant that Keras keeps among the weights of a layer; nil if the file has none.
    mutating func constant(_ variable: String, of call: KerasCall) throws -> [Float]? {
        let candidates =
            [
                call.path, call.layer.name,
                call.path.split(separator: "/").suffix(2).joined(separator: "/"),
            ] + ["normalization"]
        for candidate in candidates {
            guard let tensor = state["\(candidate)/\(variable)"] else { continue }
            used.formUnion(["mean", "variance", "count"].map { "\(candidate)/\($0)" })
            guard tensor.count <= 65536 else { throw call.fail("its `\(variable)` is too large") }
            return try tensor.load().floats
        }
        return nil
    }
}
