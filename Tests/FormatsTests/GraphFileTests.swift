// The graphs of TFLite and .pt2 files: what their own writers wrote, and what graft writes.

import GraftArchitectures
import GraftNetworks
import GraftSchemas
import GraftTensors
import Testing

@testable import GraftFormats

struct GraphFileTests {
    @Test func tfliteGraph() throws {
        let path = Fixture.path("graph.tflite")
        let model = try TFLiteFile.model(at: path, weights: try Checkpoint.open(path))
        #expect(model.steps.map(\.type) == ["CONV_2D", "MEAN", "FULLY_CONNECTED"])
        let convolution = try #require(model.steps.first)
        #expect(convolution.options.integers["stride_h"] == 2)
        // SAME, and an activation of 0 to 6.
        #expect(convolution.options.integers["padding"] == 0)
        #expect(convolution.options.integers["activation"] == 3)
        #expect(model.inputs.map(\.name) == ["image"])
        #expect(model.tensors[model.inputs[0].tensor].shape == [1, 8, 8, 3])
    }

    /// What is written is read: steps, settings, numbers, metadata.
    @Test func aWrittenModelIsReadBack() throws {
        var model = TFLiteModel()
        let numbers = LazyTensor(Tensor([1, 2, 3, 4, 5, 6], shape: [2, 3]))
        model.tensors = [
            .init(name: "in", shape: [1, 3], dtype: .f32),
            .init(name: "w", shape: [2, 3], dtype: .f32, numbers: numbers),
            .init(name: "out", shape: [1, 2], dtype: .f32),
        ]
        var step = TFLiteModel.Step(
            type: "FULLY_CONNECTED", inputs: [0, 1, -1], outputs: [2])
        step.options.integers = ["activation": 1, "weights_format": 0, "keep_num_dims": 0]
        model.steps = [step]
        model.inputs = [.init(name: "image", tensor: 0)]
        model.outputs = [.init(name: "scores", tensor: 2)]
        model.metadata.labels = ["Grüße", "b"]
        model.metadata.mean = [127.5]
        model.metadata.deviation = [2]
        model.properties = ["task": "classification", "quote": "\"\n"]
        let scratch = try Scratch()
        let path = scratch.path("m.tflite")
        try TFLiteFile.write(model, to: path)
        let state = try Checkpoint.open(path)
        #expect(try state["w"]?.load().floats == [1, 2, 3, 4, 5, 6])
        let found = try TFLiteFile.model(at: path, weights: state)
        #expect(found.steps.map(\.type) == ["FULLY_CONNECTED"])
        #expect(found.steps[0].inputs == [0, 1, -1])
        #expect(found.steps[0].options == step.options)
        #expect(found.inputs.map(\.name) == ["image"])
        #expect(found.outputs.map(\.name) == ["scores"])
        #expect(found.metadata.labels == ["Grüße", "b"])
        #expect(found.metadata.mean == [127.5])
        #expect(found.metadata.deviation == [2])
        #expect(found.properties == model.properties)
    }

    @Test(arguments: ["graph.pt2", "old.pt2"]) func exportedProgram(_ name: String) throws {
        let path = Fixture.path(name)
        #expect(try Checkpoint.kind(of: path) == .exportedProgram)
        let state = try Checkpoint.open(path)
        #expect(state["conv.weight"]?.shape == [4, 3, 3, 3])
        #expect(try state["head.bias"]?.load().floats == [-0.5, -0.25])
        let program = try ExportedProgramFile.program(at: path)
        #expect(program.nodes.map(\.target).first == "torch.ops.aten.conv2d.default")
        #expect(program.nodes.first?.module == "conv")
        #expect(program.inputs.last?.origin == .user)
        let (graph, weights, input) = try ExportedProgramImport.read(program, weights: state)
        #expect(input == 8)
        #expect(graph.parameterCount == weights.elementCount)
    }
}
