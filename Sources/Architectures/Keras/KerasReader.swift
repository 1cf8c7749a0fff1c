// The walk over a Keras model: which layer reads which, and what becomes of the whole.

import GraftNetworks
import GraftTensors
import OrderedCollections

/// Builds a graph layer by layer, as the rows of ``KerasLayers`` and ``KerasFunctions`` say, going
/// into nested models.
struct KerasReader {
    /// The largest number of models inside each other.
    static let maximumDepth = 16
    /// The largest number of layers in a model.
    static let maximumLayerCount = 20_000
    /// The largest number of values that a layer reads.
    static let maximumInputCount = 1024

    var builder: GraphBuilder
    let state: StateDict
    let isKeras3: Bool
    /// Layers of the whole model that the chosen output does not need.
    var unneeded: Set<String> = []
    /// Names of parameters that the builder's rule does not give.
    var renames: [String: String] = [:]
    /// Names of variables in files, where they may be others than the graph's.
    var spellings: [String: [String]] = [:]
    /// Nodes that are one channel, which Keras has without an axis of channels.
    var planes: Set<Int> = []
    /// Whether the model says the size of its input.
    var hasFixedSize = true
    /// Tensors that became constants of the graph.
    var used: Set<String> = []
    /// The decisions about the model, for people.
    private(set) var remarks: [Remark] = []
    /// Every name that a file may use for the weights of a layer, by the layer's own.
    private(set) var aliases: [String: [String]] = [:]
    /// Of nodes that a later call of a layer made: the call's name in the graph, and the layer's own.
    private(set) var calls: [String: (call: String, layer: String)] = [:]

    init(input: Shape, inputName: String, state: StateDict, isKeras3: Bool) throws {
        builder = try GraphBuilder(naming: .keras, input: input, inputName: inputName)
        self.state = state
        self.isKeras3 = isKeras3
    }

    /// The place of a model: the models around it and itself, by their names and by the names of
    /// their groups in Keras 3's files.
    struct Place {
        var names: [String] = []
        var groups: [String] = []
        /// The names in the graph, where each call has one of its own.
        var nodes: [String] = []

        var depth: Int { names.count }
        /// The model's own name.
        var name: String { names.last ?? "model" }

        fileprivate func entering(_ entry: Entry, call number: Int = 0) -> Place {
            let name = entry.layer.name
            return Place(
                names: names + [name], groups: groups + [entry.group],
                nodes: nodes + [number == 0 ? name : "\(name)_call\(number)"])
        }
        fileprivate func fail(_ reason: String) -> ArchitectureError {
            .keras(layer: name, reason: reason)
        }
    }

    fileprivate struct Entry {
        let layer: KerasLayerConfig
        let json: JSONTree
        let group: String
        /// For every time it is called, the values that it reads.
        let calls: [KerasArguments]
        /// Whether it is a model.
        var isModel: Bool { layer.config["layers"] != nil }
    }

    /// Adds a model that reads `inputs`; gives its outputs.
    mutating func model(_ json: JSONTree, at place: Place, inputs: [Int]) throws -> [Int] {
        guard place.depth < Self.maximumDepth else {
            throw place.fail("models nest over \(Self.maximumDepth) deep")
        }
        let config = json["config"] ?? .null
        guard let layers = config["layers"]?.array ?? config.array,
            layers.count <= Self.maximumLayerCount
        else { throw place.fail("it has no list of layers") }
        // Groups in Keras 3's files are called by class and a count.
        var counts: [String: Int] = [:]
        let entries = try layers.map { json in
            let layer = try KerasLayerConfig(json)
            let kind = KerasExport.snake(layer.kind)
            let number = counts[kind, default: 0]
            counts[kind] = number + 1
            return Entry(
                layer: layer, json: json, group: number == 0 ? kind : "\(kind)_\(number)",
                calls: KerasArguments.calls(of: layer, in: json))
        }
        guard json["class_name"]?.string == "Sequential" || config["input_layers"] == nil else {
            return try functional(config, entries: entries, at: place, inputs: inputs)
        }
        guard inputs.count == 1, var x = inputs.first else {
            throw place.fail("expected one input")
        }
        for entry in entries where entry.layer.kind != "InputLayer" {
            let results = try call(entry, number: 0, at: place, inputs: [x])
            guard results.count == 1 else {
                throw entry.layer.fail("it has \(results.count) outputs")
            }
            x = results[0]
        }
        return [x]
    }

