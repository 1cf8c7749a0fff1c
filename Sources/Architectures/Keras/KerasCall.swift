// The calls of a Keras model's layers: which values each reads, and with which constants.

import GraftNetworks
import GraftTensors

/// Output `tensor` of call `node` of a layer.
struct KerasHistory: Hashable {
    let layer: String
    let node: Int
    let tensor: Int

    /// `["name", 0, 0]`, or a list of such.
    static func all(in json: JSONTree) -> [KerasHistory] {
        guard let values = json.array, let first = values.first else { return [] }
        if let name = first.string {
            guard values.count >= 3, let node = values[1].integer, let tensor = values[2].integer
            else { return [] }
            return [KerasHistory(layer: name, node: node, tensor: tensor)]
        }
        return values.flatMap { all(in: $0) }
    }
}

/// Constants that a function is called with, and the last extent of their shape.
struct KerasConstant {
    let values: [Float]
    private let last: Int

    /// A number, or numbers in arrays of arrays; nil for anything else.
    init?(_ json: JSONTree) {
        if let number = json.scalar {
            values = [Float(number)]
            last = 1
            return
        }
        var row = json["config"]?["value"] ?? json["value"] ?? json
        guard let flat = row.floats(), !flat.isEmpty else { return nil }
        for _ in 0..<8 {
            guard let first = row.array?.first, first.array != nil else { break }
            row = first
        }
        values = flat
        last = row.array?.count ?? 1
    }

    /// One value, or one for each of `channels`.
    func spread(over channels: Int) -> [Float]? {
        if values.count == 1 { return values }
        return values.count == channels && last == channels ? values : nil
    }
}

/// The arguments of a call of a layer, as a configuration writes it down.
struct KerasArguments {
    /// A value or a constant, in the order of a function's arguments: `3 - x`.
    enum Operand {
        /// The value at this place among those that are read.
        case value(Int)
        case constant(KerasConstant)
    }

    var reads: [KerasHistory] = []
    var operands: [Operand] = []
    /// The arguments with a name.
    var options: JSONTree = .null

    var hasConstants: Bool {
        operands.contains { if case .constant = $0 { true } else { false } }
    }

    private mutating func read(_ history: KerasHistory) {
        operands.append(.value(reads.count))
        reads.append(history)
    }

    /// Every call of a layer, as Keras 2 and 3 write them down.
    static func calls(of layer: KerasLayerConfig, in json: JSONTree) -> [KerasArguments] {
        (json["inbound_nodes"]?.array ?? []).map { node in
            var found = KerasArguments()
            guard node["args"] != nil || node["kwargs"] != nil else {
                found.collectKeras2(node)
                return found
            }
            let arguments = node["args"]?.array ?? []
            for argument in arguments { found.collect(argument, depth: 0) }
            let named = node["kwargs"] ?? .null
            if case .object(let members) = named {
                for key in members.keys.sorted() where key != "training" && key != "mask" {
                    found.collect(members[key] ?? .null, depth: 0, isNamed: true)
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
    }

    private mutating func collect(_ json: JSONTree, depth: Int, isNamed: Bool = false) {
        guard depth < 16 else { return }
        if json["class_name"]?.string == "__keras_tensor__" {
            for history in KerasHistory.all(in: json["config"]?["keras_history"] ?? .null) {
                read(history)
            }
        } else if !isNamed, let constant = KerasConstant(json) {
            operands.append(.constant(constant))
        } else if let values = json.array {
            for value in values { collect(value, depth: depth + 1, isNamed: isNamed) }
        } else if case .object(let members) = json {
            for key in members.keys.sorted() {
                collect(members[key] ?? .null, depth: depth + 1, isNamed: isNamed)
            }
        }
    }

    /// `["name", 0, 0, {"y": 3}]` or a list of such; `_CONSTANT_VALUE` stands for a first argument
    /// that is not a tensor.
    private mutating func collectKeras2(_ node: JSONTree) {
        let values = node.array ?? []
        let items = values.first?.string == nil ? values : [node]
        for item in items {
            guard let parts = item.array, let name = parts.first?.string, parts.count >= 3 else {
                continue
            }
            if name == "_CONSTANT_VALUE" {
                KerasConstant(parts[2]).map { operands.append(.constant($0)) }
            } else {
                for history in KerasHistory.all(in: item) { read(history) }
            }
            guard item == items.last, parts.count >= 4 else { continue }
            options = parts[3]
            for key in ["y", "bias", "b"] {
                guard let other = parts[3][key], other != .null else { continue }
                if other.array?.first?.string != nil {
                    for history in KerasHistory.all(in: other) { read(history) }
                } else if let constant = KerasConstant(other) {
                    operands.append(.constant(constant))
                }
            }
        }
    }
}

/// A layer at one of its calls, under way into the graph.
struct KerasCall {
    let layer: KerasLayerConfig
    /// Its name in the graph.
    let name: String
    /// The layer's name under those of the models around it, the same for each call.
    let path: String
    /// The nodes whose values it reads: one at least.
    let inputs: [Int]
    /// The shape of the value that it reads first, (1, C, H, W) or (1, C).
    let shape: Shape
    /// The values and constants of a function, in order.
    var operands: [KerasArguments.Operand] = []
    /// The arguments with a name.
    var options: JSONTree = .null

    /// The value that it reads first.
    var x: Int { inputs[0] }

    /// The reason why it cannot be read.
    func fail(_ reason: String) -> ArchitectureError { layer.fail(reason) }

    /// A setting of the call, or else of the layer.
    func setting(_ key: String) -> JSONTree? { options[key] ?? layer.config[key] }

    /// Axes as Keras counts them, from the front.
    func axes(_ key: String = "axis") -> [Int]? {
        let value = setting(key) ?? .null
        let list = value.array?.map(\.integer) ?? [value.integer]
        return list.contains(nil)
            ? nil : list.compactMap(\.self).map { $0 < 0 ? $0 + shape.rank : $0 }
    }
    /// Whether its axis is the channels', the last.
    var isOverChannels: Bool { axes() == [shape.rank - 1] }

    /// Throws unless the layer's axis is the channels', the last.
    func requireLastAxis() throws { try layer.requireLastAxis(rank: shape.rank) }

    /// A number that is the first of some settings to be there.
    func bound(_ keys: [String], or usual: Float) -> Float {
        for key in keys { if let number = setting(key)?.scalar { return Float(number) } }
        return usual
    }
}

extension JSONTree {
    /// Numbers in arrays of arrays, or what Keras wrapped such in; nil for anything else.
    func floats(depth: Int = 0) -> [Float]? {
        if let number { return [Float(number)] }
        guard depth < 8, let values = array ?? self["config"]?["value"]?.array else { return nil }
        var result: [Float] = []
        for value in values {
            guard let part = value.floats(depth: depth + 1) else { return nil }
            result += part
        }
        return result
    }
}
