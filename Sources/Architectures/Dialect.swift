// The names that transformers gives to the weights of networks which others publish too.

import GraftNetworks
public import GraftTensors
import OrderedCollections

/// Another spelling of the weights of a built-in network.
struct Dialect: Sendable {
    /// `transformers/resnet50`.
    let name: String
    /// The architecture whose network it is, without a tag.
    let base: String
    /// A beginning of names that no other file has.
    let marker: String
    /// This spelling of one of the base's names.
    let spell: @Sendable (String) -> String
    /// The weights that files have in parts.
    var joins: [Join] = []
    /// The beginnings of names of tensors outside the network.
    var unused: [String] = []
    /// Its rule for position tables at other sizes, if not that of the base's publisher.
    var positions: Positions.Rule?

    /// A weight of the network whose rows are those of several tensors of a file.
    struct Join: Sendable {
        /// The part of the name that says what it is.
        let whole: String
        /// The same part in the names of the parts, in the order of their rows.
        let parts: [String]
    }

    static let all: [Dialect] =
        visionTransformers
        + ["18", "34", "50", "101", "152"].map {
            Dialect(
                name: "transformers/resnet\($0)", base: "torchvision/resnet\($0)",
                marker: "resnet.embedder.", spell: resNet)
        } + [
            Dialect(
                name: "transformers/mobilenet_v1", base: "mobilenet",
                marker: "mobilenet_v1.conv_stem.", spell: mobileNet),
            Dialect(
                name: "transformers/mobilenet_v2", base: "mobilenetv2",
                marker: "mobilenet_v2.conv_stem.", spell: mobileNetV2),
        ]

    /// The base's names by this dialect's, for the weights of `architecture`.
    func names(of architecture: Architecture) -> [String: String] {
        guard let graph = try? architecture.graph() else { return [:] }
        return Dictionary(
            graph.parameters.map { (spell($0.name), $0.name) },
            uniquingKeysWith: { first, _ in first }
        )
    }

    /// The network with its weights called as this dialect calls them.
    func spelled(_ graph: Graph) -> Graph {
        let parameters = graph.nodes.map { node in
            node.parameters.map {
                Parameter(name: spell($0.name), shape: $0.shape, role: $0.role)
            }
        }
        var nodes = graph.nodes
        for index in nodes.indices { nodes[index].parameters = parameters[index] }
        return Graph(
            name: graph.name, nodes: nodes, output: graph.output, features: graph.features,
            logits: graph.logits, naming: .torch)
    }

    /// The tensors of a file with those joined that are parts of one weight, without those that are unused.
    func gathered(_ state: StateDict) -> StateDict {
        guard !joins.isEmpty || !unused.isEmpty else { return state }
        var result = StateDict(metadata: state.metadata, axes: state.axes)
        result.remarks = state.remarks
        for (name, tensor) in state.tensors {
            if unused.contains(where: name.hasPrefix) { continue }
            guard let (join, place) = place(of: name) else {
                result[name] = tensor
                continue
            }
            guard place == 0 else { continue }
            let parts = join.parts.compactMap { state[name.replacing(join.parts[0], with: $0)] }
            if parts.count == join.parts.count, let whole = LazyTensor(rowsOf: parts) {
                result[name.replacing(join.parts[0], with: join.whole)] = whole
            } else {
                result[name] = tensor
            }
        }
        return result
    }

    /// The weights of the network as files have them: those in parts that are joined there.
    func scattered(_ weights: StateDict) -> StateDict {
        var result = StateDict(metadata: weights.metadata, axes: weights.axes)
        result.remarks = weights.remarks
        for (name, tensor) in weights.tensors {
            guard let join = joins.first(where: { name.contains($0.whole) }),
                tensor.shape.rank > 0, tensor.shape[0] % join.parts.count == 0
            else {
                result[name] = tensor
                continue
            }
            let rows = tensor.shape[0] / join.parts.count
            for (place, part) in join.parts.enumerated() {
                result[name.replacing(join.whole, with: part)] = tensor.rows(
                    place * rows..<(place + 1) * rows)
            }
        }
        return result
    }

    private func place(of name: String) -> (Join, Int)? {
        for join in joins {
            if let place = join.parts.firstIndex(where: name.contains) { return (join, place) }
        }
        return nil
    }

