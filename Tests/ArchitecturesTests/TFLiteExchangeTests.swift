// Operations as TFLite steps and back, and graphs that lie. What the interpreter makes of the steps is for
// Tests/Conformance to say.

import GraftNetworks
import GraftSchemas
import GraftTensors
import OrderedCollections
import Testing

@testable import GraftArchitectures

struct TFLiteExchangeTests {
    private static let vector: [Op] = [.globalAveragePool(keepsDimensions: false)]

    /// Operations that TFLite has as they are.
    static let same: [ExchangeTests.Case] = [
        .init(op: .activation(.relu)), .init(op: .activation(.relu6)),
        .init(op: .activation(.sigmoid)), .init(op: .activation(.hardSwish)),
        .init(op: .activation(.gelu)), .init(op: .activation(.swish)),
        .init(
            op: .conv2d(
                outputs: 4, window: Window(kernel: 3, stride: 2, padding: .same), groups: 1,
                bias: true)),
        .init(
            op: .conv2d(
                outputs: 6, window: Window(kernel: 3, padding: .same), groups: 3, bias: true)),
        .init(op: .linear(outputs: 5, bias: true), first: vector),
        .init(op: .maxPool(Window(kernel: 2, stride: 2))),
        .init(op: .globalAveragePool(keepsDimensions: true)),
        .init(op: .add, reads: 2), .init(op: .multiply, reads: 2),
        .init(op: .concatenate, reads: 3),
        .init(op: .flatten(channelsLast: true)),
        .init(op: .pad(Padding(top: 1, left: 0, bottom: 2, right: 3), value: 0)),
        .init(op: .upsample(height: 2, width: 3, bilinear: false)),
        .init(op: .upsample(height: 2, width: 2, bilinear: true)),
        .init(op: .softmax, first: vector),
    ]

    /// Operations that become others, or several.
    static let others: [ExchangeTests.Case] =
        ExchangeTests.onnx.filter { given in
            switch given.op {
            case .elementwise(let it): it.function != .erf
            case .convTranspose2d(let it): it.groups == 1
            case .resize: false
            default: true
            }
        }

    @Test(arguments: same) func aStepIsReadBack(_ given: ExchangeTests.Case) throws {
        let (graph, weights) = try ExchangeTests().network(given, naming: .torch)
        let model = try TFLiteExport.model(graph, weights: weights, input: 8)
        let found = try TFLiteImport.read(model)
        #expect(found.graph.nodes[found.graph.output].op == given.op)
        #expect(found.input == 8)
        for parameter in graph.parameters {
            #expect(
                try found.weights[parameter.name]?.load().floats
                    == weights[parameter.name]?.load().floats)
        }
    }

    @Test(arguments: others) func theShapeIsTheSame(_ given: ExchangeTests.Case) throws {
        let (graph, weights) = try ExchangeTests().network(given, naming: .torch)
        let model = try TFLiteExport.model(graph, weights: weights, input: 8)
        let found = try TFLiteImport.read(model).graph
        let input: Shape = [1, 3, 8, 8]
        #expect(
            try found.shapes(input: input)[found.output]
                == graph.shapes(input: input)[graph.output])
    }

    @Test func anActivationIsFused() throws {
        let given = ExchangeTests.Case(
            op: .activation(.relu6),
            first: [.conv2d(outputs: 4, window: Window(kernel: 1), groups: 1, bias: true)])
        let (graph, weights) = try ExchangeTests().network(given, naming: .torch)
        let model = try TFLiteExport.model(graph, weights: weights, input: 8)
        #expect(model.steps.map(\.type) == ["CONV_2D"])
        #expect(model.steps[0].options.integers["activation"] == 3)
    }

    @Test func halfPrecisionIsWidened() throws {
        let given = ExchangeTests.Case(
            op: .linear(outputs: 5, bias: true), first: Self.vector)
        var (graph, weights) = try ExchangeTests().network(given, naming: .torch)
        for (name, tensor) in weights.tensors { weights[name] = tensor.converted(to: .f16) }
        let model = try TFLiteExport.model(graph, weights: weights, input: 8)
        #expect(model.steps.filter { $0.type == "DEQUANTIZE" }.count == 2)
        let found = try TFLiteImport.read(model)
        #expect(found.weights.tensors.values.allSatisfy { $0.dtype == .f32 })
        graph = found.graph
        #expect(graph.nodes[graph.output].op == given.op)
    }

    // MARK: Graphs that lie

    /// A model of an input (1, 4, 4, 3) and these steps; tensors 1… are values of this shape.
    private func model(
        _ steps: [TFLiteModel.Step], shapes: [[Int]] = [[1, 4, 4, 3]]
    ) -> TFLiteModel {
        var model = TFLiteModel()
        model.tensors = ([[1, 4, 4, 3]] + shapes).enumerated().map { index, shape in
            .init(name: "t\(index)", shape: shape, dtype: .f32)
        }
        model.steps = steps
        model.inputs = [.init(name: "in", tensor: 0)]
        model.outputs = [.init(name: "out", tensor: model.tensors.count - 1)]
        return model
    }

    @Test func aCycleIsRefused() {
        let model = model(
            [
                .init(type: "RELU", inputs: [2], outputs: [1]),
                .init(type: "RELU", inputs: [1], outputs: [2]),
            ], shapes: [[1, 4, 4, 3], [1, 4, 4, 3]])
        #expect(throws: ArchitectureError.tflite(operator: "t1", reason: "RELU: `t2` is missing")) {
            try TFLiteImport.read(model)
        }
    }

    @Test func aHugeShapeIsRefused() {
        let huge = Int(Int32.max)
        let model = model(
            [.init(type: "RELU", inputs: [0], outputs: [1])],
            shapes: [[huge, huge, huge, huge]])
        #expect(
            throws: ArchitectureError.tflite(
                operator: "t1",
                reason: "RELU: `t1` has the sizes \([huge, huge, huge, huge])")
        ) { try TFLiteImport.read(model) }
    }

    @Test func anUnknownOperatorIsRefusedByName() {
        var step = TFLiteModel.Step(type: "Landmarks", inputs: [0], outputs: [1])
        step.isCustom = true
        let custom = model([step])
        #expect(
            throws: ArchitectureError.tflite(
                operator: "t1",
                reason: "Landmarks: graft does not know the custom operator `Landmarks`")
        ) { try TFLiteImport.read(custom) }
        let unknown = model([.init(type: "SVDF", inputs: [0], outputs: [1])])
        #expect(
            throws: ArchitectureError.tflite(
                operator: "t1", reason: "SVDF: graft does not know the operator `SVDF`")
        ) { try TFLiteImport.read(unknown) }
    }

    @Test func aMissingInputIsRefused() {
        let model = model([.init(type: "ADD", inputs: [0], outputs: [1])])
        #expect(
            throws: ArchitectureError.tflite(
                operator: "t1", reason: "ADD: its input 1 is missing")
        ) { try TFLiteImport.read(model) }
    }
}
