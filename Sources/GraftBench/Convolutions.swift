// A 3×3 convolution: graft's kernel (Winograd) beside oneDNN's direct one, as plans run them.

import GraftExecution
import GraftNetworks
import GraftTensors

func benchConvolution(_ bench: Bench) throws {
    let padding = Padding(top: 1, left: 1, bottom: 1, right: 1)
    for (channels, side) in [(64, 56), (128, 28), (256, 14)] {
        let shape: Shape = [8, channels, side, side]
        var builder = try GraphBuilder(naming: .torch, input: shape)
        let window = Window(kernel: 3, padding: .explicit(padding))
        // A 1×1 first: it brings the map into the layout that networks have inside.
        var node = 0
        for (number, window) in [Window(kernel: 1), window, window].enumerated() {
            node = try builder.add(
                .conv2d(outputs: channels, window: window, groups: 1, bias: false),
                name: "conv\(number)", inputs: [node])
        }
        let graph = builder.graph(name: "conv", output: node, features: node, logits: nil)
        var weights = StateDict()
        for parameter in graph.parameters {
            weights[parameter.name] = LazyTensor(
                Tensor(numbers(parameter.shape.count), shape: parameter.shape))
        }
        let input = Tensor(numbers(shape.count), shape: shape)
        let transformed = try InferencePlan(graph: graph, weights: weights, input: shape)
        let direct = try InferencePlan(
            graph: graph, weights: weights, input: shape,
            options: ExecutionOptions(accuracy: .exact))
        let code = transformed.steps.map(\.algorithm).filter { $0.hasPrefix("winograd") }
        try bench(
            "1×1 and twice 3×3, \(channels) channels, 8 × \(side)², \(code.first ?? "no kernel here")",
            plain: ("oneDNN's direct one", { keep(try direct.run(input).count) })
        ) {
            keep(try transformed.run(input).count)
        }
    }
}
