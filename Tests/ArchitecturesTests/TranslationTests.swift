// Weights between publishers of one network, and networks that only look the same.

import GraftArchitectures
import GraftNetworks
import GraftTensors
import OrderedCollections
import Testing

struct TranslationTests {
    /// Weights that count up, so that every element can be told from the others.
    private func weights(_ graph: Graph) -> StateDict {
        var state = StateDict()
        var next: Float = 0
        for parameter in graph.parameters {
            let count = parameter.shape.count
            let numbers = (0..<count).map { next + Float($0) }
            next += Float(count)
            state[parameter.name] = LazyTensor(Tensor(numbers, shape: parameter.shape))
        }
        return state
    }

    @Test(arguments: [
        (
            "torchvision/resnet50", "transformers/resnet50",
            "resnet.encoder.stages.3.layers.2.layer.2.convolution.weight"
        ),
        (
            "torchvision/resnet18", "transformers/resnet18",
            "resnet.encoder.stages.1.layers.0.shortcut.normalization.running_var"
        ),
        (
            "mobilenet:0.25", "transformers/mobilenet_v1:0.25",
            "mobilenet_v1.layer.25.convolution.weight"
        ),
        (
            "mobilenetv2:0.35", "transformers/mobilenet_v2:0.35",
            "mobilenet_v2.conv_stem.reduce_1x1.convolution.weight"
        ),
        ("torchvision/mobilenet_v2", "timm/mobilenetv2_100", "blocks.6.0.conv_pwl.weight"),
    ])
    func thereAndBack(_ name: String, _ other: String, _ expected: String) throws {
        let graph = try Architectures.named(name).graph(classes: 7)
        let state = weights(graph)
        let there = try Architectures.open(state, named: other)
        #expect(there.weights[expected] != nil)
        #expect(there.weights.count == graph.parameters.count)
        let back = try Architectures.open(there.weights, named: name)
        #expect(back.graph == graph)
        for parameter in graph.parameters where parameter.shape.count < 5000 {
            let found = try back.weights[parameter.name]?.load().floats
            #expect(found == (try state[parameter.name]?.load().floats), "\(parameter.name)")
        }
    }

    @Test(arguments: [
        ("torchvision/resnet50", "resnet50", ["biases", "stride", "1.001e-05"]),
        ("mobilenetv2", "torchvision/mobilenet_v2", ["padding", "0.001"]),
        ("torchvision/mobilenet_v2", "mobilenetv2", ["padding", "0.001"]),
    ])
    func aVariantIsRefusedByWhatDiffers(_ name: String, _ other: String, _ words: [String]) throws {
        let state = weights(try Architectures.named(name).graph(classes: 3))
        let error = #expect(throws: ArchitectureError.self) {
            try Architectures.open(state, named: other)
        }
        for word in words { #expect(error?.message.contains(word) == true, "\(error as Any)") }
    }

    @Test func anotherNetworkIsNoVariant() throws {
        let state = weights(try Architectures.named("torchvision/resnet18").graph(classes: 3))
        #expect(throws: NetworkError.self) { try Architectures.open(state, named: "mobilenetv2") }
    }
}
