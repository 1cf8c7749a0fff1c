// The walk over a program of torch.export: which value each name stands for.

internal import GraftSchemas
import GraftTensors

/// Writes a graph of ATen operators down as ONNX operators.
///
/// The sizes are those that the program says, with a batch that may be any as one image. An operator
/// that writes into its operand yields the value that the operand's name stands for from then on; where
/// that is a view, what shares its numbers must not be read again.
struct ATenReader {
    private(set) var program: ExportedProgram
    var draft: ONNXDraft
    private let weights: StateDict
    /// The draft's name of each value.
    private var values: [String: String] = [:]
    /// The program's names of weights.
    private var origins: [String: String] = [:]
    /// The integers that the program computes.
    private(set) var symbols: [String: Int] = [:]
    /// The value whose numbers a view shares.
    private var roots: [String: String] = [:]
    /// The values that are one place along an axis of another, by which that can be written to.
    private var places: [String: (base: String, axis: Int, index: Int)] = [:]
    /// The parts of a value that was stacked along an axis.
    private(set) var stacks: [String: (axis: Int, parts: [String])] = [:]
    /// The values whose numbers were overwritten through a view, and the node that did.
    private var stale: [String: String] = [:]
    /// The weights that are in the draft under their own name, and in which form.
    private var forms: [String: String] = [:]

    init(_ program: ExportedProgram, weights: StateDict) throws {
        self.program = program
        self.weights = weights
        var names = weights
        for name in program.inputs.map(\.name) + program.outputs where names[name] == nil {
            names[name] = LazyTensor(Tensor([0], shape: [1]))
        }
        draft = ONNXDraft(reserved: names)
        var hasInput = false
        for (name, origin) in program.inputs {
            switch origin {
            case .weight(let weight): origins[name] = weight
            case .constant: continue
            case .user:
                guard let value = program.values[name] else { continue }
                // The batch is the one size of an input that may be any.
                if case .symbol(let batch)? = value.sizes.first { symbols[batch] = 1 }
                let sizes = try value.sizes.map { size in
                    guard let number = number(size), (1...65536).contains(number) else {
                        throw ArchitectureError.exportedProgram(
                            node: name,
                            reason: "only its batch may be open, expected sizes of 1 to 65536")
                    }
                    return number
                }
                draft.input(named: name, shape: sizes)
                values[name] = name
                hasInput = true
            }
        }
        guard hasInput, !program.outputs.isEmpty else {
            throw ArchitectureError.exportedProgram(
                node: "graph", reason: "it has no input or no output that is a tensor")
        }
    }

    mutating func addOutputs() throws {
        for name in program.outputs {
            guard let value = values[name] else {
                throw ArchitectureError.exportedProgram(
                    node: name, reason: "the output is not what an operator yields")
            }
            draft.output(value, named: name)
        }
    }

    /// Reads a node of the program.
    mutating func add(_ node: ExportedProgram.Node) throws {
        let call = ATenCall(node: node)
        if let graph = call.calledGraph { return try add(graph, of: call) }
        guard let row = ATenOperator.all[call.operator] else {
            throw call.fail(.unknown(node.target))
        }
        let results = try row.read(call, &self)
        guard results.count <= node.outputs.count || node.outputs.isEmpty else {
            throw call.fail(.values(node.outputs.count, of: results.count))
        }
        for (name, result) in zip(node.outputs, results) where !name.isEmpty {
            values[name] = result
            if row.isView, let source = call.operand { roots[name] = root(of: source) }
        }
        guard call.isInPlace, let source = call.operand, let result = results.first else { return }
        let own = root(of: source)
        let updated = try writeBack(result, to: source, for: call)
        for (name, root) in roots where root == own && !updated.contains(name) {
            stale[name] = node.name
        }
        if !updated.contains(own) { stale[own] = node.name }
        // The result is the operand itself: a later view of it shares with no other.
        for name in node.outputs { roots[name] = nil }
        if own != source, !updated.contains(own) { roots[source] = nil }
    }

    /// Gives a value new numbers, and what it is one place of. Returns the names that have them.
    private mutating func writeBack(
        _ result: String, to name: String, for call: ATenCall
    ) throws -> Set<String> {
        values[name] = result
        guard let (base, axis, index) = places[name] else { return [name] }
        let shape = try shape(of: base, for: call)
        let path = "\(call.path).\(base)"
        let x = try value(base, for: call)
        let axes = draft.constant([axis], name: path + ".axis")
        var parts: [String] = []
        for (start, end) in [(0, index), (index + 1, shape[axis])] {
            if start == index + 1 {
                parts.append(
                    draft.emit("Unsqueeze", name: path + ".part", inputs: [result, axes]))
            }
            guard start < end else { continue }
            let bounds = [start, end].map { draft.constant([$0], name: path + ".bound") }
            parts.append(
                draft.emit("Slice", name: path + ".rest", inputs: [x] + bounds + [axes]))
        }
        let whole = draft.emit(
            "Concat", name: path, inputs: parts, attributes: ["axis": .integer(axis)])
        return try writeBack(whole, to: base, for: call).union([name])
    }

    /// Says that a call's value is one place along an axis of another.
    mutating func setPlace(_ call: ATenCall, base: String, axis: Int, index: Int) {
        guard let name = call.node.outputs.first else { return }
        places[name] = (base, axis, index)
    }

    /// Says which parts a call stacks.
    mutating func setStack(_ call: ATenCall, axis: Int, parts: [String]) {
        guard let name = call.node.outputs.first else { return }
        stacks[name] = (axis, parts)
    }

