// The inputs of an ONNX file: images, or values of any type.

import GraftNetworks
internal import GraftSchemas
import GraftTensors

/// The beginning of a graph: its input nodes, and the values of the file that they are.
struct ONNXEntry {
    private(set) var builder: GraphBuilder
    private(set) var values: [String: ONNXValue] = [:]
    private(set) var held: [Int: Tensor] = [:]
    private(set) var hasFixedSize = true
    /// The number of images that the file was exported for; 1 for any number.
    private(set) var batch = 1
    /// The largest size of an image that a file says; others are taken for any size.
    private static let sizes = 1...65536

    /// The inputs of a file, for the tensors of `feed` or for values to come.
    init(
        _ inputs: [Onnx_ValueInfoProto], of proto: Onnx_GraphProto, feed: ONNXFeed?
    ) throws {
        for input in inputs where !input.type.hasTensor {
            throw ArchitectureError.onnx(
                node: input.name, reason: "expected an input that is a tensor")
        }
        guard feed == nil else {
            builder = try GraphBuilder(naming: .torch, inputs: [])
            if let feed { try hold(inputs, of: feed) }
            return
        }
        guard inputs.count == 1, inputs[0].isMap else {
            builder = try GraphBuilder(naming: .torch, inputs: inputs.map { try $0.typed() })
            guard !inputs.isEmpty else {
                throw ArchitectureError.onnx(
                    node: proto.name, reason: ONNXFlaw.missing(.input).explanation)
            }
            for (index, input) in inputs.enumerated() { values[input.name] = .node(index) }
            return
        }
        let sizes = inputs[0].type.tensorType.shape.dim.map { Int(clamping: $0.dimValue) }
        let isLast = Self.isChannelsLast(inputs[0].name, in: proto)
        let order = isLast ? [0, 3, 1, 2] : [0, 1, 2, 3]
        guard Self.sizes ~= sizes[order[1]] else {
            throw ArchitectureError.onnx(
                node: inputs[0].name, reason: "expected an input (N, C, H, W), got \(Shape(sizes))")
        }
        func size(_ value: Int) -> Int { Self.sizes ~= value ? value : 224 }
        batch = max(sizes[0], 1)
        hasFixedSize = order[2...].allSatisfy { Self.sizes ~= sizes[$0] }
        builder = try GraphBuilder(
            naming: .torch,
            input: [1, sizes[order[1]], size(sizes[order[2]]), size(sizes[order[3]])],
            inputName: "input")
        values[inputs[0].name] = isLast ? .channelsLast(0) : .node(0)
    }

    /// The tensors of a run as inputs of the graph, or as numbers where they may decide sizes.
    private mutating func hold(_ inputs: [Onnx_ValueInfoProto], of feed: ONNXFeed) throws {
        var nodes: [GraphBuilder.TypedInput] = []
        for input in inputs {
            guard let given = feed.inputs[input.name] else {
                throw ArchitectureError.onnx(
                    node: input.name, reason: "no tensor is given for this input")
            }
            let tensor = try input.accepted(given)
            if tensor.isStructure {
                values[input.name] = .constant(tensor)
                continue
            }
            values[input.name] = .node(nodes.count)
            held[nodes.count] = tensor
            nodes.append(
                .init(name: input.name, type: ValueType(tensor.shape, element: tensor.dtype)))
        }
        if nodes.isEmpty { (nodes, held) = Self.nothing }
        builder = try GraphBuilder(naming: .torch, inputs: nodes)
    }

    /// The input of a graph that reads none, since a graph has one.
    static let nothing: (nodes: [GraphBuilder.TypedInput], held: [Int: Tensor]) = (
        [.init(name: "nothing", type: ValueType([1]))], [0: Tensor([0], shape: [1])]
    )

    /// Whether images come as (N, H, W, C): all that reads them puts the channels first.
    private static func isChannelsLast(_ input: String, in proto: Onnx_GraphProto) -> Bool {
        var names: Set<String> = [input]
        var isTurned = false
        for node in proto.node where node.input.contains(where: names.contains) {
            switch node.opType {
            case "Cast", "Identity": names.formUnion(node.output)
            case "Transpose" where order(of: node) == [0, 3, 1, 2]: isTurned = true
            case "Shape": break
            default: return false
            }
        }
        return isTurned
    }

    /// The order of axes that a transposition makes.
    static func order(of node: Onnx_NodeProto) -> [Int]? {
        node.attribute.first { $0.name == "perm" }?.ints.map { Int(clamping: $0) }
    }
}

extension Onnx_ValueInfoProto {
    /// The sizes that the file says; nil where it says none.
    fileprivate var sizes: [Int?] {
        type.tensorType.shape.dim.map { size in
            if case .dimValue(let value)? = size.value, value >= 0 {
                Int(clamping: value)
            } else {
                nil
            }
        }
    }

    /// The type of elements that graft has for those of the file.
    fileprivate var element: DType? {
        var tensor = Onnx_TensorProto()
        tensor.dataType = type.tensorType.elemType
        return tensor.graftType
    }

    /// Whether it may be images: four axes of numbers.
    fileprivate var isMap: Bool {
        sizes.count == 4 && (element.map { $0.isFloatingPoint || $0 == .u8 } ?? true)
    }

    /// An input for values of the type that the file says; a batch of any size is one of one.
    fileprivate func typed() throws -> GraphBuilder.TypedInput {
        var shape: [Int] = []
        for (axis, size) in sizes.enumerated() {
            guard let size = size ?? (axis == 0 ? 1 : nil), size > 0 else {
                throw ArchitectureError.onnx(
                    node: name,
                    reason:
                        "its axis \(axis) has no size in the file: `graft run` takes it from the "
                        + "tensor")
            }
            shape.append(size)
        }
        guard let element else {
            throw ArchitectureError.onnx(
                node: name, reason: "graft has no element type \(type.tensorType.elemType)")
        }
        return .init(
            name: name,
            type: ValueType(Shape(shape), element: element.isFloatingPoint ? .f32 : element))
    }

    /// Whether a tensor has the sizes that the file says.
    func fits(_ shape: Shape) -> Bool {
        guard type.tensorType.hasShape else { return true }
        return sizes.count == shape.rank
            && zip(sizes, shape.dimensions).allSatisfy { $0 == nil || $0 == $1 }
    }

    /// A tensor as the graph takes it.
    fileprivate func accepted(_ tensor: Tensor) throws -> Tensor {
        guard fits(tensor.shape) else {
            let expected = sizes.map { $0.map(String.init) ?? "any" }.joined(separator: ", ")
            throw ArchitectureError.onnx(
                node: name, reason: "expected an input (\(expected)), found \(tensor.shape)")
        }
        guard let element else {
            throw ArchitectureError.onnx(
                node: name, reason: "graft has no element type \(type.tensorType.elemType)")
        }
        guard element.isFloatingPoint || !tensor.dtype.isFloatingPoint else {
            throw ArchitectureError.onnx(
                node: name,
                reason: "expected elements of type \(element.rawValue), found "
                    + tensor.dtype.rawValue)
        }
        let result = tensor.converted(to: element.isFloatingPoint ? .f32 : element)
        guard result.isStructure || result.isExact else {
            throw ArchitectureError.onnx(
                node: name,
                reason:
                    "graft holds integers up to \(Int(ONNXFeed.exactMagnitude)), and one is larger")
        }
        return result
    }
}

extension Onnx_TypeProto {
    /// Whether it is of tensors, and not of sequences or what may be missing.
    fileprivate var hasTensor: Bool {
        if case .tensorType? = value { true } else { value == nil }
    }
}
