// The layers that a network is written as for Keras: those of keras.applications. What Keras makes of them is
// Tests/Conformance/rows.py's to say.

import GraftArchitectures
import GraftNetworks
import GraftTensors
import Testing

struct KerasExportTests {
    /// The network without numbers: an export reads none before it is written.
    private func export(_ name: String) throws -> KerasExport {
        let graph = try Architectures.named(name).graph()
        var state = StateDict()
        for parameter in graph.parameters {
            let shape = parameter.shape
            state[parameter.name] = LazyTensor(.f32, shape) {
                Tensor([Float](repeating: 0, count: shape.count), shape: shape)
            }
        }
        return try KerasExport(graph, weights: state, input: Extent(96))
    }

    @Test(arguments: [
        (
            "xception", "block2_sepconv1", "separable_conv2d",
            ["depthwise_kernel", "pointwise_kernel"], [[3, 3, 64, 1], [1, 1, 64, 128]]
        ),
        (
            "nasnetmobile", "separable_conv_1_normal_left1_0", "separable_conv2d",
            ["depthwise_kernel", "pointwise_kernel"], [[5, 5, 44, 1], [1, 1, 44, 44]]
        ),
        (
            "efficientnetb0", "normalization", "normalization", ["mean", "variance", "count"],
            [[3], [3], []]
        ),
        (
            "mobilenetv3small", "logits", "conv2d", ["kernel", "bias"],
            [[1, 1, 1024, 1000], [1000]]
        ),
        (
            "convnexttiny", "convnext_tiny_stage_0_block_0_depthwise_conv", "conv2d",
            ["kernel", "bias"], [[7, 7, 1, 96], [96]]
        ),
        (
            "convnexttiny", "convnext_tiny_stage_0_block_0_pointwise_conv_1", "dense",
            ["kernel", "bias"], [[96, 384], [384]]
        ),
        (
            "convnexttiny", "convnext_tiny_stage_0_block_0_layer_scale", "layer_scale", ["gamma"],
            [[96]]
        ),
    ])
    func hasThePublishersLayer(
        _ network: String, _ name: String, _ kind: String, _ variables: [String], _ shapes: [[Int]]
    ) throws {
        let export = try export(network)
        let layer = try #require(export.layers.first { $0.name == name })
        #expect(layer.className == kind)
        #expect(layer.weights.map(\.variable) == variables)
        #expect(layer.weights.map(\.tensor.shape.dimensions) == shapes)
    }

    @Test func separableConvolutionsAreOneLayer() throws {
        let names = try export("xception").layers.map(\.name)
        #expect(!names.contains { $0.hasSuffix("_depthwise") })
        #expect(Set(names).count == names.count)
    }

    @Test func nestedModelsAreNested() throws {
        let export = try export("convnexttiny")
        let stem = try #require(export.layers.first { $0.name == "convnext_tiny_stem" })
        #expect(stem.className == "sequential" && stem.weights.isEmpty)
        #expect(
            stem.inner.map(\.name) == ["convnext_tiny_stem_conv", "convnext_tiny_stem_layernorm"])
        #expect(export.layers.count { $0.className == "sequential" } == 4)
    }
}
