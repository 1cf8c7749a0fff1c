// A Keras configuration -> Graph: functional and sequential models, nested ones too.

import FoundationEssentials
public import GraftNetworks
public import GraftTensors
import OrderedCollections

/// Reads the JSON that Keras 2 and 3 keep in `.keras` archives and full-model `.h5` files.
public enum KerasConfig {
    /// The network that `json` describes, its weights out of `state` and the size of image that it
    /// was built for (224 where any will do).
    ///
    /// `select` names the output to take, of a model with several.
    ///
    /// - Throws: ``ArchitectureError/keras(layer:reason:)`` that names the layer which graft cannot
    ///   run, ``ArchitectureError/outputs(_:selected:)`` that lists the outputs, or `NetworkError`
    ///   if the weights do not fit.
    public static func open(_ json: String, state: StateDict, select: String? = nil) throws -> (
        graph: Graph, weights: StateDict, input: Extent
    ) {
        guard JSONTree.depth(of: json) <= 160 else {
            throw ArchitectureError.keras(
                layer: "model", reason: "its configuration nests over 160 deep")
        }
        var root: JSONTree
        do {
            root = try JSONDecoder().decode(JSONTree.self, from: Data(json.utf8))
        } catch {
            throw ArchitectureError.keras(layer: "model", reason: "its configuration is not JSON")
        }
        let choice = try KerasOutputs(root, select: select)
        root = choice.root
        let version = state.metadata["keras_version"] ?? "3"
        let (input, shape, isFixed) = try inputShape(root)
        var reader = try KerasReader(
            input: shape, inputName: input, state: state, isKeras3: version.hasPrefix("3"))
        reader.unneeded = choice.unneeded
        reader.hasFixedSize = isFixed
        let outputs = try reader.model(root, at: KerasReader.Place(), inputs: [0])
        guard outputs.count == 1, let output = outputs.first else {
            throw ArchitectureError.keras(
                layer: "model", reason: "it has \(outputs.count) outputs, expected 1")
        }
        var (graph, weights) = try reader.finish(
            name: root["config"]?["name"]?.string, output: output)
        weights.remarks = reader.remarks
        return (graph, weights, Extent(shape[2], shape[3]))
    }

    /// The name of the input and its shape (1, C, H, W).
    private static func inputShape(_ root: JSONTree) throws -> (
        name: String, shape: Shape, isFixed: Bool
    ) {
        var other: [JSONTree]?
        var model = root
        for _ in 0..<16 {
            let config = model["config"] ?? model
            let layers = config["layers"]?.array ?? config.array ?? []
            guard let first = layers.first else { break }
            let inner = first["config"] ?? .null
            // A sequential model may begin with a model.
            if inner["layers"] != nil, model["class_name"]?.string == "Sequential" {
                model = first
                continue
            }
            let sizes =
                inner["batch_shape"] ?? inner["batch_input_shape"] ?? config["build_input_shape"]
                ?? first["build_config"]?["input_shape"]
            other = sizes?.array
            guard let sizes = sizes?.array, sizes.count == 4, let channels = sizes[3].integer,
                (1...65536).contains(channels)
            else { break }
            // A model of any size that resizes by itself is asked at that size: once is enough.
            let usual = resizing(in: .array(layers)) ?? Extent(224)
            let extents = [
                sizes[1].integer ?? usual.height, sizes[2].integer ?? usual.width,
            ]
            guard extents.allSatisfy({ (1...65536).contains($0) }) else { break }
            let isInput = first["class_name"]?.string == "InputLayer"
            let name = isInput ? inner["name"]?.string ?? first["name"]?.string : nil
            let isFixed = sizes[1...2].allSatisfy { $0.integer != nil }
            return (name ?? "input", [1, channels, extents[0], extents[1]], isFixed)
        }
        try requireLayers(root)
        if let other, other.count > 1,
            let shape = try? JSONTree.array(Array(other.dropFirst())).text()
        {
            throw ArchitectureError.keras(
                layer: "model",
                reason: "its input has the shape \(shape), expected [height, width, channels]")
        }
        throw ArchitectureError.keras(
            layer: "model", reason: "its first layer says no input of (height, width, channels)")
    }

    /// Throws where a model is of a class of its own, which is code and says no layers.
    private static func requireLayers(_ root: JSONTree) throws {
        let kind = root["class_name"]?.string ?? "?"
        guard !["Functional", "Model", "Sequential"].contains(kind),
            root["config"]?["layers"] == nil
        else { return }
        let reason = "its class is Python code, which is never run"
        throw ArchitectureError.keras(layer: kind, reason: reason)
    }

