// The walk over a Keras model: which layer reads which, and what becomes of the whole.

import GraftNetworks
import GraftTensors
import OrderedCollections

/// Builds a graph layer by layer, going into nested models.
struct KerasReader {
    var builder: GraphBuilder
    let state: StateDict
    let isKeras3: Bool
    /// Layers of the whole model that the chosen output does not need.
    var unneeded: Set<String> = []
    /// Names of parameters that the builder's rule does not give.
    var renames: [String: String] = [:]
    /// What files may call the variables of layers, where it is not only what the graph calls them.
    var spellings: [String: [String]] = [:]
    /// Nodes that are one channel, which Keras has without an axis of channels.
    var planes: Set<Int> = []
    /// Whether the model says the size of its input.
    var hasFixedSize = true
    /// What was decided about the model, for people.
    private(set) var remarks: [Remark] = []
    /// Every name that a file may use for the weights of a layer, by the layer's own.
    private var aliases: [String: [String]] = [:]
    private var weighted: Set<String> = []

    init(input: Shape, inputName: String, state: StateDict, isKeras3: Bool) throws {
        builder = try GraphBuilder(naming: .keras, input: input, inputName: inputName)
        self.state = state
        self.isKeras3 = isKeras3
    }

    /// Adds a model that reads `inputs`; gives its outputs.
    mutating func model(
        _ json: JSONTree, path: [String], classPath: [String], inputs: [Int], depth: Int
    ) throws -> [Int] {
        let place = path.last ?? "model"
        guard depth < 16 else {
            throw ArchitectureError.keras(layer: place, reason: "models nest over 16 deep")
        }
        let config = json["config"] ?? .null
        guard let layers = config["layers"]?.array ?? config.array, layers.count <= 20_000 else {
            throw ArchitectureError.keras(layer: place, reason: "it has no list of layers")
        }
        // Groups in Keras 3's files are called by class and a count.
        var counts: [String: Int] = [:]
        let entries = try layers.map { json in
            let layer = try KerasLayerConfig(json)
            let kind = KerasExport.snake(layer.kind)
            let number = counts[kind, default: 0]
            counts[kind] = number + 1
            return Entry(
                layer: layer, json: json, group: number == 0 ? kind : "\(kind)_\(number)",
                calls: try Self.calls(json, layer))
        }
        if json["class_name"]?.string == "Sequential" || config["input_layers"] == nil {
            guard inputs.count == 1, var x = inputs.first else {
                throw ArchitectureError.keras(layer: place, reason: "expected one input")
            }
            for entry in entries where entry.layer.kind != "InputLayer" {
                let results = try call(entry, path, classPath, [x], depth, node: 0)
                guard results.count == 1 else {
                    throw entry.layer.fail("it has \(results.count) outputs")
                }
                x = results[0]
            }
            return [x]
        }
        return try functional(config, entries, path, classPath, inputs, depth)
    }

    private struct Entry {
        let layer: KerasLayerConfig
        let json: JSONTree
        let group: String
        /// For every time it is called, the values that it reads.
        let calls: [Call]
    }

    /// What a layer is called with.
    private struct Call {
        var reads: [History] = []
        /// Its values and constants in the order of a function's arguments: `3 - x`.
        var operands: [Operand] = []
        /// Its arguments with a name.
        var options: JSONTree = .null
        var hasConstants: Bool {
            operands.contains { if case .constant = $0 { true } else { false } }
        }

        mutating func read(_ history: History) {
            operands.append(.value(reads.count))
            reads.append(history)
        }
    }

    /// Output `tensor` of call `node` of a layer.
    private struct History: Hashable {
        let layer: String
        let node: Int
        let tensor: Int
    }

