// Class activation maps: where a network with a linear head on a global mean looked.

import GraftNetworks
import GraftTensors

/// CAM (Zhou et al. 2016, arXiv:1512.04150), which for a linear head on a global mean is Grad-CAM
/// up to a factor, and needs no backward pass: Σ_k W[c, k] · A_k.
struct ActivationMap {
    let rows: Int
    let columns: Int
    private let run: (Tensor) throws -> Tensor
    private let matrix: [Float]
    private let channels: Int

    /// Nil for a network whose classes are no linear layer on a global mean.
    init?(_ graph: Graph, weights: StateDict, input: Shape, engine: any TrainingEngine) throws {
        guard let logits = graph.logits, case .linear = graph.nodes[logits].op,
            let kernel = graph.nodes[logits].parameters.first
        else { return nil }
        var node = graph.nodes[logits].inputs[0]
        while true {
            switch graph.nodes[node].op {
            case .dropout, .flatten, .dropPath: node = graph.nodes[node].inputs[0]
            case .globalAveragePool:
                let map = graph.nodes[node].inputs[0]
                guard let halves = try? graph.split(at: map),
                    let shape = try? halves.prefix.shapes(input: input)[map], shape.rank == 4,
                    let loaded = try weights[kernel.name]?.load(), loaded.shape[1] == shape[1]
                else { return nil }
                (rows, columns, channels) = (shape[2], shape[3], shape[1])
                matrix = loaded.floats
                run = try engine.frozen(halves.prefix, weights: weights, input: input)
                return
            default: return nil
            }
        }
    }

    /// Where `label` is seen in one input, 0…1; zeros if nowhere.
    func map(_ input: Tensor, label: Int) throws -> [Float] {
        let values = try run(input).floats
        let area = rows * columns
        var result = [Float](repeating: 0, count: area)
        for channel in 0..<channels {
            let weight = matrix[label * channels + channel]
            for at in 0..<area { result[at] += weight * values[channel * area + at] }
        }
        let highest = result.max() ?? 0
        return result.map { highest > 0 ? max($0, 0) / highest : 0 }
    }
}
