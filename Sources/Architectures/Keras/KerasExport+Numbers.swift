// Keras files that number the layers of each class in place of naming them.

import GraftNetworks
import GraftTensors
import OrderedCollections

extension KerasExport {
    /// The layers of a network by their numbers: `conv2d_1` is the second `Conv2D` of `model.layers`,
    /// whatever the network calls it; in a nested model `sequential/conv2d`. This is how tf_keras
    /// writes `.weights.h5`.
    static func numberedLayers(of graph: Graph, input: Extent) throws -> [String: String] {
        var weights = StateDict()
        for parameter in graph.parameters {
            let shape = parameter.shape
            // An export reads no numbers before it is written.
            weights[parameter.name] = LazyTensor(.f32, shape) {
                Tensor([Float](repeating: 0, count: shape.count), shape: shape)
            }
        }
        var result: [String: String] = [:]
        func number(_ layers: [Layer], under prefix: String) {
            var counts: [String: Int] = [:]
            for layer in layers {
                let count = counts[layer.className, default: 0]
                counts[layer.className] = count + 1
                let name = prefix + layer.className + (count == 0 ? "" : "_\(count)")
                result[name] = layer.name
                number(layer.inner, under: name + "/")
            }
        }
        number(try KerasExport(graph, weights: weights, input: input).layers, under: "")
        return result
    }
}
