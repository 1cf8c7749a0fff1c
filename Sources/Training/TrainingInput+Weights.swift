// Weights that are no numbers are refused before anything is learned from them.

import GraftNetworks
import GraftTensors

extension TrainingInput {
    /// Looks at all numbers of the backbone. A loss that is none would not tell: ReLU makes zeros of
    /// them, and what learns goes on without a part of the network.
    ///
    /// - Throws: ``TrainingError/brokenWeights(_:found:of:others:origin:)``.
    func requireFiniteWeights() throws {
        var first: (name: String, found: Int, count: Int)?
        var others = 0
        for parameter in graph.nodes[...graph.features].flatMap(\.parameters) {
            guard let tensor = try weights[parameter.name]?.load() else { continue }
            let found = tensor.nonFiniteCount
            guard found > 0 else { continue }
            if first == nil {
                first = (parameter.name, found, tensor.count)
            } else {
                others += 1
            }
        }
        guard let first else { return }
        throw TrainingError.brokenWeights(
            first.name, found: first.found, of: first.count, others: others, origin: origin)
    }
}