    private mutating func functional(
        _ config: JSONTree, _ entries: [Entry], _ path: [String], _ classPath: [String],
        _ inputs: [Int], _ depth: Int
    ) throws -> [Int] {
        var values: [History: Int] = [:]
        let names = Self.histories(config["input_layers"] ?? .null)
        guard names.count == inputs.count else {
            throw ArchitectureError.keras(
                layer: path.last ?? "model",
                reason: "it has \(names.count) inputs, expected \(inputs.count)")
        }
        for (name, input) in zip(names, inputs) { values[name] = input }
        if let parallel = Self.parallelModel(entries) {
            let name = parallel.layer.name
            remarks.append(.parallel(model: name))
            return try model(
                parallel.json, path: path + [name], classPath: classPath + [parallel.group],
                inputs: inputs, depth: depth + 1)
        }
        let firsts = Self.firstNodes(config, entries)
        // Layers stand in some order: call whatever has all that it reads, until nothing is left.
        var waiting: [(entry: Int, call: Int)] = []
        for (index, entry) in entries.enumerated()
        where entry.layer.kind != "InputLayer"
            && !(depth == 0 && unneeded.contains(entry.layer.name))
        {
            for call in entry.calls.indices { waiting.append((index, call)) }
        }
        // A model of thousands of layers that stand in the opposite order is no model.
        var patience = 10_000_000
        while !waiting.isEmpty {
            patience -= waiting.count
            guard patience > 0 else {
                throw ArchitectureError.keras(
                    layer: path.last ?? "model", reason: "its layers are too many, in no order")
            }
            var later: [(entry: Int, call: Int)] = []
            for (index, number) in waiting {
                let entry = entries[index]
                let reads = entry.calls[number].reads.map { values[$0] }
                guard !reads.contains(nil) else {
                    later.append((index, number))
                    continue
                }
                let results = try call(
                    entry, path, classPath, reads.compactMap(\.self), depth, node: number)
                let node = number + firsts[entry.layer.name, default: 0]
                for (tensor, result) in results.enumerated() {
                    values[History(layer: entry.layer.name, node: node, tensor: tensor)] = result
                }
            }
            guard later.count < waiting.count else {
                let stuck = entries[later[0].entry].layer
                throw stuck.fail("it reads a layer that is not there, or itself")
            }
            waiting = later
        }
        return try Self.histories(config["output_layers"] ?? .null).map { history in
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
        let models = entries.filter { $0.layer.config["layers"] != nil }
        guard models.count == 1, let model = models.first, model.calls.count > 1 else { return nil }
        var parts: Set<Int> = []
        var joins = 0
        for entry in entries where entry.layer.config["layers"] == nil {
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
    private static func firstNodes(_ config: JSONTree, _ entries: [Entry]) -> [String: Int] {
        let outputs = histories(config["output_layers"] ?? .null)
        var last: [String: Int] = [:]
        for read in entries.flatMap({ $0.calls.flatMap(\.reads) }) + outputs {
            last[read.layer] = max(last[read.layer] ?? 0, read.node)
        }
        var firsts: [String: Int] = [:]
        for entry in entries where entry.layer.config["layers"] != nil {
            if last[entry.layer.name] == entry.calls.count { firsts[entry.layer.name] = 1 }
        }
        return firsts
    }

    private mutating func call(
        _ entry: Entry, _ path: [String], _ classPath: [String], _ inputs: [Int], _ depth: Int,
        node: Int
    ) throws -> [Int] {
        let names = path + [entry.layer.name]
        let groups = classPath + [entry.group]
        if entry.layer.config["layers"] != nil {
            guard node == 0 else { throw entry.layer.fail("the model is used twice") }
            return try model(
                entry.json, path: names, classPath: groups, inputs: inputs, depth: depth + 1)
        }
        let full = names.joined(separator: "/")
        let before = builder.nodes.count
        builder.stage = Self.stage(names)
        let name = node == 0 ? full : "\(full)_call\(node)"
        if let mode = entry.layer.quantization {
            throw ArchitectureError.quantized(mode: mode, names: [full])
        }
        let made = entry.calls.indices.contains(node) ? entry.calls[node] : Call()
        let operation = Self.operation(entry.layer, hasConstants: made.hasConstants)
        if inputs.contains(where: planes.contains), !["stack", "expand_dims"].contains(operation) {
            throw entry.layer.fail("it reads one channel without an axis of channels")
        }
        let result =
            try operation.map {
                try operate($0, entry.layer, name, inputs, made.operands, made.options)
            } ?? layer(entry.layer, name, inputs)
        if builder.nodes[before...].contains(where: { !$0.parameters.isEmpty }) {
            guard weighted.insert(full).inserted else {
                throw entry.layer.fail("its weights are used twice, which a graph cannot say")
            }
            // What files call it: all names; Keras 3's groups; only the outermost and itself.
            aliases[full] = [
                full, groups.joined(separator: "/"),
                [names[0], entry.layer.name].joined(separator: "/"),
                entry.layer.name,
            ]
        }
        return [result]
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

    /// Every call of a layer, as Keras 2 and 3 write them down.
    private static func calls(_ json: JSONTree, _ layer: KerasLayerConfig) throws -> [Call] {
        guard let nodes = json["inbound_nodes"]?.array else { return [] }
        return nodes.map { node in
            var found = Call()
            if node["args"] != nil || node["kwargs"] != nil {
                let arguments = node["args"]?.array ?? []
                for argument in arguments { collect(argument, &found, depth: 0) }
                let named = node["kwargs"] ?? .null
                if case .object(let members) = named {
                    for key in members.keys.sorted() where key != "training" && key != "mask" {
                        collect(members[key] ?? .null, &found, depth: 0, isNamed: true)
                    }
                }
                // `x[key]` of Keras 3 has its key as the second argument.
                found.options = named
                if layer.kind == "GetItem", arguments.count == 2 {
                    found.options = ["key": arguments[1]]
                    found.operands = Array(found.operands.prefix(1))
                }
                return found
            }
            collectKeras2(node, &found)
            return found
        }
    }

    private static func collect(
        _ json: JSONTree, _ found: inout Call, depth: Int, isNamed: Bool = false
    ) {
        guard depth < 16 else { return }
        if json["class_name"]?.string == "__keras_tensor__" {
            for history in histories(json["config"]?["keras_history"] ?? .null) {
                found.read(history)
            }
        } else if !isNamed, let constant = KerasConstant(json) {
            found.operands.append(.constant(constant))
        } else if let values = json.array {
            for value in values { collect(value, &found, depth: depth + 1, isNamed: isNamed) }
        } else if case .object(let members) = json {
            for key in members.keys.sorted() {
                collect(members[key] ?? .null, &found, depth: depth + 1, isNamed: isNamed)
            }
        }
    }

    /// `["name", 0, 0, {"y": 3}]` or a list of such; `_CONSTANT_VALUE` stands for a first argument
    /// that is no tensor.
    private static func collectKeras2(_ node: JSONTree, _ found: inout Call) {
        let values = node.array ?? []
        let items = values.first?.string == nil ? values : [node]
        for item in items {
            guard let parts = item.array, let name = parts.first?.string, parts.count >= 3 else {
                continue
            }
            if name == "_CONSTANT_VALUE" {
                KerasConstant(parts[2]).map { found.operands.append(.constant($0)) }
            } else {
                for history in histories(item) { found.read(history) }
            }
            guard item == items.last, parts.count >= 4 else { continue }
            found.options = parts[3]
            for key in ["y", "bias", "b"] {
                guard let other = parts[3][key], other != .null else { continue }
                if other.array?.first?.string != nil {
                    for history in histories(other) { found.read(history) }
                } else if let constant = KerasConstant(other) {
                    found.operands.append(.constant(constant))
                }
            }
        }
    }

    /// `["name", 0, 0]`, or a list of such.
    private static func histories(_ json: JSONTree) -> [History] {
        guard let values = json.array, let first = values.first else { return [] }
        if let name = first.string {
            guard values.count >= 3, let node = values[1].integer, let tensor = values[2].integer
            else { return [] }
            return [History(layer: name, node: node, tensor: tensor)]
        }
        return values.flatMap { histories($0) }
    }

    /// The graph with its head found, and the weights under its names.
    mutating func finish(_ name: String?, _ output: Int) throws -> (
        graph: Graph, weights: StateDict
    ) {
        var graph = try builder.finished(name: name ?? "keras", output: output)
        var files: [String: String] = [:]
        for index in graph.nodes.indices {
            for position in graph.nodes[index].parameters.indices {
                let parameter = graph.nodes[index].parameters[position]
                let name = renames[parameter.name] ?? parameter.name
                graph.nodes[index].parameters[position].name = name
                if let file = fileName(name) { files[file] = name }
            }
        }
        var renamed = StateDict(metadata: state.metadata, axes: state.axes)
        for (file, tensor) in state.tensors where !used.contains(file) {
            renamed[files[file] ?? file] = tensor
        }
        guard !unneeded.isEmpty else { return (graph, try graph.bound(renamed)) }
        // What the other outputs need has no place here.
        var (weights, report) = graph.binding(renamed)
        report.unexpected = []
        guard report.isClean else { throw NetworkError.binding(report) }
        weights.metadata = renamed.metadata
        return (graph, weights)
    }

    /// Tensors that became constants of the graph.
    var used: Set<String> = []

    /// What the file calls a parameter.
    private func fileName(_ parameter: String) -> String? {
        guard let cut = parameter.lastIndex(of: "/") else { return nil }
        let variable = parameter[parameter.index(after: cut)...]
        let layer = String(parameter[..<cut])
        let spelled =
            spellings[parameter]
            ?? {
                switch variable {
                case "depthwise_kernel": ["depthwise_kernel", "kernel"]
                case "gamma": ["gamma", "variable", "0"]  // A layer scale's weight has no name.
                default: [String(variable)]
                }
            }()
        for alias in aliases[layer] ?? [layer] {
            for variable in spelled where state["\(alias)/\(variable)"] != nil {
                return "\(alias)/\(variable)"
            }
        }
        // Keras writes the names of outer models or not, as it was built: only one may fit.
        let parts = layer.split(separator: "/")
        guard let outer = parts.first, let own = parts.last else { return nil }
        let fitting = state.tensors.keys.filter { name in
            name.hasPrefix("\(outer)/") && spelled.contains { name.hasSuffix("/\(own)/\($0)") }
        }
        return fitting.count == 1 ? fitting[0] : nil
    }

    /// A constant that Keras keeps among the weights of layer `name`.
    mutating func constant(_ variable: String, of layer: KerasLayerConfig, _ name: String) throws
        -> [Float]?
    {
        let candidates =
            [name, layer.name, name.split(separator: "/").suffix(2).joined(separator: "/")]
            + ["normalization"]
        for candidate in candidates {
            guard let tensor = state["\(candidate)/\(variable)"] else { continue }
            used.formUnion(["mean", "variance", "count"].map { "\(candidate)/\($0)" })
            guard tensor.count <= 65536 else { throw layer.fail("its `\(variable)` is too large") }
            return try tensor.load().floats
        }
        return nil
    }
}
