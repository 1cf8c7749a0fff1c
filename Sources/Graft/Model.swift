// The native model: weights, graph, input, labels and source in one safetensors file.

public import GraftExecution
public import GraftImages
public import GraftNetworks
public import GraftTensors
public import GraftTraining

/// A network with its numbers and all that is needed to use it.
///
/// On disk it is a safetensors file whose `__metadata__` holds the rest as JSON strings under
/// `graft.graph`, `graft.input`, `graft.labels`, `graft.source` and others; any safetensors reader opens it.
public struct Model: Sendable {
    /// The network.
    public var graph: Graph { didSet { file = nil } }
    /// Its weights by the graph's names, in logical order (OIHW).
    public var weights: StateDict { didSet { (file, ranges) = (nil, [:]) } }
    /// The one file that all weights are in, as it is; nil once they are others.
    public internal(set) var file: String?
    /// How a photo becomes the network's input.
    public var preprocessing: Preprocessing
    /// The names of the classes, in the order of the logits; empty if it does not classify.
    public var labels: [String]
    /// Where the weights came from.
    public var source: Source
    /// Between which numbers the values of the network lie, by their nodes' names; known once
    /// ``quantize(photos:progress:)`` has looked, and what `Precision.int8` needs.
    public internal(set) var ranges: [String: ValueRange] = [:]
    /// How its plans are made; not a part of the file.
    public var execution = ExecutionOptions()
    /// What the network answers.
    public var task = LearningTask.ofShares
    /// What is applied to the network's last values to answer; nil: what its last layer and the task
    /// say. Never applied to what the last layer has made probabilities already.
    public var activation: OutputActivation?
    /// What was assumed, or read beside the weights, when the model was opened; not a part of the
    /// file.
    public var notes: [String] = []
    /// With many labels: the share from which each is said to hold.
    public var thresholds: [Float] = []
    /// The photos to ask, where they are the head; the graph ends in features then.
    public var neighbours: Neighbours?
    /// The run that trained it, if one did.
    public internal(set) var training: TrainingOrigin?

    /// Where weights came from.
    public struct Source: Sendable, Hashable, Codable {
        /// What was asked for: a registry name, a URL or a path's last part.
        public var reference: String
        /// SHA-256 of the file that the weights were read from, in hexadecimal.
        public var sha256: String
        /// The licence that the publisher states, if one is known.
        public var licence: String?

        /// A source.
        public init(reference: String, sha256: String, licence: String? = nil) {
            self.reference = reference
            self.sha256 = sha256
            self.licence = licence
        }
    }

    /// A model of parts that fit: `weights` must be bound to `graph`.
    public init(
        graph: Graph, weights: StateDict, preprocessing: Preprocessing, labels: [String],
        source: Source
    ) {
        self.graph = graph
        self.weights = weights
        self.preprocessing = preprocessing
        self.labels = labels
        self.source = source
    }

    /// The shape of a batch of `count` photos as the model expects them: (N, C, H, W).
    public func input(count: Int = 1) -> Shape {
        [count, graph.inputChannels, preprocessing.height, preprocessing.width]
    }

    /// The node of the vector that stands for a photo: of a model that learned one, its output; of
    /// others, what the head reads.
    public var embedding: Int { task.traits.isVector ? graph.output : graph.features }

    /// The number of classes, if the network classifies; 2 of a binary classifier with two labels.
    public var classes: Int? {
        if labels.count == 2, isBinary { return 2 }
        return graph.classes ?? (labels.isEmpty ? nil : labels.count)
    }
}
