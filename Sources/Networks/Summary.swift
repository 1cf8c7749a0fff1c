// Keras' table of a network: layers, output shapes, parameters, connections.

public import GraftTensors

/// What `graft summary` prints of a graph at one size of input.
public struct Summary: Sendable, Codable {
    /// The network's name.
    public var name: String
    /// The input's shape (N, C, H, W).
    public var input: Shape
    /// The shape of the output.
    public var output: Shape
    /// The width of the embedding that a head reads.
    public var features: Shape
    /// All weights, buffers included.
    public var total: Int
    /// Weights that a gradient reaches.
    public var trainable: Int
    /// Buffers: running means and variances.
    public var nonTrainable: Int
    /// Layers that have weights: Keras' "depth".
    public var depth: Int
    /// The stages in order, as `--unfreeze` counts them.
    public var stages: [String]
    /// One entry per node.
    public var layers: [Row]
    /// All weights in the network's order, with logical shapes.
    public var weights: [Weight]

    /// One layer.
    public struct Row: Sendable, Codable {
        /// The publisher's name.
        public var name: String
        /// The operation.
        public var type: String
        /// The shape of its value.
        public var output: Shape
        /// The number of its weights.
        public var parameters: Int
        /// The layers that it reads.
        public var inputs: [String]
        /// The part of the network that it belongs to.
        public var stage: String
    }

    /// One weight.
    public struct Weight: Sendable, Codable {
        /// The publisher's name.
        public var name: String
        /// The logical shape: OIHW, (out, in), (C).
        public var shape: Shape
        /// Whether a gradient reaches it.
        public var trainable: Bool
    }

    /// The summary of `graph` for an input of this shape.
    public init(_ graph: Graph, input: Shape) throws(NetworkError) {
        let shapes = try graph.shapes(input: input)
        name = graph.name
        self.input = input
        output = shapes[graph.output]
        features = shapes[graph.features]
        depth = graph.depth
        stages = graph.stages
        let parameters = graph.parameters
        total = graph.parameterCount
        nonTrainable = parameters.filter(\.isBuffer).reduce(0) { $0 + $1.shape.count }
        trainable = total - nonTrainable
        weights = parameters.map {
            Weight(name: $0.name, shape: $0.shape, trainable: !$0.isBuffer)
        }
        layers = zip(graph.nodes, shapes).map { node, shape in
            Row(
                name: node.name, type: node.op.kind, output: shape,
                parameters: node.parameters.reduce(0) { $0 + $1.shape.count },
                inputs: node.inputs.map { graph.nodes[$0].name }, stage: node.stage)
        }
    }
}
