// Graph -> Keras: the layers, configuration and weights that `keras.models.load_model` expects.

import FoundationEssentials
public import GraftNetworks
public import GraftTensors
import OrderedCollections

/// A network as Keras 3 writes it down.
public struct KerasExport: Sendable {
    /// A layer of `model.layers`, in that order.
    public struct Layer: Sendable {
        /// The layer's name.
        public let name: String
        /// Its class in snake case: `conv2d`.
        public let className: String
        /// Its variables in Keras' order, with Keras' axes.
        public let weights: [(variable: String, tensor: LazyTensor)]
        /// The layers of a nested model.
        public let inner: [Layer]

        init(_ node: KerasNode) {
            name = node.name
            className = KerasExport.snake(node.kind)
            weights = node.weights
            inner = node.inner.map { Layer($0) }
        }
    }

    /// The JSON of the whole model.
    public let config: String
    /// All layers, those without weights too.
    public let layers: [Layer]

    /// Writes `graph` and its bound `weights` for images of height and width `input`.
    public init(_ graph: Graph, weights: StateDict, input: Extent) throws {
        var model = try KerasModel(graph, weights: weights, input: input)
        for index in graph.nodes.indices { try model.add(index) }
        model.nest()
        let order = Graph.kerasOrder(model.layers.map(\.inputs), output: model.place[graph.output])
        let layers = order.map { model.layers[$0] }
        config = try model.config(layers).text()
        self.layers = layers.map { Layer($0) }
    }

    /// `BatchNormalization` is `batch_normalization`, `Conv2D` is `conv2d`.
    static func snake(_ name: String) -> String {
        let scalars = Array(name)
        var result = ""
        for (index, character) in scalars.enumerated() {
            let previous = index > 0 ? scalars[index - 1] : " "
            let next = index + 1 < scalars.count ? scalars[index + 1] : " "
            // Keras: a capital before a small letter, or after a small letter or a digit… but not
            // the D of `2D`.
            if character.isUppercase, index > 0,
                next.isLowercase || (previous.isLowercase && !previous.isNumber)
            {
                result += "_"
            }
            result += character.lowercased()
        }
        return result
    }
}
