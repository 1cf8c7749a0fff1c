// Graph -> ONNX, with the operators that onnxruntime and others have (opset 20).

internal import FoundationEssentials
public import GraftNetworks
internal import GraftSchemas
public import GraftTensors
import OrderedCollections
internal import SwiftProtobuf

/// Writes a network with its weights as an ONNX model.
public struct ONNXExport {
    private var model = Onnx_ModelProto()
    private var nodes: [Onnx_NodeProto] = []
    private var initializers: [Onnx_TensorProto] = []
    private let graph: Graph
    private let state: StateDict
    private let shapes: [Shape]
    private var names: [String] = []
    private var byteCount = 0

    /// The bytes of the model for images of height and width `input`, batches of any size. With
    /// `preprocessing`, the model takes images of bytes of any size. `metadata` become the model's
    /// properties.
    public static func bytes(
        _ graph: Graph, weights: StateDict, input: Extent, preprocessing: Input? = nil,
        metadata: [(key: String, value: String)] = []
    ) throws -> [UInt8] {
        var export = try ONNXExport(graph, weights, input)
        export.model.metadataProps = metadata.map { key, value in
            var property = Onnx_StringStringEntryProto()
            property.key = key
            property.value = value
            return property
        }
        return try export.run(preprocessing)
    }

    private init(_ graph: Graph, _ state: StateDict, _ input: Extent) throws {
        guard case .input(let images) = graph.nodes.first?.op else {
            throw NetworkError.invalidGraph("its first layer is not the input")
        }
        self.graph = graph
        self.state = state
        shapes = try graph.shapes(input: [1, images.channels, input.height, input.width])
    }

    private mutating func run(_ preprocessing: Input?) throws -> [UInt8] {
        for (index, node) in graph.nodes.enumerated() {
            if index == 0 {
                names.append(
                    prepared(preprocessing, height: shapes[0][2], width: shapes[0][3]))
                continue
            }
            let inputs = node.inputs.map { names[$0] }
            names.append(try add(node, inputs, shapes[node.inputs.first ?? 0], shapes[index]))
        }
        emit("Identity", [names[graph.output]], "output")
        var proto = Onnx_GraphProto()
        proto.name = graph.name
        proto.node = nodes
        proto.initializer = initializers
        proto.input = [preprocessing == nil ? value("input", shapes[0]) : Self.images("input")]
        proto.output = [value("output", shapes[graph.output])]
        var opset = Onnx_OperatorSetIdProto()
        opset.version = 20
        model.irVersion = 9
        model.producerName = "graft"
        model.producerVersion = Self.version
        model.opsetImport = [opset]
        model.graph = proto
        guard byteCount < 2_000_000_000 else {
            throw ArchitectureError.onnx(
                node: graph.name, reason: "its weights pass the 2 GB that a protobuf can hold")
        }
        return try model.serializedBytes()
    }

    /// The version of graft that writes the file.
    static let version = "0.1.0"

    /// Images of bytes, (batch, height, width, 3), of any size.
    private static func images(_ name: String) -> Onnx_ValueInfoProto {
        var tensor = Onnx_TypeProto.Tensor()
        tensor.elemType = 2
        for name in ["batch", "height", "width"] {
            var dimension = Onnx_TensorShapeProto.Dimension()
            dimension.dimParam = name
            tensor.shape.dim.append(dimension)
        }
        var channels = Onnx_TensorShapeProto.Dimension()
        channels.dimValue = 3
        tensor.shape.dim.append(channels)
        var value = Onnx_ValueInfoProto()
        value.name = name
        value.type.tensorType = tensor
        return value
    }

    private func value(_ name: String, _ shape: Shape) -> Onnx_ValueInfoProto {
        var tensor = Onnx_TypeProto.Tensor()
        tensor.elemType = 1
        for (axis, extent) in shape.dimensions.enumerated() {
            var dimension = Onnx_TensorShapeProto.Dimension()
            if axis == 0 {
                dimension.dimParam = "batch"
            } else {
                dimension.dimValue = Int64(extent)
            }
            tensor.shape.dim.append(dimension)
        }
        var value = Onnx_ValueInfoProto()
        value.name = name
        value.type.tensorType = tensor
        return value
    }

    /// An attribute's value.
    enum Setting {
        case integer(Int)
        case integers([Int])
        case number(Float)
        case text(String)
    }

