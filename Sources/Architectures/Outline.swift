// What of an architecture is looked for in a file that may hold more: its backbone's names and shapes.

import GraftNetworks
import GraftTensors
import OrderedCollections

/// The parts of an architecture's names and shapes that tell it from others.
struct Outline: Sendable {
    let architecture: Architecture
    /// The network without its classifier.
    let backbone: Graph
    /// The names of the classifier's parameters.
    let head: Set<String>
    /// What those names begin with.
    let headParts: Set<String>
    /// What the names of the backbone's parameters begin with, in their order.
    let parts: [String]
    /// The extents of its kernels, each sorted and without ones: a file without one of them holds
    /// another network.
    private let kernels: Set<[Int]>

    init?(_ architecture: Architecture, input: Extent? = nil) {
        guard let full = try? architecture.graph(input: input),
            let backbone = try? architecture.graph(top: false, input: input)
        else { return nil }
        self.architecture = architecture
        self.backbone = backbone
        let own = Set(backbone.parameters.map(\.name))
        head = Set(full.parameters.map(\.name)).subtracting(own)
        headParts = Set(head.map(CheckpointNames.first))
        var parts: [String] = []
        for name in backbone.parameters.map(\.name) {
            let part = CheckpointNames.first(name)
            if parts.last != part, !parts.contains(part) { parts.append(part) }
        }
        self.parts = parts
        // The first reads the image, which may have any number of channels.
        kernels = Set(
            backbone.parameters.filter { $0.shape.rank == 4 }.dropFirst()
                .map { Self.extents($0.shape) })
    }

    /// The network without its classifier, for images of this number of channels.
    func backbone(channels: Int, input: Extent?) -> Graph {
        guard channels != 3 else { return backbone }
        return (try? architecture.graph(top: false, input: input, channels: channels)) ?? backbone
    }

    /// The published architectures and variants that `state` may hold, by the kernels that read images.
    static func candidates(for state: StateDict) -> [Outline] {
        let kernels = state.kernels
        return Architectures.variants.compactMap { architecture in
            guard architecture.blueprint.firstKernel != nil else { return all[architecture.name] }
            return architecture.mayRead(kernels) ? Outline(architecture) : nil
        }
    }

    /// Those without a first kernel of their own, by name, made when a file first needs them.
    private static let all: [String: Outline] = Dictionary(
        Architectures.variants.filter {
            !$0.name.hasPrefix("graft/") && $0.blueprint.firstKernel == nil
        }.compactMap { architecture in Outline(architecture).map { (architecture.name, $0) } },
        uniquingKeysWith: { first, _ in first })
    /// Fewer tensors than these are no published backbone.
    static let fewest = 16

    /// The extents of a shape in a form that the order of axes does not change.
    static func extents(_ shape: Shape) -> [Int] {
        shape.dimensions.filter { $0 != 1 }.sorted()
    }

    /// Whether a file with tensors of these extents can hold the backbone.
    func mayBe(among extents: Set<[Int]>) -> Bool { kernels.isSubset(of: extents) }

    /// Names that number the network's children, as `Sequential(*model.children())` does, or the
    /// layers of each class, as tf_keras does, under the network's own; nil where they cannot be that.
    func unnumbered(_ state: StateDict) -> StateDict? {
        guard architecture.naming == .torch else { return unnumberedLayers(state) }
        var numbers: Set<Int> = []
        for name in state.tensors.keys {
            guard let number = Int(CheckpointNames.first(name)) else { return nil }
            numbers.insert(number)
        }
        let order = numbers.sorted()
        var result = StateDict(metadata: state.metadata, axes: state.axes)
        // `model.features` by itself: the name of the only part is left off.
        if parts.count == 1, let part = parts.first, order.count > 1 {
            for (name, tensor) in state.tensors { result["\(part).\(name)"] = tensor }
            return result
        }
        guard order.count >= parts.count else { return nil }
        let own = Dictionary(uniqueKeysWithValues: zip(order, parts))
        for (name, tensor) in state.tensors {
            let first = CheckpointNames.first(name)
            let part = Int(first).flatMap { own[$0] } ?? first
            result[part + name.dropFirst(first.count)] = tensor
        }
        return result
    }

    /// `conv2d_1/kernel` under the network's name of its second `Conv2D`.
    private func unnumberedLayers(_ state: StateDict) -> StateDict? {
        func layer(_ name: String) -> String { String(CheckpointNames.layer(name)) }
        // Some network's own names are numbers; most files are told by their first name.
        guard state.axes == .keras, let first = state.tensors.keys.first,
            Self.classes.contains(where: layer(first).hasPrefix),
            let graph = try? architecture.graph(),
            let own = try? KerasExport.numberedLayers(of: graph, input: architecture.defaultInput)
        else { return nil }
        var result = StateDict(metadata: state.metadata, axes: state.axes)
        for (name, tensor) in state.tensors {
            let number = layer(name)
            result[(own[number] ?? number) + name.dropFirst(number.count)] = tensor
        }
        // Renamed ones must not meet the names of others.
        return result.count == state.count ? result : nil
    }

    /// The beginnings of numbered names: classes of layers, and of models that hold some.
    private static let classes = [
        "conv2d", "depthwise_conv2d", "separable_conv2d", "batch_normalization", "dense",
        "normalization", "layer_normalization", "sequential",
    ]
}

extension Graph {
    /// The channels of the images that the first kernel in `state` reads: 3 unless it was made for others.
    func imageChannels(in state: StateDict) -> Int {
        guard let stem = parameters.first(where: { $0.shape.rank == 4 }), stem.shape[1] == 3,
            let shape = state.own(stem.name)?.shape, shape.rank == 4
        else { return 3 }
        let count = shape[state.axes == .keras ? 2 : 1]
        return 1...4096 ~= count ? count : 3
    }
}

extension Architecture {
    /// Whether a file with these kernels may hold the network: what costs less to ask than a graph.
    func mayRead(_ kernels: Set<[Int]>) -> Bool {
        blueprint.firstKernel.map(kernels.contains) ?? true
    }
}

extension StateDict {
    /// Filters, height and width of what may be convolutions, in PyTorch's order of axes.
    var kernels: Set<[Int]> {
        Set(
            tensors.values.filter { $0.shape.rank == 4 }.map {
                [$0.shape[0], $0.shape[2], $0.shape[3]]
            })
    }
}
