// Networks in checkpoints that hold more: prefixes, other heads, losses, averages; and what is refused.

import GraftNetworks
import GraftTensors
import OrderedCollections
import Testing

@testable import GraftArchitectures

@Suite struct WrappedNetworkTests {
    private static let name = "torchvision/resnet18"

    /// Tensors of a graph's names and shapes, each name after `prefix`.
    private func state(_ graph: Graph, prefix: String = "", axes: AxisConvention = .torch)
        -> StateDict
    {
        var state = StateDict(axes: axes)
        for parameter in graph.parameters {
            state[prefix + parameter.name] = tensor(parameter.shape)
        }
        return state
    }

    private func tensor(_ shape: Shape) -> LazyTensor {
        LazyTensor(.f32, shape) { Tensor(shape: shape) { _ in } }
    }

    private func network(_ name: String = name, classes: Int = 7, top: Bool = true) throws -> Graph
    {
        try Architectures.named(name).graph(top: top, classes: classes)
    }

    private func merged(_ states: StateDict...) -> StateDict {
        var all = states[0]
        for other in states.dropFirst() { all.tensors.merge(other.tensors) { $1 } }
        return all
    }

    @Test(arguments: [
        "module.", "_orig_mod.", "model.", "net.", "backbone.", "model.module._orig_mod.",
        "nobody.listed.this.", "shadow.", "0.",
    ])
    func prefixesAreFoundByStructure(_ prefix: String) throws {
        let graph = try network()
        var file = state(graph, prefix: prefix)
        file[prefix + "bn1.num_batches_tracked"] = tensor([])
        let found = try Architectures.open(file, named: Self.name)
        #expect(found.graph.parameters == graph.parameters)
        #expect(found.weights.remarks == [.stripped(prefix: prefix, tensors: 102)])
    }

    /// As `features = DataParallel(features)` and `torch.compile` of a stage name them.
    @Test func wrappersInsideOfNamesAreRemoved() throws {
        let graph = try network("torchvision/vgg11")
        var file = StateDict()
        for parameter in graph.parameters {
            let name = parameter.name
            let wrapped =
                name.hasPrefix("features.") ? "features.module." + name.dropFirst(9) : name
            file[wrapped] = tensor(parameter.shape)
        }
        let found = try Architectures.open(file, named: "torchvision/vgg11")
        #expect(found.graph.parameters == graph.parameters)
        #expect(found.weights.remarks == [.unwrapped(parts: ["module"], tensors: 16)])
        file["features.0.weight"] = tensor([1])
        #expect(CheckpointNames.unwrapped(file) == nil)
    }

    @Test(arguments: ["", "module."], [1, 2, 4])
    func imagesMayHaveOtherChannels(prefix: String, channels: Int) throws {
        let graph = try Architectures.named(Self.name).graph(classes: 7, channels: channels)
        let found = try Architectures.open(state(graph, prefix: prefix))
        #expect(found.graph.inputChannels == channels)
        #expect(found.graph.parameters == graph.parameters)
    }

    @Test func statesOfOptimisersAreNoNetwork() throws {
        let graph = try network()
        var file = state(graph, prefix: "0.")
        file["1.state.0.exp_avg"] = tensor([64, 3, 7, 7])
        file["1.state.0.exp_avg_sq"] = tensor([64, 3, 7, 7])
        #expect(try Architectures.open(file, named: Self.name).graph.classes == 7)
    }

