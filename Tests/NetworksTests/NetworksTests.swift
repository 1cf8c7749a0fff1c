// Binding, surgery and hostile graphs.

import GraftNetworks
import GraftTensors
import OrderedCollections
import Testing

private func tiny(_ naming: Naming) throws -> Graph {
    var builder = try GraphBuilder(naming: naming, input: [1, 2, 8, 8])
    let stem = try Stage("stem") { Conv2d("a", 4, kernel: 3, padding: 1, bias: true) }
        .apply(to: 0, in: &builder)
    let body = try Stage("body") {
        Add("sum") {
            Sequential {}
            Sequential {
                DepthwiseConv2d("b", kernel: 3, padding: .same)
                BatchNorm2d("c")
            }
        }
    }.apply(to: stem, in: &builder)
    let features = try GlobalAveragePool("pool").apply(to: body, in: &builder)
    let logits = try Linear("fc", 3).apply(to: features, in: &builder)
    return builder.graph(name: "tiny", output: logits, features: features, logits: logits)
}

private func counting(_ shape: Shape, from start: Int = 0) -> LazyTensor {
    LazyTensor(Tensor((0..<shape.count).map { Float($0 + start) }, shape: shape))
}

@Suite struct BindingTests {
    private func kerasFile() -> StateDict {
        StateDict(
            [
                "a/kernel": counting([3, 3, 2, 4]), "a/bias": counting([4]),
                "b/kernel": counting([3, 3, 4, 1]), "c/gamma": counting([4]),
                "c/beta": counting([4]), "c/moving_mean": counting([4]),
                "c/moving_variance": counting([4]), "fc/kernel": counting([4, 3]),
                "fc/bias": counting([3]),
            ], axes: .keras)
    }

    @Test func kerasAxesBecomeLogical() throws {
        let bound = try tiny(.keras).bound(kerasFile())
        let kernel = try #require(try bound["a/kernel"]?.load())
        #expect(kernel.shape == [4, 2, 3, 3])
        // OIHW (1, 1, 2, 0) is HWIO (2, 0, 1, 1): ((2·3 + 0)·2 + 1)·4 + 1.
        #expect(kernel.floats[((1 * 2 + 1) * 3 + 2) * 3] == 53)
        let depthwise = try #require(try bound["b/depthwise_kernel"]?.load())
        #expect(depthwise.shape == [4, 1, 3, 3])
        // (1, 0, 2, 2) is HWCM (2, 2, 1, 0).
        #expect(depthwise.floats[9 + 8] == 33)
        let matrix = try #require(try bound["fc/kernel"]?.load())
        #expect(matrix.shape == [3, 4])
        #expect(matrix.floats[1] == 3)
        #expect(Array(bound.tensors.keys) == (try tiny(.keras)).parameters.map(\.name))
    }

    @Test func whatDoesNotFitIsListed() throws {
        var state = kerasFile()
        state["a/bias"] = nil
        state["extra/kernel"] = counting([1])
        state["fc/bias"] = counting([7])
        var expected = BindingReport(network: "tiny")
        expected.missing = ["a/bias"]
        expected.unexpected = ["extra/kernel"]
        let report = try tiny(.keras).binding(state).report
        #expect(report.missing == expected.missing)
        #expect(report.unexpected == expected.unexpected)
        #expect(report.mismatched.map(\.name) == ["fc/bias"])
        #expect(throws: NetworkError.self) { try tiny(.keras).bound(state) }
    }

    @Test func oldKerasFilesBindByPosition() throws {
        var state = StateDict(axes: .keras)
        for (index, tensor) in kerasFile().tensors.values.enumerated() {
            state["old_\(index)_W"] = tensor
        }
        let bound = try tiny(.keras).bound(state)
        #expect(bound.tensors.count == 9)
        #expect(bound["fc/kernel"]?.shape == [3, 4])
    }

    @Test func torchFiles() throws {
        let graph = try tiny(.torch)
        var state = StateDict()
        for parameter in graph.parameters { state[parameter.name] = counting(parameter.shape) }
        state["c.num_batches_tracked"] = counting([])
        state["fc.weight"] = counting([3, 4, 1, 1])
        let bound = try graph.bound(state)
        #expect(bound["fc.weight"]?.shape == [3, 4])
        #expect(bound["c.num_batches_tracked"] == nil)
    }
}

@Suite struct SurgeryTests {
    @Test func cutsOnlyWhereAllFlowsThrough() throws {
        let graph = try tiny(.torch)
        #expect(graph.stages == ["stem", "body"])
        #expect(graph.cut(unfreezing: 1) == 1)
        #expect(graph.cut(unfreezing: 2) == 0)
        #expect(graph.cut(unfreezing: 0) == graph.features)
        // Inside the residual block the shortcut reads something before the cut.
        #expect(throws: NetworkError.self) { try graph.split(at: 2) }
        let (prefix, suffix) = try graph.split(at: 1)
        #expect(prefix.nodes.count == 2)
        #expect(suffix.nodes[0].name == "a")
        #expect(try suffix.shapes(input: [1, 4, 8, 8])[suffix.output] == [1, 3])
    }

    @Test func vectorsAreFlattened() throws {
        let graph = try tiny(.torch)
        let suffix = try graph.split(at: graph.features).suffix
        #expect(suffix.nodes[1].op == .flatten(channelsLast: false))
        #expect(try suffix.shapes(input: [5, 4, 1, 1])[suffix.output] == [5, 3])
    }

    @Test func newHead() throws {
        let graph = try tiny(.keras).withHead(classes: 9, dropout: 0.5)
        #expect(graph.nodes.suffix(2).map(\.stage) == ["head", "head"])
        #expect(graph.parameters.suffix(2).map(\.name) == ["head/kernel", "head/bias"])
        #expect(graph.logits == graph.output)
        #expect(throws: NetworkError.self) { try tiny(.keras).withHead(classes: 0) }
    }
}

@Suite struct GraphJSONTests {
    @Test func roundTrip() throws {
        let graph = try tiny(.keras)
        let json = try graph.json()
        #expect(try Graph.decode(json: json) == graph)
        #expect(try Graph.decode(json: json).json() == json)
    }

    @Test(arguments: [
        ("\"inputs\":[0]", "\"inputs\":[7]"), ("\"inputs\":[0]", "\"inputs\":[-1]"),
        ("\"outputs\":4", "\"outputs\":9223372036854775807"), ("\"outputs\":4", "\"outputs\":0"),
        ("\"groups\":1", "\"groups\":0"), ("\"height\":3", "\"height\":9223372036854775807"),
        ("\"height\":3", "\"height\":-3"), ("\"top\":1", "\"top\":-9223372036854775808"),
        ("\"channels\":2", "\"channels\":-2"), ("\"output\":6", "\"output\":99"),
        ("\"role\":\"bias\"", "\"role\":\"kernel\""), ("\"name\":\"b\"", "\"name\":\"a\""),
        ("{", "["), ("}", ""),
    ])
    func hostile(find: String, replace: String) throws {
        let json = try tiny(.torch).json()
        let range = try #require(json.firstRange(of: find), "\(json)")
        let bad = json.replacingCharacters(in: range, with: replace)
        #expect(throws: NetworkError.self) { try Graph.decode(json: bad) }
    }
}

extension String {
    fileprivate func firstRange(of text: String) -> Range<Index>? {
        ranges(of: text).first
    }
    fileprivate func replacingCharacters(in range: Range<Index>, with text: String) -> String {
        String(self[..<range.lowerBound]) + text + String(self[range.upperBound...])
    }
}