    @discardableResult
    mutating func emit(
        _ op: String, _ inputs: [String], _ output: String, _ settings: [(String, Setting)] = []
    ) -> String {
        var node = Onnx_NodeProto()
        node.opType = op
        node.name = output
        node.input = inputs
        node.output = [output]
        for (name, setting) in settings {
            var attribute = Onnx_AttributeProto()
            attribute.name = name
            switch setting {
            case .integer(let value):
                attribute.type = .int
                attribute.i = Int64(value)
            case .integers(let values):
                attribute.type = .ints
                attribute.ints = values.map { Int64($0) }
            case .number(let value):
                attribute.type = .float
                attribute.f = value
            case .text(let value):
                attribute.type = .string
                attribute.s = Data(value.utf8)
            }
            node.attribute.append(attribute)
        }
        nodes.append(node)
        return output
    }

    mutating func constant(_ name: String, _ values: [Float], _ shape: [Int]) -> String {
        var tensor = Onnx_TensorProto()
        tensor.name = name
        tensor.dataType = 1
        tensor.dims = shape.map { Int64($0) }
        tensor.rawData = values.withUnsafeBytes { Data($0) }
        initializers.append(tensor)
        return name
    }

    mutating func constant(_ name: String, _ values: [Int]) -> String {
        var tensor = Onnx_TensorProto()
        tensor.name = name
        tensor.dataType = 7
        tensor.dims = [Int64(values.count)]
        tensor.rawData = values.map { Int64($0) }.withUnsafeBytes { Data($0) }
        initializers.append(tensor)
        return name
    }

    private mutating func weight(_ parameter: Parameter) throws -> String {
        guard let lazy = state[parameter.name] else {
            throw NetworkError.invalidGraph("its weight `\(parameter.name)` is missing")
        }
        var tensor = Onnx_TensorProto()
        tensor.name = parameter.name
        tensor.dataType = 1
        tensor.dims = parameter.shape.dimensions.map { Int64($0) }
        tensor.rawData = try lazy.converted(to: .f32).load().withBytes { Data($0) }
        byteCount += tensor.rawData.count
        initializers.append(tensor)
        return parameter.name
    }

    private func geometry(_ window: Window, _ before: Shape, _ after: Shape) -> [(String, Setting)]
    {
        let padding = window.resolvedPadding(height: before[2], width: before[3])
        // Where an incomplete last window counts, it reaches over the padding.
        func reach(_ axis: Int, _ start: Int, _ end: Int, _ key: KeyPath<Extent, Int>) -> Int {
            let span = window.dilation[keyPath: key] * (window.kernel[keyPath: key] - 1) + 1
            return max(
                end, (after[axis] - 1) * window.stride[keyPath: key] + span - before[axis] - start)
        }
        let bottom = reach(2, padding.top, padding.bottom, \.height)
        let right = reach(3, padding.left, padding.right, \.width)
        var settings: [(String, Setting)] = [
            ("kernel_shape", .integers([window.kernel.height, window.kernel.width])),
            ("strides", .integers([window.stride.height, window.stride.width])),
            ("pads", .integers([padding.top, padding.left, bottom, right])),
        ]
        if window.dilation != 1 {
            settings.append(
                ("dilations", .integers([window.dilation.height, window.dilation.width])))
        }
        return settings
    }

    private mutating func pad(_ padding: Padding, _ value: Float, _ x: String, _ name: String)
        -> String
    {
        let pads = constant(
            name + ".pads",
            [0, 0, padding.top, padding.left, 0, 0, padding.bottom, padding.right])
        return emit("Pad", [x, pads, constant(name + ".value", [value], [])], name)
    }

