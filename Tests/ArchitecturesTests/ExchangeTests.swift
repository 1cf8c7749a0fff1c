// Every operation, written as ONNX and as Keras layers, is read back as itself. What other programs make of the files is
// for Tests/Conformance to say.

import Foundation
import GraftNetworks
import GraftSchemas
import GraftTensors
import OrderedCollections
import SwiftProtobuf
import Testing

@testable import GraftArchitectures

struct ExchangeTests {
    /// An operation between an input of three channels, 8 × 8, and an output.
    struct Case: CustomStringConvertible {
        let op: Op
        /// The operations before it.
        var first: [Op] = []
        /// The number of times that it reads the value before it.
        var reads = 1

        var description: String { "\(op.kind)" }
    }

    private static let window = Window(kernel: 3, stride: 2, padding: .all(1))
    private static let vector: [Op] = [.globalAveragePool(keepsDimensions: false)]

    static let shared: [Case] =
        // Neither has OpenAI's GELU as one step.
        Activation.allCases.filter { $0 != .quickGELU }.map { Case(op: .activation($0)) } + [
            Case(op: .conv2d(outputs: 4, window: Window(kernel: 3), groups: 1, bias: true)),
            Case(op: .conv2d(outputs: 6, window: Window(kernel: 3), groups: 3, bias: false)),
            // ONNX' usual momentum is 0.9, counted the other way.
            Case(op: .batchNorm(epsilon: 1e-3, momentum: 1 - 0.9)),
            Case(op: .layerNorm(epsilon: 1e-4)),
            Case(op: .linear(outputs: 5, bias: true), first: vector),
            Case(op: .linear(outputs: 5, bias: false), first: vector),
            Case(op: .maxPool(Window(kernel: 2, stride: 2))),
            Case(op: .averagePool(Window(kernel: 3, stride: 1), countsPadding: false)),
            Case(op: .globalAveragePool(keepsDimensions: true)),
            Case(op: .globalMaxPool(keepsDimensions: true)),
            Case(op: .add, reads: 2),
            Case(op: .multiply, reads: 2),
            Case(op: .concatenate, reads: 3),
            Case(op: .flatten(channelsLast: true)),
            Case(
                op: .reshape(channels: 2, height: 4, width: 24, channelsLast: true),
                first: [.flatten(channelsLast: true)]),
            Case(op: .pad(Padding(top: 1, left: 0, bottom: 2, right: 3), value: 0)),
            Case(op: .pad(Padding(top: -1, left: -2, bottom: 0, right: -1), value: 0)),
            Case(op: .upsample(height: 2, width: 3, bilinear: false)),
            Case(op: .upsample(height: 2, width: 2, bilinear: true)),
            Case(op: .softmax, first: vector),
            Case(op: .unitNorm, first: vector),
        ]

    static let onnx: [Case] =
        shared + [
            Case(op: .conv2d(outputs: 4, window: window, groups: 1, bias: true)),
            Case(
                op: .convTranspose2d(
                    outputs: 3, window: window, outputPadding: 1, groups: 3, bias: true)),
            Case(op: .averagePool(window, countsPadding: true)),
            Case(op: .flatten(channelsLast: false)),
            Case(
                op: .reshape(channels: 2, height: 4, width: 24, channelsLast: false),
                first: [.flatten(channelsLast: true)]),
            Case(op: .slice(start: 1, count: 2)),
            Case(op: .slice(start: 1, count: 3, axis: 2, step: 2)),
            Case(op: .concatenate(axis: 3), reads: 2),
            Case(op: .softmax(axis: 2)),
            Case(op: .layerNorm(epsilon: 1e-4, axes: [3])),
            Case(op: .take(axis: 1, indices: [2, 0])),
            Case(op: .reduce(.sum, axes: [1], keepsAxes: true)),
            Case(op: .elementwise(.erf)),
            Case(op: .elementwise(.sqrt)),
            Case(op: .binary(.divide), reads: 2),
            Case(op: .binary(.maximum), reads: 2),
            Case(op: .groupNorm(groups: 3, epsilon: 1e-4)),
            Case(op: .localResponseNorm(size: 3, alpha: 0.5, beta: 0.75, bias: 2)),
            Case(op: .padAxes(before: [0, 0, 1, 2], after: [0, 0, 3, 0], mode: .reflect)),
            Case(
                op: .resize(
                    to: .sizes(height: 5, width: 11), mode: .cubic, coordinates: .alignCorners)),
            Case(op: .channelShuffle(groups: 3)),
            Case(op: .pad(Padding(top: 1, left: 0, bottom: 2, right: 3), value: 0.5)),
        ]

    /// The graph of a case, and weights for it.
    func network(_ given: Case, naming: Naming) throws -> (Graph, StateDict) {
        var builder = try GraphBuilder(naming: naming, input: [1, 3, 8, 8], inputName: "input")
        for (index, op) in given.first.enumerated() {
            try builder.add(op, name: "first\(index)", inputs: [builder.last])
        }
        try builder.add(
            given.op, name: "it", inputs: Array(repeating: builder.last, count: given.reads))
        let graph = builder.graph(
            name: "case", output: builder.last, features: builder.last, logits: nil)
        var weights = StateDict()
        for parameter in graph.parameters {
            let values = (0..<parameter.shape.count).map { Float($0 + 1) }
            weights[parameter.name] = LazyTensor(Tensor(values, shape: parameter.shape))
        }
        return (graph, weights)
    }

    @Test(arguments: onnx)
    func onnxIsReadBack(_ given: Case) throws {
        let (graph, weights) = try network(given, naming: .torch)
        let bytes = try ONNXExport.bytes(graph, weights: weights, input: 8)
        var initializers = StateDict()
        for tensor in try Onnx_ModelProto(serializedBytes: bytes).graph.initializer {
            initializers[tensor.name] = LazyTensor(try tensor.tensor())
        }
        let path = FileManager.default.temporaryDirectory
            .appending(path: "graft-exchange-\(UUID().uuidString).onnx").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        try Data(bytes).write(to: URL(filePath: path))
        let found = try ONNXImport.open(path, initializers: initializers)
        #expect(found.graph.nodes[found.graph.output].op == given.op)
        for parameter in graph.parameters {
            #expect(
                try found.weights[parameter.name]?.load().floats
                    == weights[parameter.name]?.load().floats)
        }
    }

    @Test(arguments: shared)
    func kerasIsReadBack(_ given: Case) throws {
        let (graph, weights) = try network(given, naming: .keras)
        let export = try KerasExport(graph, weights: weights, input: 8)
        var state = StateDict(metadata: ["keras_version": "3.0.0"], axes: .keras)
        for layer in export.layers {
            for (variable, tensor) in layer.weights { state["\(layer.name)/\(variable)"] = tensor }
        }
        let found = try KerasConfig.open(export.config, state: state)
        #expect(found.graph.nodes[found.graph.output].op == given.op)
    }
}
