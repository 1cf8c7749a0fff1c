// The JSON of torch.export's programs.

import GraftSchemas
import GraftTensors

/// Reads the schema of torch/_export/serde/schema.py, whose names are the same in every version.
struct ExportedProgramReader {
    /// The most nodes of a graph.
    static let maximumNodeCount = 100_000
    /// The most levels of graphs in graphs.
    private static let maximumDepth = 8
    /// The most axes of a value.
    private static let maximumRank = 16

    let source: Source

    /// The fields that a graph and its weights must have.
    private enum Field: String {
        case graph, nodes, signature, sizes, strides, size, target, arg, subgraph
        case name = "arg.name"
    }

    private func missing(_ field: Field) -> FormatError {
        source.malformed(.exportedProgram(.noField(field.rawValue)))
    }

    func program(_ tree: JSONTree) throws -> ExportedProgram {
        guard let module = tree["graph_module"], let graph = module["graph"] else {
            throw missing(.graph)
        }
        var program = ExportedProgram()
        (program.nodes, program.values) = try contents(graph, depth: 0)
        guard let signature = module["signature"],
            let inputs = signature["input_specs"]?.list,
            let outputs = signature["output_specs"]?.list
        else { throw missing(.signature) }
        program.inputs = try inputs.compactMap(input)
        program.outputs = outputs.compactMap { spec in
            (spec["user_output"] ?? spec["loss_output"])?["arg"].flatMap(tensorName)
        }
        return program
    }

    /// The nodes and values of a graph.
    private func contents(_ graph: JSONTree, depth: Int) throws -> (
        nodes: [ExportedProgram.Node], values: [String: ExportedProgram.Value]
    ) {
        guard depth < Self.maximumDepth else {
            throw source.malformed(.exportedProgram(.depth(limit: Self.maximumDepth)))
        }
        var values: [String: ExportedProgram.Value] = [:]
        for entry in graph["tensor_values"]?.object?.members ?? [] {
            values[entry.key] = try value(entry.value)
        }
        guard let nodes = graph["nodes"]?.list else { throw missing(.nodes) }
        guard nodes.count <= Self.maximumNodeCount else {
            throw source.malformed(
                .exportedProgram(.nodes(count: nodes.count, limit: Self.maximumNodeCount)))
        }
        return (try nodes.enumerated().map { try node($1, number: $0, depth: depth) }, values)
    }

    /// A graph that an operator calls.
    private func subgraph(_ tree: JSONTree, depth: Int) throws -> ExportedProgram.Argument {
        guard let name = tree["name"]?.string, let graph = tree["graph"],
            let inputs = graph["inputs"]?.list, let outputs = graph["outputs"]?.list
        else { throw missing(.subgraph) }
        let (nodes, values) = try contents(graph, depth: depth + 1)
        return .graph(
            .init(
                name: name, inputs: inputs.map { tensorName($0) ?? "" },
                outputs: outputs.map { tensorName($0) ?? "" }, nodes: nodes, values: values))
    }

    /// The name of the tensor that an argument is.
    private func tensorName(_ argument: JSONTree) -> String? {
        argument["as_tensor"]?["name"]?.string ?? argument["name"]?.string
    }

    private func input(_ spec: JSONTree) throws -> (name: String, origin: ExportedProgram.Origin)? {
        let named = [
            ("parameter", "parameter_name"), ("buffer", "buffer_name"),
            ("tensor_constant", "tensor_constant_name"),
        ]
        for (kind, key) in named {
            guard let own = spec[kind] else { continue }
            guard let name = own["arg"].flatMap(tensorName), let weight = own[key]?.string else {
                throw missing(.name)
            }
            return (name, .weight(weight))
        }
        guard let user = spec["user_input"]?["arg"], let name = tensorName(user) else { return nil }
        return (name, .user)
    }

    private func value(_ meta: JSONTree) throws -> ExportedProgram.Value {
        guard let sizes = meta["sizes"]?.list, sizes.count <= Self.maximumRank else {
            throw missing(.sizes)
        }
        return .init(sizes: try sizes.map(size), type: meta["dtype"]?.int ?? 0)
    }

    /// A size: a number, or an expression of symbols.
    private func size(_ tree: JSONTree) throws -> ExportedProgram.Size {
        if let number = tree["as_int"]?.int ?? tree.int { return .fixed(number) }
        if let name = tree["as_name"]?.string { return .symbol(name) }
        guard let text = tree["as_expr"]?["expr_str"]?.string else { throw missing(.size) }
        // A symbol by itself stands with its assumptions: Symbol('s0', positive=True, integer=True).
        if text.hasPrefix("Symbol('"), let end = text.dropFirst(8).firstIndex(of: "'"),
            text[end...].allSatisfy({ $0 != "(" }), text.filter({ $0 == ")" }).count == 1
        {
            return .symbol(String(text.dropFirst(8)[..<end]))
        }
        return .symbol(text)
    }