    private mutating func add(_ node: Node, _ inputs: [String], _ before: Shape, _ after: Shape)
        throws -> String
    {
        let name = node.name
        let x = inputs.first ?? "input"
        let isMap = after.rank == 4
        func constantShape(_ values: [Float]) -> [Int] {
            values.count == 1 ? [] : isMap ? [1, values.count, 1, 1] : [1, values.count]
        }
        switch node.op {
        case .input: return x
        case .conv2d(let op):
            let weights = try node.parameters.map { try weight($0) }
            return emit(
                "Conv", [x] + weights, name,
                geometry(op.window, before, after) + [("group", .integer(op.groups))])
        case .convTranspose2d(let op):
            let weights = try node.parameters.map { try weight($0) }
            guard case .explicit(let padding) = op.window.padding else {
                throw ArchitectureError.onnx(node: name, reason: "its padding is not explicit")
            }
            return emit(
                "ConvTranspose", [x] + weights, name,
                [
                    ("kernel_shape", .integers([op.window.kernel.height, op.window.kernel.width])),
                    ("strides", .integers([op.window.stride.height, op.window.stride.width])),
                    (
                        "dilations",
                        .integers([op.window.dilation.height, op.window.dilation.width])
                    ),
                    (
                        "pads",
                        .integers([padding.top, padding.left, padding.bottom, padding.right])
                    ),
                    (
                        "output_padding",
                        .integers([op.outputPadding.height, op.outputPadding.width])
                    ),
                    ("group", .integer(op.groups)),
                ])
        case .batchNorm(let op):
            // How many samples Keras' Normalization saw is no part of it.
            var weights = try node.parameters.filter { $0.role != .count }.map { try weight($0) }
            let channels = before[1]
            if !op.scale {
                let ones = [Float](repeating: 1, count: channels)
                weights.insert(constant(name + ".ones", ones, [channels]), at: 0)
            }
            if !op.shift {
                let zeros = [Float](repeating: 0, count: channels)
                weights.insert(constant(name + ".zeros", zeros, [channels]), at: 1)
            }
            return emit(
                "BatchNormalization", [x] + weights, name, [("epsilon", .number(op.epsilon))])
        case .layerNorm(let op):
            let weights = try node.parameters.map { try weight($0) }
            let settings: [(String, Setting)] = [
                ("axis", .integer(-1)), ("epsilon", .number(op.epsilon)),
            ]
            guard isMap else { return emit("LayerNormalization", [x] + weights, name, settings) }
            let last = emit("Transpose", [x], name + ".last", [("perm", .integers([0, 2, 3, 1]))])
            let y = emit("LayerNormalization", [last] + weights, name + ".normal", settings)
            return emit("Transpose", [y], name, [("perm", .integers([0, 3, 1, 2]))])
        case .linear:
            let weights = try node.parameters.map { try weight($0) }
            return emit("Gemm", [x] + weights, name, [("transB", .integer(1))])
        case .activation(let op): return self.activation(op.function, x, name)
        case .maxPool(let op):
            guard case .zeroSame = op.window.padding else {
                return emit("MaxPool", [x], name, geometry(op.window, before, after))
            }
            // ONNX pads a maximum with −∞, and here the zeros are values.
            let padding = op.window.resolvedPadding(height: before[2], width: before[3])
            let padded = pad(padding, 0, x, name + ".padded")
            var (bare, grown) = (op.window, before)
            bare.padding = .valid
            grown[2] += padding.top + padding.bottom
            grown[3] += padding.left + padding.right
            return emit("MaxPool", [padded], name, geometry(bare, grown, after))
        case .averagePool(let op):
            return emit(
                "AveragePool", [x], name,
                geometry(op.window, before, after) + [
                    ("count_include_pad", .integer(op.countsPadding ? 1 : 0))
                ])
        case .globalAveragePool(let op):
            return pooled(
                x, kind: "GlobalAveragePool", name: name, keepsDimensions: op.keepsDimensions)
        case .globalMaxPool(let op):
            return pooled(x, kind: "GlobalMaxPool", name: name, keepsDimensions: op.keepsDimensions)
        case .adaptiveAveragePool(let op):
            if before[2] == op.height, before[3] == op.width { return x }
            guard before[2] % op.height == 0, before[3] % op.width == 0 else {
                throw ArchitectureError.onnx(
                    node: name, reason: "it pools \(before) to \(op.height) × \(op.width)")
            }
            let cell = [before[2] / op.height, before[3] / op.width]
            return emit(
                "AveragePool", [x], name,
                [("kernel_shape", .integers(cell)), ("strides", .integers(cell))])
        case .add, .multiply:
            let op = node.op == .add ? "Add" : "Mul"
            var sum = x
            for (index, input) in inputs.enumerated().dropFirst() {
                let isLast = index == inputs.count - 1
                sum = emit(op, [sum, input], isLast ? name : "\(name).\(index)")
            }
            return sum
        case .concatenate: return emit("Concat", inputs, name, [("axis", .integer(1))])
        case .slice(let op):
            let bounds = [
                constant(name + ".start", [op.start]),
                constant(name + ".end", [op.start + op.count]),
                constant(name + ".axis", [1]),
            ]
            return emit("Slice", [x] + bounds, name)
        case .flatten(let op):
            let ordered =
                op.channelsLast
                ? emit("Transpose", [x], name + ".last", [("perm", .integers([0, 2, 3, 1]))]) : x
            return emit("Flatten", [ordered], name, [("axis", .integer(1))])
        case .reshape(let op):
            let sizes =
                op.channelsLast
                ? [0, op.height, op.width, op.channels] : [0, op.channels, op.height, op.width]
            let shape = constant(name + ".shape", sizes)
            guard op.channelsLast else { return emit("Reshape", [x, shape], name) }
            let last = emit("Reshape", [x, shape], name + ".last")
            return emit("Transpose", [last], name, [("perm", .integers([0, 3, 1, 2]))])
        case .pad(let op): return pad(op.padding, op.value, x, name)
        case .upsample(let op):
            let scales = constant(name + ".scales", [1, 1, Float(op.height), Float(op.width)], [4])
            let settings: [(String, Setting)] =
                op.bilinear
                ? [
                    ("mode", .text("linear")),
                    ("coordinate_transformation_mode", .text("half_pixel")),
                ]
                : [
                    ("mode", .text("nearest")), ("nearest_mode", .text("floor")),
                    ("coordinate_transformation_mode", .text("asymmetric")),
                ]
            return emit("Resize", [x, "", scales], name, settings)
        case .channelShuffle(let op):
            let (c, h, w) = (after[1], after[2], after[3])
            let split = constant(name + ".split", [0, op.groups, c / op.groups, h, w])
            let joined = constant(name + ".joined", [0, c, h, w])
            let parts = emit("Reshape", [x, split], name + ".parts")
            let turned = emit(
                "Transpose", [parts], name + ".turned", [("perm", .integers([0, 2, 1, 3, 4]))])
            return emit("Reshape", [turned, joined], name)
        case .affine(let op):
            let factor = constant(name + ".scale", op.scale, constantShape(op.scale))
            let offset = constant(name + ".shift", op.shift, constantShape(op.shift))
            let scaled = emit("Mul", [x, factor], name + ".scaled")
            return emit("Add", [scaled, offset], name)
        case .channelScale:
            let gamma = try weight(node.parameters[0])
            let shape = constant(name + ".shape", isMap ? [1, after[1], 1, 1] : [1, after[1]])
            let factor = emit("Reshape", [gamma, shape], name + ".factor")
            return emit("Mul", [x, factor], name)
        case .dropout, .dropPath: return x
        case .softmax: return emit("Softmax", [x], name, [("axis", .integer(1))])
        case .unitNorm:
            return emit(
                "LpNormalization", [x], name, [("axis", .integer(1)), ("p", .integer(2))])
        }
    }

