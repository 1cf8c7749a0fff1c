// A graph as JSON, and back from a stranger's JSON.

import FoundationEssentials
public import GraftTensors

extension Graph {
    /// The key of a model's metadata that holds its graph.
    public static let metadataKey = "graft.graph"

    /// Compact JSON with sorted keys: equal graphs give equal text.
    public func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }

    /// Reads and checks a graph that a stranger may have written: at most 100 000 nodes with
    /// unique names, sound indices, shapes and weights. `input` is a size that the model claims to
    /// take; without one, it must accept some usual size.
    public static func decode(json: String, input: Shape? = nil) throws(NetworkError) -> Graph {
        let graph: Graph
        do {
            graph = try JSONDecoder().decode(Graph.self, from: Data(json.utf8))
        } catch let error as NetworkError {
            throw error
        } catch let error as DecodingError {
            throw .invalidGraph("its JSON does not describe a graph (\(error.place))")
        } catch {
            throw .invalidGraph("it is not JSON")
        }
        try graph.validate(input: input)
        return graph
    }

    /// Throws unless the graph is sound.
    public func validate(input: Shape? = nil) throws(NetworkError) {
        guard !nodes.isEmpty, nodes.count <= 100_000 else {
            throw .invalidGraph("it has \(nodes.count) layers, expected 1 to 100000")
        }
        var names: Set<String> = []
        for node in nodes where !names.insert(node.name).inserted {
            throw .invalidGraph("two layers are called `\(node.name)`")
        }
        // Several nodes may read one weight; running statistics are one node's own.
        var weights: [String: Parameter] = [:]
        for parameter in nodes.flatMap(\.parameters) {
            let other = weights.updateValue(parameter, forKey: parameter.name)
            guard other == nil || (other == parameter && !parameter.isBuffer) else {
                throw .invalidGraph("two weights are called `\(parameter.name)`")
            }
        }
        if let input, takesImages {
            _ = try shapes(input: input)
        } else {
            _ = try shapesAtSomeSize()
        }
        var total = 0
        for parameter in parameters {
            guard let count = parameter.shape.checkedCount, count <= 1 << 40 - total else {
                throw .invalidGraph("its weights are too many")
            }
            total += count
        }
    }
}

extension DecodingError {
    fileprivate var place: String {
        let context: Context
        switch self {
        case .typeMismatch(_, let it), .valueNotFound(_, let it), .keyNotFound(_, let it),
            .dataCorrupted(let it):
            context = it
        @unknown default: return "unreadable"
        }
        let path = context.codingPath.map { $0.intValue.map(String.init) ?? $0.stringValue }
        return path.isEmpty ? "not JSON of the right form" : "at `\(path.joined(separator: "."))`"
    }
}
