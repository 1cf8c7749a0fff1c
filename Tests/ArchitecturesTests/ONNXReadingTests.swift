// ONNX graphs with any inputs and outputs, cuts where sizes depend on numbers, and hostile graphs.

import Foundation
import GraftNetworks
import GraftSchemas
import GraftTensors
import SwiftProtobuf
import Testing

@testable import GraftArchitectures

/// A graph of a file under construction.
private struct Draft {
    var graph = Onnx_GraphProto()
    var initializers = StateDict()

    init(inputs: [(name: String, element: Int32, sizes: [Int64])], outputs: [String]) {
        graph.name = "draft"
        graph.input = inputs.map { Self.value($0.name, element: $0.element, sizes: $0.sizes) }
        graph.output = outputs.map { Self.value($0, element: 1, sizes: []) }
    }

    static func value(_ name: String, element: Int32, sizes: [Int64]) -> Onnx_ValueInfoProto {
        var tensor = Onnx_TypeProto.Tensor()
        tensor.elemType = element
        tensor.shape.dim = sizes.map { size in
            var dimension = Onnx_TensorShapeProto.Dimension()
            dimension.dimValue = size
            return dimension
        }
        var value = Onnx_ValueInfoProto()
        value.name = name
        value.type.tensorType = tensor
        return value
    }

    static func node(
        _ type: String, reading inputs: [String], giving outputs: [String],
        graphs: [String: Onnx_GraphProto] = [:]
    ) -> Onnx_NodeProto {
        var node = Onnx_NodeProto()
        node.opType = type
        node.name = outputs[0]
        node.input = inputs
        node.output = outputs
        for (name, graph) in graphs {
            var attribute = Onnx_AttributeProto()
            attribute.name = name
            attribute.g = graph
            node.attribute.append(attribute)
        }
        return node
    }

    mutating func add(_ type: String, reading inputs: [String], giving outputs: [String]) {
        graph.node.append(Self.node(type, reading: inputs, giving: outputs))
    }

    func reader(_ feed: ONNXFeed? = nil) throws -> ONNXReader {
        var reader = try ONNXReader(graph, initializers: initializers, opset: 17, feed: feed)
        try reader.addAll()
        return reader
    }
}

@Suite struct ONNXReadingTests {
    @Test func `Inputs of any type and outputs keep their names in the native form`() throws {
        var draft = Draft(
            inputs: [("tokens", 7, [1, 5]), ("table", 1, [9, 4])], outputs: ["chosen", "turned"])
        draft.add("Gather", reading: ["table", "tokens"], giving: ["chosen"])
        draft.add("Neg", reading: ["chosen"], giving: ["turned"])
        var reader = try draft.reader()
        let graph = try reader.finish().graph
        #expect(!graph.takesImages)
        #expect(
            graph.declaredTypes == [ValueType([1, 5], element: .i64), ValueType([9, 4])])
        #expect(graph.outputs.map(\.name) == ["chosen", "turned"])
        let again = try Graph.decode(json: try graph.json())
        #expect(again == graph)
        #expect(again.formatVersion == 2)
        #expect(graph.selecting("chosen")?.outputs.isEmpty == true)
        #expect(graph.selecting("other") == nil)
    }

    @Test func `A graph is cut where a size depends on numbers`() throws {
        var draft = Draft(inputs: [("x", 1, [4])], outputs: ["places"])
        draft.add("Relu", reading: ["x"], giving: ["positive"])
        draft.add("NonZero", reading: ["positive"], giving: ["places"])
        var asked: [[Int]] = []
        let feed = ONNXFeed(inputs: ["x": Tensor([1, -1, 2, 0], shape: [4])]) {
            graph, _, inputs, wanted in
            asked.append(wanted.map(\.node))
            #expect(graph.nodes.map(\.op) == [.input(graph.type(of: 0)), .activation(.relu)])
            #expect(inputs.map(\.floats) == [[1, -1, 2, 0]])
            return [Tensor([1, 0, 2, 0], shape: [4])]
        }
        let reader = try draft.reader(feed)
        guard case .constant(let places)? = reader["places"] else {
            Issue.record("expected numbers")
            return
        }
        #expect(asked == [[1]])
        #expect(places.shape == [1, 2])
        #expect(places.floats == [0, 2])
    }

    @Test func `Without tensors a size that depends on numbers is refused by the node's name`()
        throws
    {
        var draft = Draft(inputs: [("x", 1, [4])], outputs: ["places"])
        draft.add("NonZero", reading: ["x"], giving: ["places"])
        let refusal = ArchitectureError.onnx(
            node: "places", reason: "its input `x` is computed, expected numbers")
        #expect(throws: refusal) { try draft.reader() }
    }

    @Test func `A loop runs as often as its numbers say`() throws {
        var body = Onnx_GraphProto()
        body.input = ["i", "go", "sum"].map { Draft.value($0, element: 1, sizes: []) }
        body.output = ["go", "next", "sum"].map { Draft.value($0, element: 1, sizes: []) }
        body.node = [Draft.node("Add", reading: ["sum", "sum"], giving: ["next"])]
        var draft = Draft(inputs: [("x", 1, [])], outputs: ["last", "all"])
        draft.initializers["count"] = LazyTensor(
            Tensor(.i64, [], storage: Storage([Int64(3)])))
        draft.graph.node = [
            Draft.node(
                "Loop", reading: ["count", "", "x"], giving: ["last", "all"],
                graphs: ["body": body])
        ]
        let feed = ONNXFeed(inputs: ["x": Tensor([1], shape: [])]) { _, _, _, _ in [] }
        let reader = try draft.reader(feed)
        guard case .constant(let last)? = reader["last"], case .constant(let all)? = reader["all"]
        else {
            Issue.record("expected numbers")
            return
        }
        #expect(last.floats == [8])
        #expect(all.floats == [1, 2, 4])
    }

    @Test func `A cycle is refused by the node's name`() {
        var draft = Draft(inputs: [("x", 1, [1, 3, 4, 4])], outputs: ["b"])
        draft.add("Relu", reading: ["b"], giving: ["a"])
        draft.add("Relu", reading: ["a"], giving: ["b"])
        #expect(
            throws: ArchitectureError.onnx(node: "a", reason: "its input `b` is missing")
        ) { try draft.reader() }
    }

    @Test func `Graphs nested too deeply are refused`() {
        var inner = Onnx_GraphProto()
        inner.node = [Draft.node("Identity", reading: ["x"], giving: ["y"])]
        inner.output = [Draft.value("y", element: 1, sizes: [])]
        let leaf = inner
        for _ in 0..<80 {
            var outer = Onnx_GraphProto()
            outer.node = [
                Draft.node(
                    "If", reading: ["yes"], giving: ["y"],
                    graphs: ["then_branch": inner, "else_branch": leaf])
            ]
            outer.output = inner.output
            inner = outer
        }
        var draft = Draft(inputs: [("x", 1, [2])], outputs: ["y"])
        draft.initializers["yes"] = LazyTensor(Tensor([1], shape: []))
        draft.graph.node = inner.node
        #expect(
            throws: ArchitectureError.onnx(
                node: "y", reason: "expected at most 64 nested graphs, found more")
        ) { try draft.reader() }
    }
}

extension Graph {
    /// The type of an input.
    fileprivate func type(of node: Int) -> OpenType {
        if case .input(let input) = nodes[node].op, let type = input.type { return type }
        return OpenType(element: .f32, sizes: [])
    }
}