    @Test func theNetworkIsFoundWithoutItsName() throws {
        let graph = try network()
        let plain = try Architectures.open(state(graph, prefix: "model."))
        #expect(plain.architecture.name == Self.name)
        let other = try network("torchvision/mobilenet_v2")
        #expect(
            try Architectures.open(state(other, prefix: "net.m.")).architecture.name
                == "torchvision/mobilenet_v2")
        let keras = try network("mobilenet:0.25")
        var file = StateDict(axes: .keras)
        for parameter in keras.parameters {
            let shape = parameter.shape
            let axes: Shape =
                shape.rank == 4
                ? (parameter.role == .depthwiseKernel
                    ? [shape[2], shape[3], shape[0], 1] : [shape[2], shape[3], shape[1], shape[0]])
                : shape.rank == 2 ? [shape[1], shape[0]] : shape
            file["mobilenet_0.25_224/" + parameter.name] = tensor(axes)
        }
        file["save_counter"] = tensor([])
        file["Adam/m/conv1/kernel"] = tensor([3, 3, 3, 8])
        let found = try Architectures.open(file)
        #expect(found.graph.classes == 7)
        #expect(found.architecture.name == "mobilenet:0.25")
    }

    @Test func whatTrainsANetworkIsLeftOutAndNamed() throws {
        let graph = try network()
        var file = state(graph, prefix: "model.")
        file["criterion.weight"] = tensor([7])
        file["loss_fn.centers"] = tensor([7, 512])
        file["val_metrics.confmat"] = tensor([7, 7])
        file["model.layer1.0.conv1.total_ops"] = tensor([1])
        file["n_averaged"] = tensor([])
        let found = try Architectures.open(file, named: Self.name)
        #expect(found.graph.classes == 7)
        guard case .leftOut(let names, _)? = found.weights.remarks.last else {
            Issue.record("nothing is said")
            return
        }
        #expect(
            Set(names) == [
                "criterion.weight", "loss_fn.centers", "val_metrics.confmat",
                "model.layer1.0.conv1.total_ops", "n_averaged",
            ])
        // Without a prefix the same.
        var plain = state(graph)
        plain["criterion.weight"] = tensor([7, 512])
        plain["mean"] = tensor([1, 3, 1, 1])
        #expect(try Architectures.open(plain, named: Self.name).graph.classes == 7)
    }

    @Test func averagesStandBehindTheWeights() throws {
        let graph = try network()
        let file = merged(state(graph, prefix: "ema.module."), state(graph, prefix: "model."))
        let found = try Architectures.open(file, named: Self.name)
        #expect(found.weights.remarks.first == .stripped(prefix: "model.", tensors: 102))
        let averaged = try Architectures.open(state(graph, prefix: "ema.module."), named: Self.name)
        #expect(averaged.weights.remarks == [.stripped(prefix: "ema.module.", tensors: 102)])
    }

    @Test func twoNetworksAreRefusedWithBothNames() throws {
        let graph = try network()
        let file = merged(state(graph, prefix: "encoder_q."), state(graph, prefix: "encoder_k."))
        let error = #expect(throws: ArchitectureError.self) {
            try Architectures.open(file, named: Self.name)
        }
        #expect(
            error
                == .ambiguous([
                    .init(prefix: "encoder_k.", network: Self.name),
                    .init(prefix: "encoder_q.", network: Self.name),
                ]))
        #expect(error?.hint?.contains("--state-dict encoder_k") == true)
    }

    @Test func anotherHeadIsLeftOutWithAWord() throws {
        let bare = try network(top: false)
        var file = state(bare)
        file["fc.1.weight"] = tensor([64, 512])
        file["fc.1.bias"] = tensor([64])
        file["fc.4.weight"] = tensor([3, 64])
        file["fc.4.bias"] = tensor([3])
        let found = try Architectures.open(file, named: Self.name)
        #expect(found.graph.classes == nil)
        #expect(
            found.weights.remarks == [
                .headLeftOut(
                    ["fc.1.weight", "fc.1.bias", "fc.4.weight", "fc.4.bias"], network: Self.name)
            ])
        // A head outside the prefix, of a class with few classes.
        var wrapped = state(bare, prefix: "backbone.")
        wrapped["head.weight"] = tensor([2, 512])
        wrapped["head.bias"] = tensor([2])
        #expect(
            try Architectures.open(wrapped, named: Self.name).weights.remarks.last
                == .headLeftOut(["head.weight", "head.bias"], network: Self.name))
    }

    /// A layer that reads the scores of the whole network makes another answer of them.
    @Test func aLayerOnTheScoresTakesTheHeadAlong() throws {
        var file = state(try network(classes: 1000), prefix: "net.")
        file["classifier.weight"] = tensor([5, 1000])
        file["classifier.bias"] = tensor([5])
        let found = try Architectures.open(file, named: Self.name)
        #expect(found.graph.classes == nil)
        #expect(found.weights["fc.weight"] == nil)
        var beside = state(try network(classes: 1000))
        beside["fc2.weight"] = tensor([5, 1000])
        #expect(try Architectures.open(beside, named: Self.name).graph.classes == nil)
    }

    @Test func layersInsideMakeAnotherNetwork() throws {
        var file = state(try network())
        file["layer1.0.se.fc1.weight"] = tensor([4, 64, 1, 1])
        let error = #expect(throws: ArchitectureError.self) {
            try Architectures.open(file, named: Self.name)
        }
        #expect(
            error == .altered(.init(network: Self.name, others: ["layer1.0.se.fc1.weight"])))
        // ResNet-34 has all that ResNet-18 has, and more.
        let larger = state(try network("torchvision/resnet34"))
        #expect(throws: (any Error).self) { try Architectures.open(larger, named: Self.name) }
        #expect(throws: (any Error).self) {
            try Architectures.open(
                merged(state(try network(), prefix: ""), larger), named: Self.name)
        }
        // A convolution at the side may be called from anywhere.
        var side = state(try network())
        side["attention.conv.weight"] = tensor([1, 2, 7, 7])
        #expect(throws: ArchitectureError.self) { try Architectures.open(side, named: Self.name) }
    }

    @Test func aBackboneOfALargerNetworkIsTakenOnDemand() throws {
        var file = state(try network(top: false), prefix: "backbone.body.")
        file["backbone.fpn.inner.0.weight"] = tensor([256, 64, 1, 1])
        file["rpn.head.conv.weight"] = tensor([256, 256, 3, 3])
        let error = #expect(throws: ArchitectureError.self) {
            try Architectures.open(file, named: Self.name)
        }
        guard case .part(_, "backbone.body.", Self.name)? = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        let found = try Architectures.open(file, named: Self.name, backboneOnly: true)
        #expect(found.graph.classes == nil)
        #expect(found.weights.count == 100)
    }

    /// `Sequential(*children)` numbers the children; fastai does, and counts what has no weights.
    @Test func numberedChildrenAreMatchedInOrder() throws {
        let bare = try network(top: false)
        let places = [
            "conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7",
        ]
        func numbered(_ prefix: String) -> StateDict {
            var file = StateDict()
            for parameter in bare.parameters {
                let first = CheckpointNames.first(parameter.name)
                let rest = parameter.name.dropFirst(first.count)
                file[prefix + (places[first] ?? "") + rest] = tensor(parameter.shape)
            }
            return file
        }
        var file = numbered("0.")
        file["1.2.weight"] = tensor([1024])
        file["1.4.weight"] = tensor([512, 1024])
        let found = try Architectures.open(file, named: Self.name)
        #expect(found.weights.count == 100)
        #expect(found.weights.remarks.contains(.numbered(network: Self.name)))
        #expect(try Architectures.open(numbered(""), named: Self.name).weights.count == 100)
        // The features of a network that has one part alone.
        let vgg = try network("torchvision/vgg11", top: false)
        var features = StateDict()
        for parameter in vgg.parameters {
            features["body." + parameter.name.dropFirst("features.".count)] = tensor(
                parameter.shape)
        }
        #expect(
            try Architectures.open(features, named: "torchvision/vgg11").weights.count
                == vgg.parameters.count)
    }

    /// tf_keras numbers the layers of each class, in the order of `model.layers`.
    @Test(arguments: ["", "functional/"])
    func numberedLayersAreMatchedInOrder(_ prefix: String) throws {
        let graph = try network("resnet50", top: false)
        let layers = try KerasExport.numberedLayers(of: graph, input: 224)
        #expect(layers["conv2d"] == "conv1_conv")
        #expect(layers["batch_normalization_1"] == "conv2_block1_1_bn")
        let numbers = Dictionary(layers.map { ($1, $0) }) { first, _ in first }
        var file = StateDict(axes: .keras)
        for parameter in graph.parameters.sorted(by: { $0.name > $1.name }) {
            let layer = String(CheckpointNames.layer(parameter.name))
            let number = try #require(numbers[layer])
            let shape = parameter.shape
            let axes = shape.rank == 4 ? [2, 3, 1, 0] : Array((0..<shape.rank).reversed())
            file[prefix + number + parameter.name.dropFirst(layer.count)] = tensor(
                Shape(axes.map { shape[$0] }))
        }
        file["dense/kernel"] = tensor([2048, 7])
        file["dense/bias"] = tensor([7])
        let found = try Architectures.open(file, named: "resnet50")
        // Beside the backbone the `Dense` is its classifier; outside it is another head.
        #expect(found.weights.count == graph.parameters.count + (prefix.isEmpty ? 2 : 0))
        #expect(found.weights.remarks.contains(.numbered(network: "resnet50")))
    }

    @Test func filesWithoutANetworkSayWhatTheyAre() throws {
        #expect(throws: ArchitectureError.tensorsOnly(format: "TFLite")) {
            try Architectures.open(StateDict(["a": tensor([1])], axes: .tflite))
        }
        let error = #expect(throws: NetworkError.self) {
            try Architectures.open(
                StateDict(["module.conv1.weight": tensor([64, 3, 3, 3])]), named: Self.name)
        }
        guard case .binding(let report)? = error else { return }
        #expect(report.mismatched.isEmpty || report.mismatched.map(\.name) == ["conv1.weight"])
    }
}
