// Graph -> ONNX, with the operators that onnxruntime and others have (opset 20).

internal import FoundationEssentials
public import GraftNetworks
internal import GraftSchemas
public import GraftTensors
import OrderedCollections
internal import SwiftProtobuf

/// Writes a network with its weights as an ONNX model.
public struct ONNXExport {
    /// The program that files name as the one that wrote them.
    static let producer = "graft"
    /// The version of graft that writes the file.
    static let version = "0.1.0"
    /// The version of the operators.
    static let opset: Int64 = 20
    /// The size of weights that a protobuf, which is limited to 2 GiB, can hold beside the rest.
    static let maximumByteCount = 2_000_000_000

    /// The bytes of the model for images of height and width `input`, batches of any size. With
    /// `preprocessing`, the model takes images of bytes of any size. `metadata` become the model's
    /// properties.
    public static func bytes(
        _ graph: Graph, weights: StateDict, input: Extent, preprocessing: Input? = nil,
        metadata: [(key: String, value: String)] = []
    ) throws -> [UInt8] {
        guard case .input(let entry) = graph.nodes.first?.op else {
            throw NetworkError.invalidGraph("its first layer is not the input")
        }
        let shapes = try graph.shapes(input: [1, entry.channels, input.height, input.width])
        var written = ONNXGraph(weights: weights)
        var names = [written.prepare(preprocessing, size: input)]
        for (node, shape) in zip(graph.nodes, shapes).dropFirst() {
            let site = ONNXSite(
                node: node, inputs: node.inputs.map { names[$0] },
                shapes: node.inputs.map { shapes[$0] }, after: shape)
            names.append(try node.op.exportable.write(at: site, to: &written))
        }
        let output = written.emit(
            "Identity", name: "output", inputs: [names[graph.output]])
        guard written.byteCount < maximumByteCount else {
            throw ArchitectureError.onnx(
                node: graph.name, reason: "its weights pass the 2 GB that a protobuf can hold")
        }
        var proto = Onnx_GraphProto()
        proto.name = graph.name
        proto.node = written.nodes
        proto.initializer = written.initializers
        proto.input = [
            preprocessing == nil
                ? numbers(named: "input", shape: shapes[0]) : images(named: "input")
        ]
        if preprocessing != nil {
            // By it a reader finds where the network begins.
            proto.valueInfo = [numbers(named: ONNXGraph.prepared, shape: shapes[0])]
        }
        proto.output = [numbers(named: output, shape: shapes[graph.output])]
        return try model(of: proto, metadata: metadata).serializedBytes()
    }

    private static func model(
        of graph: Onnx_GraphProto, metadata: [(key: String, value: String)]
    ) -> Onnx_ModelProto {
        var opset = Onnx_OperatorSetIdProto()
        opset.version = Self.opset
        var model = Onnx_ModelProto()
        model.irVersion = 9
        model.producerName = producer
        model.producerVersion = version
        model.opsetImport = [opset]
        model.graph = graph
        model.metadataProps = metadata.map { key, value in
            var property = Onnx_StringStringEntryProto()
            property.key = key
            property.value = value
            return property
        }
        return model
    }

    /// Images of bytes, (batch, height, width, 3), of any size.
    private static func images(named name: String) -> Onnx_ValueInfoProto {
        value(
            named: name, element: 2,
            sizes: ["batch", "height", "width"].map { .any($0) } + [.of(3)])
    }

    /// Numbers of this shape, for batches of any size.
    private static func numbers(named name: String, shape: Shape) -> Onnx_ValueInfoProto {
        let sizes = shape.dimensions.dropFirst().map { Size.of($0) }
        return value(named: name, element: 1, sizes: [.any("batch")] + sizes)
    }

    /// The extent of an axis: a number, or a name for any.
    private enum Size {
        case of(Int)
        case any(String)
    }

    private static func value(
        named name: String, element: Int32, sizes: [Size]
    ) -> Onnx_ValueInfoProto {
        var tensor = Onnx_TypeProto.Tensor()
        tensor.elemType = element
        tensor.shape.dim = sizes.map { size in
            var dimension = Onnx_TensorShapeProto.Dimension()
            switch size {
            case .of(let extent): dimension.dimValue = Int64(extent)
            case .any(let name): dimension.dimParam = name
            }
            return dimension
        }
        var value = Onnx_ValueInfoProto()
        value.name = name
        value.type.tensorType = tensor
        return value
    }
}