    /// A pooling over the whole map, flattened unless it `keepsDimensions`.
    private mutating func pooled(_ x: String, kind: String, name: String, keepsDimensions: Bool)
        -> String
    {
        guard !keepsDimensions else { return emit(kind, [x], name) }
        let map = emit(kind, [x], name + ".map")
        return emit("Flatten", [map], name, [("axis", .integer(1))])
    }

    private mutating func activation(_ activation: Activation, _ x: String, _ name: String)
        -> String
    {
        switch activation {
        case .relu: return emit("Relu", [x], name)
        case .relu6:
            let limits = [constant(name + ".min", [0], []), constant(name + ".max", [6], [])]
            return emit("Clip", [x] + limits, name)
        case .sigmoid: return emit("Sigmoid", [x], name)
        case .tanh: return emit("Tanh", [x], name)
        case .swish: return emit("Mul", [x, emit("Sigmoid", [x], name + ".gate")], name)
        case .hardSigmoid:
            return emit(
                "HardSigmoid", [x], name, [("alpha", .number(1.0 / 6)), ("beta", .number(0.5))])
        case .hardSwish: return emit("HardSwish", [x], name)
        case .gelu: return emit("Gelu", [x], name)
        case .geluTanh: return emit("Gelu", [x], name, [("approximate", .text("tanh"))])
        case .elu: return emit("Elu", [x], name)
        case .leakyReLU: return emit("LeakyRelu", [x], name, [("alpha", .number(0.01))])
        case .exponential: return emit("Exp", [x], name)
        case .softplus: return emit("Softplus", [x], name)
        case .mish: return emit("Mish", [x], name)
        }
    }
}
