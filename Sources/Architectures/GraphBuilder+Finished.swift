// Finding the head of a network that somebody else described.

import GraftNetworks
import GraftTensors

extension GraphBuilder {
    /// The graph that ends in `output`, with its classifier found: a softmax or not, then the
    /// linear layer that makes the scores; its input is the embedding. Without one, the embedding is
    /// the output, or its mean over the map.
    func finished(name: String, output: Int) throws -> Graph {
        var builder = self
        var logits = output
        if case .softmax = nodes[output].op { logits = nodes[output].inputs[0] }
        var score = logits
        search: while score != 0 {
            switch nodes[score].op {
            case .flatten, .reshape, .dropout: score = nodes[score].inputs[0]
            case .activation where score == logits: score = nodes[score].inputs[0]
            default: break search
            }
        }
        guard case .linear = nodes[score].op, shapes[logits].rank == 2 else {
            var features = output
            if shapes[output].rank == 4 {
                builder.stage = ""
                // A file that graft exported has a layer of this name already.
                features = try builder.add(
                    .globalAveragePool(keepsDimensions: false), name: "features#",
                    inputs: [output])
            }
            return builder.graph(name: name, output: output, features: features, logits: nil)
        }
        var features = nodes[score].inputs[0]
        while case .dropout = nodes[features].op { features = nodes[features].inputs[0] }
        var graph = builder.graph(name: name, output: output, features: features, logits: logits)
        for index in graph.nodes.indices where index >= score { graph.nodes[index].stage = "head" }
        return graph
    }
}