    private func node(
        _ tree: JSONTree, number: Int, depth: Int
    ) throws -> ExportedProgram.Node {
        guard let target = tree["target"]?.string, let inputs = tree["inputs"]?.list,
            let outputs = tree["outputs"]?.list
        else { throw missing(.target) }
        var names: [String] = []
        for output in outputs {
            if let list = output["as_tensors"]?.list {
                names += list.map { $0["name"]?.string ?? "" }
            } else if let list = output["as_optional_tensors"]?.list {
                names += list.map { tensorName($0) ?? "" }
            } else {
                let symbol = output["as_sym_int"] ?? output["as_sym_float"]
                names.append(tensorName(output) ?? symbol?["as_name"]?.string ?? "")
            }
        }
        let arguments = try inputs.map { input -> (name: String, value: ExportedProgram.Argument) in
            guard let name = input["name"]?.string, let value = input["arg"] else {
                throw missing(.arg)
            }
            return (name, try argument(value, depth: depth))
        }
        // "L__self__,,Net;L__self___conv,conv,torch.nn.Conv2d": the innermost module's path.
        let stack = tree["metadata"]?["nn_module_stack"]?.string ?? ""
        let parts = stack.split(separator: ";").last?.split(
            separator: ",", omittingEmptySubsequences: false)
        let module = parts.map { $0.count > 1 ? String($0[1]) : "" } ?? ""
        return .init(
            name: tree["name"]?.string ?? names.first { !$0.isEmpty } ?? "node_\(number)",
            target: target, arguments: arguments, outputs: names, module: module)
    }

    private func argument(_ tree: JSONTree, depth: Int) throws -> ExportedProgram.Argument {
        guard
            let (kind, value) = tree.object?.members.first(where: { $0.value != .null }).map({
                ($0.key, $0.value)
            })
        else { return .none }
        switch kind {
        case "as_none": return .none
        case "as_graph": return try subgraph(value, depth: depth)
        case "as_tensor": return value["name"]?.string.map { .tensor($0) } ?? .none
        case "as_tensors": return .tensors((value.list ?? []).map { $0["name"]?.string })
        case "as_optional_tensors": return .tensors((value.list ?? []).map(tensorName))
        case "as_optional_tensor": return tensorName(value).map { .tensor($0) } ?? .none
        case "as_int": return value.int.map { .integer($0) } ?? .other(kind)
        case "as_ints", "as_sym_ints": return .integers(try (value.list ?? []).map(size))
        case "as_sym_int":
            if let number = value["as_int"]?.int { return .integer(number) }
            return value["as_name"]?.string.map { .symbol($0) } ?? .other(kind)
        case "as_float": return value.number.map { .number($0) } ?? .other(kind)
        case "as_floats": return .numbers((value.list ?? []).map { $0.number ?? .nan })
        case "as_sym_float":
            return value["as_float"]?.number.map { .number($0) } ?? .other(kind)
        case "as_bool": return value.truth.map { .flag($0) } ?? .other(kind)
        case "as_sym_bool": return value["as_bool"]?.truth.map { .flag($0) } ?? .other(kind)
        case "as_bools": return .flags((value.list ?? []).map { $0.truth ?? false })
        case "as_string": return value.string.map { .text($0) } ?? .other(kind)
        case "as_scalar_type": return value.int.map { .type($0) } ?? .other(kind)
        // Where it lies and how its bytes are ordered change no number.
        case "as_memory_format", "as_layout", "as_device": return .none
        default: return .other(kind)
        }
    }

    // MARK: Weights

    /// The tensor that a description finds in bytes.
    func tensor(
        named name: String, _ meta: JSONTree, in place: TorchFile.Place, fileByteCount: Int
    ) throws -> LazyTensor {
        func integers(_ field: Field) throws -> [Int] {
            guard let list = meta[field.rawValue]?.list, list.count <= Self.maximumRank else {
                throw missing(field)
            }
            return try list.map { entry in
                guard let number = entry["as_int"]?.int, number >= 0 else { throw missing(field) }
                return number
            }
        }
        let sizes = try integers(.sizes)
        let strides = try integers(.strides)
        let offset = meta["storage_offset"]?["as_int"]?.int ?? 0
        guard let code = meta["dtype"]?.int, let dtype = Self.dtype(code) else {
            throw source.unsupported(
                .numberType(tensor: name, code: meta["dtype"]?.int ?? 0))
        }
        let shape = Shape(sizes)
        guard sizes.count == strides.count, offset >= 0,
            let byteCount = shape.checkedByteCount(dtype), byteCount / 1000 <= fileByteCount
        else { throw source.malformed(.torch(.impossibleShape(tensor: name, shape))) }
        var end = offset
        for (size, stride) in zip(sizes, strides) where byteCount > 0 {
            let (steps, overflow) = (size - 1).multipliedReportingOverflow(by: stride)
            let (sum, second) = end.addingReportingOverflow(steps)
            guard !overflow, !second else {
                throw source.malformed(.torch(.impossibleShape(tensor: name, shape)))
            }
            end = sum
        }
        let available = place.byteCount / dtype.byteCount
        guard byteCount == 0 || end < available else {
            throw source.malformed(.torch(.outside(tensor: name, storageCount: available)))
        }
        return LazyTensor(dtype, shape, strides: strides) {
            let (bytes, start) = try place.find()
            return (bytes, start + offset * dtype.byteCount)
        }
    }

    /// The schema's numbers of types (`ScalarType`).
    static func dtype(_ code: Int) -> DType? {
        switch code {
        case 1: .u8
        case 2: .i8
        case 3: .i16
        case 4: .i32
        case 5: .i64
        case 6: .f16
        case 7: .f32
        case 8: .f64
        case 12: .bool
        case 13: .bf16
        case 28: .u16
        default: nil
        }
    }
}

extension JSONTree {
    /// A whole number.
    fileprivate var int: Int? {
        switch self {
        case .integer(let value): value
        case .number(let value): Int(exactly: value)
        default: nil
        }
    }
}