    /// Reads the nodes of a graph that a call of another precision or without gradients wraps.
    private mutating func add(
        _ graph: ExportedProgram.Subgraph, of call: ATenCall
    ) throws {
        let given = call.node.arguments.compactMap { argument -> String? in
            if case .tensor(let name) = argument.value { name } else { nil }
        }
        guard given.count == graph.inputs.count, graph.outputs.count == call.node.outputs.count
        else { throw call.fail(.values(given.count, of: graph.inputs.count)) }
        let renames = Dictionary(zip(graph.inputs, given)) { $1 }
        func outer(_ name: String) -> String { renames[name] ?? "\(call.node.name)/\(name)" }
        for (name, value) in graph.values where renames[name] == nil {
            program.values[outer(name)] = value
        }
        for node in graph.nodes { try add(node.renamed(outer)) }
        for (inner, result) in zip(graph.outputs, call.node.outputs) where !result.isEmpty {
            values[result] = try value(outer(inner), for: call)
        }
    }

    private func root(of name: String) -> String { roots[name] ?? name }

    // MARK: Values

    private func number(_ size: ExportedProgram.Size) -> Int? {
        switch size {
        case .fixed(let number): number
        case .symbol(let name): symbols[name]
        }
    }

    /// Integers, those that are computed among them.
    func numbers(_ sizes: [ExportedProgram.Size], for call: ATenCall) throws -> [Int] {
        try sizes.map { size in
            guard let number = number(size) else {
                throw call.fail(.openSizes)
            }
            return number
        }
    }

    /// Says which integer a name stands for.
    mutating func set(_ name: String, to number: Int) { symbols[name] = number }

    /// The sizes of a value.
    func shape(of name: String, for call: ATenCall) throws -> [Int] {
        guard let value = program.values[name] else {
            throw call.fail(.noSizes(name))
        }
        let sizes = try numbers(value.sizes, for: call)
        guard sizes.allSatisfy({ $0 >= 0 }), Shape(sizes).checkedCount != nil else {
            throw call.fail(.impossible(name, sizes))
        }
        return sizes
    }

    /// The sizes of the value that a call yields.
    func shape(ofResult call: ATenCall, at index: Int = 0) throws -> [Int] {
        guard call.node.outputs.indices.contains(index) else {
            throw call.fail(.missingOutput(index))
        }
        return try shape(of: call.node.outputs[index], for: call)
    }

    /// Whether a value is of floating-point numbers.
    func isReal(_ name: String) -> Bool {
        [6, 7, 8, 13].contains(program.values[name]?.type ?? 7)
    }

    /// The draft's name of a value.
    mutating func value(_ name: String, for call: ATenCall) throws -> String {
        if let node = stale[name] {
            throw call.fail(.overwritten(name, by: node))
        }
        if let value = values[name] { return value }
        guard let weight = origins[name] else { throw call.fail(.missing(name)) }
        let value = try self.weight(weight, form: "plain", for: call) { $0 }
        values[name] = value
        return value
    }

    /// A weight in a form of its own, under its name in the state dict where that is free.
    private mutating func weight(
        _ weight: String, form: String, for call: ATenCall, _ change: (LazyTensor) -> LazyTensor
    ) throws -> String {
        guard var tensor = weights[weight] else { throw call.fail(.missing(weight)) }
        if tensor.dtype.isFloatingPoint { tensor = tensor.converted(to: .f32) }
        tensor = change(tensor)
        let known = forms[weight]
        if known == form { return weight }
        guard known == nil else { return draft.constant(try tensor.load(), name: weight) }
        forms[weight] = form
        draft.weight(tensor, name: weight)
        return weight
    }

    /// A matrix with its axes exchanged: a weight is so from the beginning.
    mutating func transposed(_ name: String, for call: ATenCall) throws -> String {
        if values[name] == nil, let weight = origins[name],
            let tensor = weights[weight], tensor.shape.rank == 2
        {
            return try self.weight(weight, form: "transposed", for: call) { $0.permuted([1, 0]) }
        }
        let rank = try shape(of: name, for: call).count
        guard rank >= 2 else { throw call.fail(.noMatrix) }
        let order = Array(0..<(rank - 2)) + [rank - 1, rank - 2]
        return draft.emit(
            "Transpose", name: call.path + ".transposed", inputs: [try value(name, for: call)],
            attributes: ["perm": .integers(order)])
    }

    /// A value under other sizes: a weight is so from the beginning.
    mutating func reshaped(_ name: String, to sizes: [Int], for call: ATenCall) throws -> String {
        if values[name] == nil, let weight = origins[name], let tensor = weights[weight],
            tensor.count == Shape(sizes).checkedCount
        {
            return try self.weight(weight, form: "\(sizes)", for: call) {
                $0.reshaped(Shape(sizes))
            }
        }
        return view(
            try value(name, for: call), from: try shape(of: name, for: call), to: sizes,
            name: call.path + ".reshaped")
    }

    /// Adds other sizes; those of a batch stay open.
    mutating func view(
        _ x: String, from before: [Int], to after: [Int], name: String
    ) -> String {
        guard before != after else { return x }
        var sizes = after
        if let lead = before.first, before.count > 0, sizes.first == lead, lead > 0 { sizes[0] = 0 }
        let shape = draft.constant(sizes, name: name + ".shape")
        return draft.emit("Reshape", name: name, inputs: [x, shape])
    }
}
