// Finding layers by name, with suggestions.

public import GraftNetworks

extension Graph {
    /// The index of the node called `name`.
    ///
    /// - Throws: `NetworkError.noNode` with the names that contain it.
    public func node(named name: String) throws(NetworkError) -> Int {
        if let index = index(of: name) { return index }
        throw .noNode(name, candidates: nodes.map(\.name).filter { $0.contains(name) })
    }
}
