// Finding layers by name, with suggestions, and weights for the same network of another publisher.

internal import GraftArchitectures
public import GraftNetworks
public import GraftTensors

extension Graph {
    /// The index of the node called `name`.
    ///
    /// - Throws: `NetworkError.noNode` with the names that contain it.
    public func node(named name: String) throws(NetworkError) -> Int {
        if let index = index(of: name) { return index }
        throw .noNode(name, candidates: nodes.map(\.name).filter { $0.contains(name) })
    }
}

extension Model {
    /// The weights under the names and in the shapes of another publisher's model of this network.
    ///
    /// - Throws: `ArchitectureError.variant` that says what the other does otherwise.
    public func weights(as other: Model) throws -> StateDict {
        guard graph.parameters != other.graph.parameters else { return weights }
        return try Translation.weights(weights, of: graph, for: other.graph)
    }
}