    private static func resNet(_ name: String) -> String {
        let parts = name.split(separator: ".").map(String.init)
        guard let last = parts.last else { return name }
        func kind(_ layer: String) -> String {
            layer.hasPrefix("bn") || layer == "1" ? "normalization" : "convolution"
        }
        switch parts.count {
        case 2 where parts[0] == "fc": return "classifier.1.\(last)"
        case 2: return "resnet.embedder.embedder.\(kind(parts[0])).\(last)"
        default:
            guard let stage = Int(parts[0].dropFirst(5)), parts.count >= 4 else { return name }
            let block = "resnet.encoder.stages.\(stage - 1).layers.\(parts[1])"
            if parts[2] == "downsample" { return "\(block).shortcut.\(kind(parts[3])).\(last)" }
            let number = (Int(parts[2].suffix(1)) ?? 1) - 1
            return "\(block).layer.\(number).\(kind(parts[2])).\(last)"
        }
    }

    private static func variable(_ name: String) -> String {
        let spelled = [
            "beta": "bias", "bias": "bias", "moving_mean": "running_mean",
            "moving_variance": "running_var",
        ]
        return spelled[name] ?? "weight"
    }

    /// `conv_dw_1` and `conv_pw_1` are layers 0 and 1.
    private static func mobileNet(_ name: String) -> String {
        let parts = name.split(separator: "/").map(String.init)
        guard parts.count == 2 else { return name }
        let last = variable(parts[1])
        if parts[0] == "conv_preds" { return "classifier.\(last)" }
        let isNorm = parts[0].hasSuffix("_bn")
        let layer = isNorm ? String(parts[0].dropLast(3)) : parts[0]
        let kind = isNorm ? "normalization" : "convolution"
        guard layer != "conv1" else { return "mobilenet_v1.conv_stem.\(kind).\(last)" }
        guard let number = Int(layer.dropFirst("conv_dw_".count)) else { return name }
        let index = 2 * (number - 1) + (layer.hasPrefix("conv_pw") ? 1 : 0)
        return "mobilenet_v1.layer.\(index).\(kind).\(last)"
    }

    private static func mobileNetV2(_ name: String) -> String {
        let parts = name.split(separator: "/").map(String.init)
        guard parts.count == 2 else { return name }
        let last = variable(parts[1])
        let fixed = [
            "Conv1": "conv_stem.first_conv.convolution",
            "bn_Conv1": "conv_stem.first_conv.normalization",
            "Conv_1": "conv_1x1.convolution", "Conv_1_bn": "conv_1x1.normalization",
        ]
        if parts[0] == "predictions" { return "classifier.\(last)" }
        if let layer = fixed[parts[0]] { return "mobilenet_v2.\(layer).\(last)" }
        let isNorm = parts[0].hasSuffix("_BN")
        let words = (isNorm ? String(parts[0].dropLast(3)) : parts[0]).split(separator: "_")
        let roles = ["expand": "expand_1x1", "depthwise": "conv_3x3", "project": "reduce_1x1"]
        guard words.count >= 3, let role = words.last.flatMap({ roles[String($0)] }) else {
            return name
        }
        let place = Int(words[1]).map { "layer.\($0 - 1)" } ?? "conv_stem"
        return "mobilenet_v2.\(place).\(role).\(isNorm ? "normalization" : "convolution").\(last)"
    }
}

extension Architectures {
    /// The version of its own code that the publisher's PyTorch module asks weights for.
    public static func torchVersion(of name: String) -> Int? {
        (try? named(name))?.blueprint.torchVersion
    }

    /// Weights in the shapes in which the publisher of the architecture called `name` has them.
    public static func published(_ weights: StateDict, of name: String) -> StateDict {
        var result = weights
        let architecture = try? named(name)
        if let dialect = architecture?.dialect { result = dialect.scattered(weights) }
        if let blueprint = architecture?.blueprint {
            result.tensors.removeAll { blueprint.renamed($0.key) == nil }
            for (name, tensor) in weights.tensors {
                let shape = blueprint.publishedShape(tensor.shape, of: name)
                if shape != tensor.shape { result[name] = tensor.reshaped(shape) }
            }
        }
        // transformers' MobileNet ends in a linear layer, Keras' in a convolution of 1 × 1.
        if name.hasPrefix("transformers/"), let last = weights["classifier.weight"],
            last.shape.rank == 4
        {
            result["classifier.weight"] = last.reshaped([last.shape[0], last.shape[1]])
        }
        return result
    }
}
