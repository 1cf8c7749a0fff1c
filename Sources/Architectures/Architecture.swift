// One published network: its name, its usual input, and the graph that it becomes.

public import GraftNetworks
public import GraftTensors
import OrderedCollections

/// A network as its publisher has it, ready to become a ``Graph``.
public struct Architecture: Sendable {
    /// `resnet50`, `torchvision/resnet50`, `mobilenet:0.25`.
    public let name: String
    /// The publisher's size of input.
    public let defaultInput: Extent
    let blueprint: any Blueprint
    /// Variants that are published, as tags: `0.25`, `minimalistic`.
    let published: [String]
    let variant: (@Sendable (Variant) -> any Blueprint)?
    /// How another publisher spells the names of the weights.
    let dialect: Dialect?

    /// What a tag asks for: a width multiplier, and words.
    struct Variant {
        var alpha: Float?
        var words: Set<String> = []
    }

    init(
        _ name: String, input: Extent = 224, _ blueprint: any Blueprint, published: [String] = [],
        dialect: Dialect? = nil, variant: (@Sendable (Variant) -> any Blueprint)? = nil
    ) {
        self.name = name
        self.defaultInput = input
        self.blueprint = blueprint
        self.published = published
        self.variant = variant
        self.dialect = dialect
    }

    /// The same network with another publisher's names of weights.
    func spelled(as dialect: Dialect) -> Architecture {
        let tag = name.split(separator: ":").dropFirst().map { ":" + $0 }.joined()
        return Architecture(
            dialect.name + tag, input: defaultInput, blueprint, published: published,
            dialect: dialect, variant: variant)
    }

    /// The table of positions under its own name, and its publisher's rule.
    var positions: Positions? {
        guard var positions = blueprint.positions else { return nil }
        if let dialect {
            positions.name = dialect.spell(positions.name)
            positions.rule = dialect.positions ?? positions.rule
        }
        return positions
    }

    /// What comes before the `/` of its name; empty for Keras'.
    var publisher: Substring { name.lastIndex(of: "/").map { name[..<$0] } ?? "" }

    /// The variant that a tag (`0.25-128-notop`) names; itself if the tag has nothing for it. What
    /// else a tag says (`notop`, a publication) is not looked at here.
    func tagged(_ tag: String) -> Architecture {
        guard let variant else { return self }
        var wanted = Variant()
        var input = defaultInput
        for piece in tag.split(separator: "-").map(String.init) {
            if let size = Int(piece), (32...4096).contains(size) {
                input = Extent(size)
            } else if let value = Float(piece), value >= 0.1, value <= 4 {
                wanted.alpha = value
            } else if published.contains(piece) {
                wanted.words.insert(piece)
            }
        }
        let plain = (wanted.alpha ?? 1) == 1 && wanted.words.isEmpty
        guard !plain || input != defaultInput else { return self }
        return Architecture(plain ? name : "\(name):\(tag)", input: input, variant(wanted))
    }

    /// How the publisher names parameters.
    public var naming: Naming { blueprint.naming }

    /// The network. `top` false leaves off the classifier: the output is then the last map (the
    /// embedding if weights make it), and the features are its mean. `input` is the size that
    /// fully connected layers over maps need; `channels` are those of its images.
    public func graph(
        top: Bool = true, classes: Int = 1000, input: Extent? = nil, channels: Int = 3
    ) throws(NetworkError) -> Graph {
        let shape = Shape([
            1, channels, (input ?? defaultInput).height, (input ?? defaultInput).width,
        ])
        let graph = try plainGraph(top: top, classes: classes, input: shape)
        return dialect?.spelled(graph) ?? graph
    }

    private func plainGraph(top: Bool, classes: Int, input: Shape) throws(NetworkError) -> Graph {
        guard classes > 0 else { throw .invalidGraph("it would have \(classes) classes") }
        var builder = try GraphBuilder(naming: naming, input: input, inputName: "input")
        let map = try blueprint.backbone.apply(to: 0, in: &builder)
        guard top else {
            let features = try blueprint.bareNeck.apply(to: map, in: &builder)
            let weighs = builder.nodes[(map + 1)...].contains { !$0.parameters.isEmpty }
            return builder.graph(
                name: name, output: weighs ? features : map, features: features, logits: nil)
        }
        let features = try blueprint.neck.apply(to: map, in: &builder)
        builder.stage = "head"
        let output = try blueprint.head(classes: classes).apply(
            to: blueprint.headReadsMap ? map : features, in: &builder)
        var logits = output
        if case .softmax = builder.nodes[output].op { logits = builder.nodes[output].inputs[0] }
        return builder.graph(name: name, output: output, features: features, logits: logits)
    }

