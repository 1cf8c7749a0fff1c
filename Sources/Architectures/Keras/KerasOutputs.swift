// Choosing one of several outputs of a Keras model before its layers are read.

import GraftNetworks

/// The outputs of a functional model's configuration.
struct KerasOutputs {
    /// The configuration, with the chosen output alone.
    let root: JSONTree
    /// The layers that the chosen output does not need.
    let unneeded: Set<String>

    /// Chooses the output called `select`; the only one if there is one.
    ///
    /// - Throws: ``ArchitectureError/outputs(_:selected:)`` with the names if none is chosen.
    init(_ root: JSONTree, select: String?) throws {
        guard case .object(var members) = root, case .object(var config)? = root["config"],
            let outputs = config["output_layers"]
        else {
            self.root = root
            unneeded = []
            guard let select else { return }
            throw ArchitectureError.outputs([], selected: select)
        }
        let named = Self.named(outputs)
        let names = named.map(\.name)
        let index = select.flatMap { names.firstIndex(of: $0) }
        guard index != nil || named.count == 1 && select == nil else {
            throw ArchitectureError.outputs(names, selected: select)
        }
        guard named.count > 1, let index else {
            self.root = root
            unneeded = []
            return
        }
        config["output_layers"] = .array([named[index].history])
        members["config"] = .object(config)
        self.root = .object(members)
        let layers = config["layers"]?.array ?? []
        var reads: [String: Set<String>] = [:]
        for layer in layers {
            guard let name = layer["name"]?.string ?? layer["config"]?["name"]?.string else {
                continue
            }
            var found: Set<String> = []
            Self.collect(layer["inbound_nodes"] ?? .null, &found, depth: 0)
            reads[name] = found
        }
        var needed: Set<String> = []
        var waiting = [named[index].layer]
        while let name = waiting.popLast() {
            guard needed.insert(name).inserted else { continue }
            // Every text in a call may name a layer; those that do not are no keys.
            waiting += (reads[name] ?? []).filter { reads[$0] != nil }
        }
        unneeded = Set(reads.keys).subtracting(needed)
    }

    /// The outputs with their names: those of a dictionary, or of the layers.
    private static func named(_ outputs: JSONTree) -> [(
        name: String, layer: String, history: JSONTree
    )] {
        if case .object(let members) = outputs {
            return members.sorted { $0.key < $1.key }.compactMap { name, history in
                history.array?.first?.string.map { (name, $0, history) }
            }
        }
        guard let values = outputs.array, let first = values.first else { return [] }
        if let layer = first.string { return [(layer, layer, outputs)] }
        var seen: [String: Int] = [:]
        return values.compactMap { history in
            guard let layer = history.array?.first?.string else { return nil }
            let number = seen[layer, default: 0]
            seen[layer] = number + 1
            return (number == 0 ? layer : "\(layer):\(number)", layer, history)
        }
    }

    private static func collect(_ json: JSONTree, _ found: inout Set<String>, depth: Int) {
        guard depth < 64 else { return }
        if let text = json.string { found.insert(text) }
        for value in json.array ?? [] { collect(value, &found, depth: depth + 1) }
        if case .object(let members) = json {
            for value in members.values { collect(value, &found, depth: depth + 1) }
        }
    }
}