    /// The size that the first `Resizing` layer among these makes.
    private static func resizing(in layers: JSONTree, depth: Int = 0) -> Extent? {
        guard depth < 16 else { return nil }
        for layer in layers.array ?? [] {
            let config = layer["config"] ?? .null
            if layer["class_name"]?.string == "Resizing" {
                guard let height = config["height"]?.integer, let width = config["width"]?.integer,
                    (1...65536).contains(height), (1...65536).contains(width)
                else { return nil }
                return Extent(height, width)
            }
            let inner = config["layers"] ?? config
            if let found = resizing(in: inner, depth: depth + 1) { return found }
        }
        return nil
    }
}

/// A layer of a configuration, its settings read with Keras' defaults.
struct KerasLayerConfig {
    let kind: String
    let name: String
    let config: JSONTree

    init(_ json: JSONTree) throws {
        guard let kind = json["class_name"]?.string, let config = json["config"],
            let name = json["name"]?.string ?? config["name"]?.string, !name.isEmpty
        else {
            throw ArchitectureError.keras(
                layer: json["name"]?.string ?? "?", reason: "it has no class or no name")
        }
        self.name = name
        (self.kind, self.config) = try Keras1.modern(kind, config, name: name)
    }

    /// The kind of quantisation of its weights; nil if they are floating-point numbers.
    var quantization: String? {
        let inner = config["dtype"]?["config"]
        // `int4/128` has a scale for every 128 weights.
        if let mode = inner?["mode"]?.string { return String(mode.prefix { $0 != "/" }) }
        guard let policy = config["dtype"]?["class_name"]?.string, policy.hasPrefix("Quantized")
        else { return config["quantization_mode"]?.string }
        return inner?["name"]?.string ?? policy
    }

    func fail(_ reason: String) -> ArchitectureError { .keras(layer: name, reason: reason) }

    func integer(_ key: String, or usual: Int) throws -> Int {
        guard let value = config[key], value != .null else { return usual }
        guard let number = value.integer, number.magnitude <= 1 << 30 else {
            throw fail("its `\(key)` must be a whole number")
        }
        return number
    }
    func number(_ key: String, or usual: Double) throws -> Double {
        guard let value = config[key], value != .null else { return usual }
        guard let number = value.scalar else {
            throw fail("its `\(key)` must be a number, found \((try? value.text()) ?? "?")")
        }
        return number
    }
    func flag(_ key: String, or usual: Bool) -> Bool { config[key]?.bool ?? usual }

    /// A size: a number for both axes, or two.
    func extent(_ key: String, or usual: Extent? = nil) throws -> Extent {
        let value = config[key] ?? .null
        if let side = value.size { return Extent(side) }
        if let pair = value.array, pair.count == 2, let height = pair[0].size,
            let width = pair[1].size
        {
            return Extent(height, width)
        }
        guard value == .null, let usual else { throw fail("its `\(key)` must be a size") }
        return usual
    }

    /// Rows and columns around a map: a number, (vertical, horizontal) or ((t, b), (l, r)).
    func padding(_ key: String) throws -> Padding {
        let value = config[key] ?? .null
        func both(_ value: JSONTree) throws -> (Int, Int) {
            if let one = value.size { return (one, one) }
            guard let pair = value.array, pair.count == 2, let first = pair[0].size,
                let second = pair[1].size
            else { throw fail("its `\(key)` must be a padding") }
            return (first, second)
        }
        if let all = value.size { return Padding(top: all, left: all, bottom: all, right: all) }
        guard let pair = value.array, pair.count == 2 else {
            throw fail("its `\(key)` must be a padding")
        }
        let (vertical, horizontal) = (try both(pair[0]), try both(pair[1]))
        return Padding(
            top: vertical.0, left: horizontal.0, bottom: vertical.1, right: horizontal.1)
    }

    /// The padding of a window.
    func border() throws -> WindowPadding {
        switch config["padding"]?.string ?? "valid" {
        case "same": return .same
        case "valid": return .valid
        case let other: throw fail("its padding is `\(other)`")
        }
    }

    func requireChannelsLast() throws {
        if let format = config["data_format"]?.string, format != "channels_last" {
            throw fail("its data format is `\(format)`, expected `channels_last`")
        }
    }

    /// Throws unless a normalisation has both of its weights.
    func requireScaleAndOffset() throws {
        guard flag("scale", or: true), flag("center", or: true) else {
            throw fail("it has no scale or no offset")
        }
    }

    /// Throws unless the axis is the channels', the last.
    func requireLastAxis(rank: Int) throws {
        var axis = config["axis"] ?? .integer(-1)
        if let list = axis.array, list.count == 1 { axis = list[0] }
        guard let number = axis.integer, number == -1 || number == rank - 1 else {
            throw fail("its axis is not that of the channels")
        }
    }
}

extension JSONTree {
    /// A whole number that sums and products of sizes can be made of.
    fileprivate var size: Int? { integer.flatMap { $0.magnitude <= 1 << 30 ? $0 : nil } }
}
