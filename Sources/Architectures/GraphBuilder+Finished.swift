// Finding the head of a network that somebody else described.

import GraftNetworks
import GraftTensors

extension GraphBuilder {
    /// The graph that ends in `output`, with its classifier found: an activation or not, then the
    /// linear layer that makes the scores; its input is the embedding. Without one, the embedding is
    /// the output, or its mean over the map.
    func finished(name: String, output: Int) throws -> Graph {
        var builder = self
        // What follows the scores: a softmax or an activation, under reshaping.
        var end = output
        reshaped: while end != 0 {
            switch nodes[end].op {
            case .flatten, .reshape, .dropout: end = nodes[end].inputs[0]
            default: break reshaped
            }
        }
        var logits = output
        switch nodes[end].op {
        case .softmax, .activation: logits = nodes[end].inputs[0]
        default: break
        }
        var score = logits
        var isAveraged = false
        search: while score != 0 {
            switch nodes[score].op {
            case .flatten, .reshape, .dropout: score = nodes[score].inputs[0]
            case .batchNorm where logits != output, .affine where logits != output:
                score = nodes[score].inputs[0]
            case .globalAveragePool where logits != output:
                isAveraged = true
                score = nodes[score].inputs[0]
            default: break search
            }
        }
        if case .conv2d = nodes[score].op, logits != output, shapes[output].rank == 2,
            isAveraged || shapes[score].dimensions.suffix(2) == [1, 1]
        {
            return try builder.finishedByConvolution(
                name: name, output: output, logits: logits, score: score)
        }
        guard case .linear = nodes[score].op, shapes[logits].rank == 2 else {
            var features = output
            if shapes[output].rank == 4, case .input(let input)? = nodes.first?.op,
                input.channels > 0
            {
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

    /// The graph of a network whose classifier is a convolution, pooled or of one place: what it
    /// reads, pooled, is the embedding.
    private mutating func finishedByConvolution(
        name: String, output: Int, logits: Int, score: Int
    ) throws -> Graph {
        var source = nodes[score].inputs[0]
        while case .dropout = nodes[source].op { source = nodes[source].inputs[0] }
        stage = ""
        let features = try add(
            .globalAveragePool(keepsDimensions: false), name: "features#", inputs: [source])
        var graph = graph(name: name, output: output, features: features, logits: logits)
        for index in score..<features { graph.nodes[index].stage = "head" }
        return graph
    }
}