    private mutating func functional(
        _ config: JSONTree, entries: [Entry], at place: Place, inputs: [Int]
    ) throws -> [Int] {
        var values: [KerasHistory: Int] = [:]
        let names = KerasHistory.all(in: config["input_layers"] ?? .null)
        guard names.count == inputs.count else {
            throw place.fail("it has \(names.count) inputs, expected \(inputs.count)")
        }
        for (name, input) in zip(names, inputs) { values[name] = input }
        if let parallel = Self.parallelModel(entries) {
            remarks.append(.parallel(model: parallel.layer.name))
            return try model(parallel.json, at: place.entering(parallel), inputs: inputs)
        }
        let firsts = Self.firstNodes(config, entries: entries)
        // Layers stand in some order: call whatever has all that it reads, until nothing is left.
        var waiting: [(entry: Int, call: Int)] = []
        for (index, entry) in entries.enumerated()
        where entry.layer.kind != "InputLayer"
            && !(place.depth == 0 && unneeded.contains(entry.layer.name))
        {
            for call in entry.calls.indices { waiting.append((index, call)) }
        }
        // A model of thousands of layers that stand in the opposite order is no model.
        var patience = 10_000_000
        while !waiting.isEmpty {
            patience -= waiting.count
            guard patience > 0 else { throw place.fail("its layers are too many, in no order") }
            var later: [(entry: Int, call: Int)] = []
            for (index, number) in waiting {
                let entry = entries[index]
                let reads = entry.calls[number].reads.map { values[$0] }
                guard !reads.contains(nil) else {
                    later.append((index, number))
                    continue
                }
                let results = try call(
                    entry, number: number, at: place, inputs: reads.compactMap(\.self))
                let name = entry.layer.name
                let node = number + firsts[name, default: 0]
                for (tensor, result) in results.enumerated() {
                    values[KerasHistory(layer: name, node: node, tensor: tensor)] = result
                }
            }
            guard later.count < waiting.count else {
                let stuck = entries[later[0].entry].layer
                throw stuck.fail("it reads a layer that is not there, or itself")
            }
            waiting = later
        }
        return try KerasHistory.all(in: config["output_layers"] ?? .null).map { history in
            guard let value = values[history] else {
                throw ArchitectureError.keras(
                    layer: history.layer, reason: "it is named as an output and gives none")
            }
            return value
        }
    }

    /// The model that Keras' `multi_gpu_model` put around: functions that each take a part of the
    /// batch, the model on each part, and the parts of the answer joined along the batch.
    private static func parallelModel(_ entries: [Entry]) -> Entry? {
        let models = entries.filter(\.isModel)
        guard models.count == 1, let model = models.first, model.calls.count > 1 else { return nil }
        var parts: Set<Int> = []
        var joins = 0
        for entry in entries where !entry.isModel {
            switch entry.layer.kind {
            case "InputLayer": continue
            case "Lambda":
                // Which part, and of how many.
                guard case .object(let arguments) = entry.layer.config["arguments"] ?? .null,
                    arguments.values.contains(where: { $0.integer == model.calls.count }),
                    let part = arguments["i"]?.integer
                else { return nil }
                parts.insert(part)
            case "Concatenate":
                guard entry.layer.config["axis"]?.integer == 0,
                    entry.calls.allSatisfy({ call in
                        call.reads.allSatisfy { $0.layer == model.layer.name }
                    })
                else { return nil }
                joins += 1
            default: return nil
            }
        }
        return joins > 0 && parts == Set(0..<model.calls.count) ? model : nil
    }