    /// The state dict under this architecture's own names: other spellings of the same network
    /// (the published EfficientNet-Lite `.pth`) are bridged here, and what only training uses
    /// (auxiliary classifiers) is left out.
    public func renamed(_ state: StateDict) -> StateDict {
        var result = StateDict(metadata: state.metadata, axes: state.axes)
        for (name, tensor) in state.tensors {
            if let own = blueprint.renamed(name) { result[own] = tensor }
        }
        if let dialect { return dialect.gathered(result) }
        let base = name.split(separator: ":").first.map(String.init)
        for other in Dialect.all where other.base == base {
            // transformers' bare model (`ResNetModel`) leaves its own name off.
            let own = other.marker.prefix { $0 != "." } + "."
            let bare = other.marker.dropFirst(own.count)
            let isBare = !state.tensors.keys.contains { $0.hasPrefix(other.marker) }
            guard
                !isBare
                    || bare.hasSuffix(".")
                        && state.tensors.keys.contains(where: { $0.hasPrefix(bare) })
            else { continue }
            var names = other.names(of: self)
            if isBare {
                names = Dictionary(
                    names.map { ($0.hasPrefix(own) ? String($0.dropFirst(own.count)) : $0, $1) },
                    uniquingKeysWith: { first, _ in first })
            }
            result.tensors = [:]
            for (name, tensor) in other.gathered(state).tensors {
                result[names[name] ?? name] = tensor
            }
        }
        return result
    }

    /// This architecture as the weights of `state` have it.
    func adapted(to state: StateDict) -> Architecture {
        Architecture(
            name, input: defaultInput, blueprint.adapted(to: state), published: published,
            dialect: dialect, variant: variant)
    }
}

/// What a paper says, one computed property per part.
protocol Blueprint: Sendable {
    /// How parameters are named.
    var naming: Naming { get }
    /// From the image to the last map.
    @LayerBuilder var backbone: [any Layer] { get }
    /// From the last map to the embedding.
    @LayerBuilder var neck: [any Layer] { get }
    /// From the last map to the embedding where the classifier is left off.
    @LayerBuilder var bareNeck: [any Layer] { get }
    /// From the embedding to the output.
    @LayerBuilder func head(classes: Int) -> [any Layer]
    /// Whether the head reads the last map and not the embedding (SqueezeNet).
    var headReadsMap: Bool { get }
    /// This network's name of a tensor that some publisher's file calls `name`; nil for what only
    /// training uses.
    func renamed(_ name: String) -> String?
    /// The shape in which the publisher's files have the tensor `name`, where it is not the
    /// graph's: a linear layer over each pixel is a 1 × 1 convolution here.
    func publishedShape(_ shape: Shape, of name: String) -> Shape
    /// The version that the publisher's PyTorch module wants its state dict to say.
    var torchVersion: Int? { get }
    /// Which of Keras' layers the node `name` is, where another than usual computes the same.
    func kerasKind(of name: String) -> KerasKind?
    /// The model that Keras nests the layer `name` in.
    func kerasModel(of name: String) -> String?
    /// The network whose weights `state` is, where numbers and not names tell.
    func adapted(to state: StateDict) -> any Blueprint
    /// The table of positions, where there is one: it has rows for one size of image.
    var positions: Positions? { get }
    /// The filters of the convolution that reads the image, their height and their width; nil if they do not set
    /// the network apart from those of other files.
    var firstKernel: [Int]? { get }
    /// The numbers that follow from the size of the image and that files do not hold, by name.
    func constants(at input: Extent) -> [String: LazyTensor]
}

extension Blueprint {
    var bareNeck: [any Layer] { [GlobalAveragePool("features")] }
    var headReadsMap: Bool { false }
    func renamed(_ name: String) -> String? { name }
    func publishedShape(_ shape: Shape, of name: String) -> Shape { shape }
    var torchVersion: Int? { nil }
    func kerasKind(of name: String) -> KerasKind? { nil }
    func kerasModel(of name: String) -> String? { nil }
    func adapted(to state: StateDict) -> any Blueprint { self }
    var positions: Positions? { nil }
    var firstKernel: [Int]? { nil }
    func constants(at input: Extent) -> [String: LazyTensor] { [:] }
}

/// `channels` times `multiplier`, as a multiple of 8 and not below 90 % (the MobileNets'
/// `make_divisible`).
func divisible(_ channels: Float, by divisor: Int = 8) -> Int {
    let rounded = max(divisor, Int(channels + Float(divisor) / 2) / divisor * divisor)
    return Float(rounded) < 0.9 * channels ? rounded + divisor : rounded
}
