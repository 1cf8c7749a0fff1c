// The built-in networks have their publishers' numbers, and files find their network.

import GraftArchitectures
import GraftNetworks
import GraftTensors
import OrderedCollections
import Testing

/// A file of zeros that are never read, with these parameters.
private func file(_ graph: Graph) -> StateDict {
    var state = StateDict()
    for parameter in graph.parameters {
        let shape = parameter.shape
        state[parameter.name] = LazyTensor(.f32, shape) { Tensor(shape: shape) { _ in } }
    }
    return state
}

@Suite struct ArchitecturesTests {
    @Test(arguments: [
        ("resnet50", 25_636_712), ("resnet101", 44_707_176), ("resnet152", 60_419_944),
        ("resnet50v2", 25_613_800), ("densenet121", 8_062_504), ("vgg16", 138_357_544),
        ("vgg19", 143_667_240), ("mobilenet", 4_253_864),
        ("mobilenetv2", 3_538_984), ("mobilenet:0.25", 475_544), ("mobilenetv2:0.35", 1_691_208),
        ("xception", 22_910_480), ("inceptionv3", 23_851_784), ("inceptionresnetv2", 55_873_736),
        ("nasnetmobile", 5_326_716), ("nasnetlarge", 88_949_818), ("efficientnetb0", 5_330_571),
        ("efficientnetb7", 66_658_687), ("efficientnetv2b0", 7_200_312),
        ("efficientnetv2l", 119_027_848), ("mobilenetv3small", 2_554_968),
        ("mobilenetv3large", 5_507_432), ("convnexttiny", 28_589_128),
    ])
    func kerasTotal(name: String, total: Int) throws {
        #expect(try Architectures.named(name).graph().parameterCount == total)
    }

    /// Keras' published "depth": layers that have weights.
    @Test(arguments: [
        ("xception", 81), ("vgg16", 16), ("resnet50", 107), ("resnet152v2", 307),
        ("inceptionv3", 189), ("inceptionresnetv2", 449), ("mobilenet", 55), ("mobilenetv2", 105),
        ("densenet121", 242), ("nasnetmobile", 389), ("nasnetlarge", 533), ("efficientnetb0", 132),
        ("efficientnetb7", 438),
    ])
    func kerasDepth(name: String, depth: Int) throws {
        #expect(try Architectures.named(name).graph().depth == depth)
    }

    @Test(arguments: [
        ("torchvision/resnet18", 11_689_512), ("torchvision/resnet34", 21_797_672),
        ("torchvision/resnet50", 25_557_032), ("torchvision/resnet101", 44_549_160),
        ("torchvision/resnet152", 60_192_808), ("torchvision/resnext50_32x4d", 25_028_904),
        ("torchvision/wide_resnet50_2", 68_883_240), ("torchvision/densenet121", 7_978_856),
        ("torchvision/vgg16", 138_357_544),
        ("torchvision/vgg16_bn", 138_365_992), ("torchvision/mobilenet_v2", 3_504_872),
        ("timm/tf_efficientnet_lite0", 4_652_008), ("timm/tf_efficientnet_lite4", 13_006_568),
    ])
    func torchTrainable(name: String, trainable: Int) throws {
        let graph = try Architectures.named(name).graph()
        let summary = try Summary(graph, input: [1, 3, 224, 224])
        #expect(summary.trainable == trainable)
        #expect(summary.output == [1, 1000])
    }

    /// Shapes and counts are whole at every width, and 60 columns are enough for all.
    @Test(arguments: [
        "resnet50", "nasnetmobile", "timm/tf_efficientnet_lite0", "torchvision/googlenet",
    ])
    func tablesFitTerminals(name: String) throws {
        let summary = try Summary(
            Architectures.named(name).graph(), input: [1, 3, 224, 224])
        for width in [60, 80, 100, 200] {
            let lines = summary.text(fitting: width).split(separator: "\n")
            #expect(lines.allSatisfy { $0.count <= width })
            #expect(lines.count == summary.layers.count + 8 + 1)
            for (line, layer) in zip(lines.dropFirst(4), summary.layers) {
                #expect(line.contains(layer.output.description))
                #expect(line.contains(layer.name.prefix(3)))
            }
        }
        let whole = summary.text
        #expect(summary.text(fitting: 10_000) == whole)
        #expect(summary.layers.allSatisfy { whole.contains("\n\($0.name) (") })
    }