    /// The number of a nested model's first call, where it is not 0: Keras 2 counts the making of a
    /// model as a call of it, and writes down those that come after.
    private static func firstNodes(_ config: JSONTree, entries: [Entry]) -> [String: Int] {
        let outputs = KerasHistory.all(in: config["output_layers"] ?? .null)
        var last: [String: Int] = [:]
        for read in entries.flatMap({ $0.calls.flatMap(\.reads) }) + outputs {
            last[read.layer] = max(last[read.layer] ?? 0, read.node)
        }
        var firsts: [String: Int] = [:]
        for entry in entries where entry.isModel && last[entry.layer.name] == entry.calls.count {
            firsts[entry.layer.name] = 1
        }
        return firsts
    }

    /// Adds call `number` of a layer or a nested model.
    private mutating func call(
        _ entry: Entry, number: Int, at place: Place, inputs: [Int]
    ) throws -> [Int] {
        let layer = entry.layer
        let inner = place.entering(entry, call: number)
        if entry.isModel { return try model(entry.json, at: inner, inputs: inputs) }
        let full = inner.names.joined(separator: "/")
        if let mode = layer.quantization {
            throw ArchitectureError.quantized(mode: mode, names: [full])
        }
        guard let first = inputs.first, inputs.count <= Self.maximumInputCount else {
            throw layer.fail("it reads nothing")
        }
        let arguments =
            entry.calls.indices.contains(number) ? entry.calls[number] : KerasArguments()
        let name = inner.nodes.joined(separator: "/")
        let call = KerasCall(
            layer: layer, name: name, path: full, inputs: inputs, shape: builder.shapes[first],
            operands: arguments.operands, options: arguments.options)
        let before = builder.nodes.count
        builder.stage = Self.stage(inner.names)
        let result = try add(call, hasConstants: arguments.hasConstants)
        let weighted = builder.nodes[before...].filter { !$0.parameters.isEmpty }
        if !weighted.isEmpty {
            // Every call of a layer reads the same weights.
            if name != full {
                for node in weighted { calls[node.name] = (name, full) }
            }
            // What files call it: all names; Keras 3's groups; only the outermost and itself.
            aliases[full] = [
                full, inner.groups.joined(separator: "/"),
                [inner.names[0], layer.name].joined(separator: "/"), layer.name,
            ]
        }
        return [result]
    }

    private mutating func add(_ call: KerasCall, hasConstants: Bool) throws -> Int {
        let layer = call.layer
        let function = KerasFunctions.name(of: layer, hasConstants: hasConstants)
        if call.inputs.contains(where: planes.contains),
            !["stack", "expand_dims"].contains(function)
        {
            throw layer.fail("it reads one channel without an axis of channels")
        }
        guard let function else {
            try layer.requireChannelsLast()
            return try KerasLayers.reading(of: layer)(call, &self)
        }
        guard let value = try KerasFunctions.all[function]?(call, &self) else {
            throw layer.fail("graft does not know the operation `\(function)` with these arguments")
        }
        return value
    }

    /// `conv4_block6_out` is of stage `conv4`, `block_13_expand` of `block_13`; in a nested model
    /// the same.
    private static func stage(_ names: [String]) -> String {
        let words = (names.last ?? "").split(separator: "_")
        guard let first = words.first else { return "" }
        if words.count > 1, words[1].allSatisfy(\.isNumber), !first.contains(where: \.isNumber) {
            return "\(first)_\(words[1])"
        }
        return String(first)
    }

    /// Adds an operation under the name of a call and `suffix`; it reads what the call reads first
    /// unless others are given.
    mutating func add(
        _ op: Op, for call: KerasCall, suffix: String = "", reading inputs: [Int]? = nil
    ) throws -> Int {
        try builder.add(op, name: call.name + suffix, inputs: inputs ?? [call.x])
    }
}
