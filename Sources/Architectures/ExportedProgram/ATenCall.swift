// A call of an ATen operator under way into the graph.

internal import GraftSchemas
import GraftTensors

/// A node of the program with its arguments.
struct ATenCall {
    let node: ExportedProgram.Node
    /// The operator without its namespace and without the underscore of one that writes in place:
    /// `add.Tensor`.
    let `operator`: String
    /// Whether it writes into its first operand.
    let isInPlace: Bool
    /// The node's name behind its module's: `/layer1.0/conv1/conv2d_3`.
    let path: String

    init(node: ExportedProgram.Node) {
        self.node = node
        var target = node.target[...]
        for prefix in ["torch.ops.aten.", "torch.ops.", "torch."] where target.hasPrefix(prefix) {
            target = target.dropFirst(prefix.count)
            break
        }
        let parts = target.split(separator: ".", maxSplits: 1)
        let base = parts.first ?? ""
        isInPlace = base.hasSuffix("_") && !base.hasSuffix("__")
        let plain = isInPlace ? base.dropLast() : base
        `operator` = parts.count > 1 ? "\(plain).\(parts[1])" : String(plain)
        var path = ""
        for part in node.module.split(separator: ".") {
            path += part.allSatisfy(\.isNumber) && !path.isEmpty ? ".\(part)" : "/\(part)"
        }
        self.path = path.isEmpty ? node.name : "\(path)/\(node.name)"
    }

    /// The reason why the call cannot be read.
    func fail(_ flaw: ForeignOperatorFlaw) -> ArchitectureError {
        .exportedProgram(node: node.name, reason: flaw.explanation)
    }

    /// The graph of an operator that only says how it is run.
    var calledGraph: ExportedProgram.Subgraph? {
        guard node.target.hasPrefix("torch.ops.higher_order.wrap_with_") else { return nil }
        for (_, value) in node.arguments {
            if case .graph(let graph) = value { return graph }
        }
        return nil
    }

    private func argument(_ name: String) -> ExportedProgram.Argument {
        node.arguments.first { $0.name == name }?.value ?? .none
    }

    /// Whether an argument is given.
    func has(_ name: String) -> Bool { argument(name) != .none }

    /// The first tensor that it reads.
    var operand: String? {
        for (_, value) in node.arguments {
            switch value {
            case .tensor(let name): return name
            case .tensors(let names): return names.first ?? nil
            default: continue
            }
        }
        return nil
    }

    /// The name of a tensor; nil if it is left out.
    func optionalTensor(_ name: String) -> String? {
        if case .tensor(let tensor) = argument(name) { tensor } else { nil }
    }

    func tensor(_ name: String) throws -> String {
        guard let tensor = optionalTensor(name) else { throw fail(.noTensor(name)) }
        return tensor
    }

    /// A list of tensors.
    func tensors(_ name: String) throws -> [String?] {
        guard case .tensors(let names) = argument(name) else {
            throw fail(.noTensor(name))
        }
        return names
    }

    func flag(_ name: String, or usual: Bool = false) -> Bool {
        if case .flag(let value) = argument(name) { value } else { usual }
    }

    func text(_ name: String) -> String? {
        if case .text(let text) = argument(name) { text } else { nil }
    }

    /// The number of a type in the schema.
    func type(_ name: String) -> Int? {
        if case .type(let type) = argument(name) { type } else { nil }
    }

    /// A number; nil if it is left out or a tensor.
    func number(_ name: String) -> Double? {
        switch argument(name) {
        case .number(let value): value
        case .integer(let value): Double(value)
        case .flag(let value): value ? 1 : 0
        default: nil
        }
    }

    func numbers(_ name: String) -> [Double]? {
        switch argument(name) {
        case .numbers(let values): values
        case .integers(let sizes):
            sizes.map { if case .fixed(let value) = $0 { Double(value) } else { .nan } }
        default: nil
        }
    }

    /// Whether a number is written as an integer.
    func isInteger(_ name: String) -> Bool {
        switch argument(name) {
        case .integer, .flag: true
        default: false
        }
    }

    /// An integer; nil if it is left out.
    func integer(_ name: String, in reader: ATenReader) throws -> Int? {
        switch argument(name) {
        case .integer(let value): return value
        case .symbol(let symbol): return try reader.numbers([.symbol(symbol)], for: self)[0]
        default: return nil
        }
    }

    /// A list of integers; nil if it is left out.
    func integers(_ name: String, in reader: ATenReader) throws -> [Int]? {
        switch argument(name) {
        case .integers(let sizes): return try reader.numbers(sizes, for: self)
        case .integer(let value): return [value]
        default: return nil
        }
    }

    /// Two numbers, of which one may stand for both.
    func pair(_ name: String, or usual: Int, in reader: ATenReader) throws -> [Int] {
        let values = try integers(name, in: reader) ?? []
        switch values.count {
        case 0: return [usual, usual]
        case 1: return [values[0], values[0]]
        case 2: return values
        default: throw fail(.argument(name, values))
        }
    }

    /// The place of an axis, which counts from the end if it is negative.
    func axis(_ axis: Int, rank: Int) throws -> Int {
        let place = axis < 0 ? axis + rank : axis
        guard 0..<max(rank, 1) ~= place else { throw fail(.axis(axis, rank: rank)) }
        return place
    }
}

extension ExportedProgram.Node {
    /// The node with other names of values.
    func renamed(_ name: (String) -> String) -> Self {
        let arguments = self.arguments.map {
            argument -> (name: String, value: ExportedProgram.Argument) in
            switch argument.value {
            case .tensor(let own): (argument.name, .tensor(name(own)))
            case .tensors(let list): (argument.name, .tensors(list.map { $0.map(name) }))
            default: argument
            }
        }
        return Self(
            name: name(self.name), target: target, arguments: arguments,
            outputs: outputs.map { $0.isEmpty ? "" : name($0) }, module: module)
    }
}