    @Test func everyNetworkHasSoundShapesAndJSON() throws {
        // Of a table of a hundred vision transformers every sixth; the rest are rows of other numbers.
        let rows = Architectures.all.filter { $0.name.hasPrefix("timm/vit_") }.map(\.name)
        let left = Set(rows.enumerated().filter { $0.offset % 6 != 0 }.map(\.element))
        for architecture in Architectures.all where !left.contains(architecture.name) {
            let size = architecture.defaultInput
            for top in [true, false] {
                let graph = try architecture.graph(top: top, classes: 7)
                let input: Shape = [2, 3, size.height, size.width]
                let shapes = try graph.shapes(input: input)
                #expect(shapes[graph.features].rank == 2)
                if top { #expect(shapes[graph.output] == [2, 7]) }
                #expect(graph.classes == (top ? 7 : nil))
                guard top else { continue }
                #expect(try Graph.decode(json: graph.json(), input: input) == graph)
            }
        }
    }

    @Test func oddSizes() throws {
        let expected: [(String, Int)] = [
            ("resnet50", 6), ("mobilenet", 5), ("mobilenetv2", 6), ("torchvision/resnet50", 6),
            ("timm/tf_efficientnet_lite0", 6),
        ]
        for (name, side) in expected {
            let graph = try Architectures.named(name).graph(top: false)
            let shapes = try graph.shapes(input: [1, 3, 161, 161])
            #expect(shapes[graph.output][2] == side, "\(name)")
        }
    }

    @Test func filesAreIdentified() throws {
        for name in [
            "resnet50", "vgg16", "mobilenet", "mobilenetv2", "torchvision/resnet50",
            "torchvision/mobilenet_v2", "timm/tf_efficientnet_lite0", "mobilenet:0.50",
            "inceptionv3", "efficientnetb1", "torchvision/efficientnet_b0", "convnextsmall",
            "torchvision/squeezenet1_0", "torchvision/regnet_x_400mf",
        ] {
            let graph = try Architectures.named(name).graph(classes: 12)
            #expect(Architectures.identify(file(graph))?.name == name)
        }
        #expect(Architectures.identify(StateDict()) == nil)
    }

    @Test func notopIsIdentified() throws {
        let graph = try Architectures.named("mobilenetv2").graph(top: false)
        let found = try Architectures.open(file(graph))
        #expect(found.architecture.name == "mobilenetv2")
        #expect(found.graph == graph)
    }

    @Test func efficientNetLiteAliases() throws {
        let architecture = try Architectures.named("timm/tf_efficientnet_lite0")
        var state = StateDict()
        let one = LazyTensor(Tensor([0], shape: [1]))
        let pairs = [
            "_conv_stem.weight": "conv_stem.weight", "_bn0.bias": "bn1.bias",
            "_blocks.0._project_conv.weight": "blocks.0.0.conv_pw.weight",
            "_blocks.2._expand_conv.weight": "blocks.1.1.conv_pw.weight",
            "_blocks.15._bn2.running_var": "blocks.6.0.bn3.running_var",
            "_fc.weight": "classifier.weight",
        ]
        for name in pairs.keys { state[name] = one }
        #expect(Set(architecture.renamed(state).tensors.keys) == Set(pairs.values))
    }

    @Test func typingErrorsGetAHint() {
        #expect(throws: ArchitectureError.unknown("resnet5", candidates: [])) {
            do throws(ArchitectureError) {
                _ = try Architectures.named("resnet5")
            } catch {
                #expect(error.hint?.contains("`resnet50`") == true)
                throw ArchitectureError.unknown("resnet5", candidates: [])
            }
        }
    }

    @Test func newHeadAndCuts() throws {
        for name in ["resnet50", "mobilenetv2", "timm/tf_efficientnet_lite0"] {
            let graph = try Architectures.named(name).graph().withHead(classes: 5, dropout: 0.2)
            #expect(try graph.shapes(input: [1, 3, 96, 96])[graph.output] == [1, 5])
            #expect(graph.parameters.suffix(2).map(\.shape).first?[0] == 5)
            for count in 0...graph.stages.count {
                let cut = graph.cut(unfreezing: count)
                let (prefix, suffix) = try graph.split(at: cut)
                let value = try prefix.shapes(input: [1, 3, 96, 96])[prefix.output]
                let input: Shape = value.rank == 2 ? [1, value[1], 1, 1] : value
                #expect(try suffix.shapes(input: input)[suffix.output] == [1, 5])
                #expect(
                    prefix.parameterCount + suffix.parameterCount == graph.parameterCount)
            }
        }
    }
}
