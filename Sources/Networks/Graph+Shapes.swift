// Shape inference: what every node yields for an input of a given size.

public import GraftTensors

extension Graph {
    /// The shape of every node's value for an input (N, C, H, W), in the order of the nodes.
    ///
    /// Also the check of a graph that a stranger wrote: indices, ranks, channel counts, parameter
    /// shapes and sizes are all looked at.
    public func shapes(input: Shape) throws(NetworkError) -> [Shape] {
        var shapes: [Shape] = []
        shapes.reserveCapacity(nodes.count)
        for (index, node) in nodes.enumerated() {
            for from in node.inputs where from < 0 || from >= index {
                throw .invalidNode(node.name, reason: "reads node \(from), which is not before it")
            }
            let inference = ShapeInference(node: node, inputs: node.inputs.map { shapes[$0] })
            let shape = try inference.shape(of: input, first: index == 0)
            try inference.checkRoles()
            guard let count = shape.checkedCount, count <= 1 << 40 else {
                throw .invalidNode(node.name, reason: "its output \(shape) is too large")
            }
            shapes.append(shape)
        }
        for index in [output, features] + (logits.map { [$0] } ?? [])
        where !nodes.indices.contains(index) {
            throw .invalidGraph("it names node \(index) of \(nodes.count)")
        }
        return shapes
    }
}

/// The rule of one node.
struct ShapeInference {
    let node: Node
    let inputs: [Shape]

    func shape(of input: Shape, first: Bool) throws(NetworkError) -> Shape {
        if case .input(let channels) = node.op {
            guard first else { throw fail("only the first layer can be the input") }
            guard input.rank == 4, input.dimensions.allSatisfy({ $0 > 0 }), input[1] == channels
            else { throw fail("expected an input (N, \(channels), H, W), got \(input)") }
            return input
        }
        guard !first else { throw fail("the first layer must be the input") }
        switch node.op {
        case .input: throw fail("a second input")
        case .conv2d(let outputs, let window, let groups, let bias):
            let x = try map()
            guard groups > 0, outputs > 0, outputs % groups == 0, x[1] % groups == 0 else {
                throw fail("\(groups) groups do not divide \(x[1]) -> \(outputs) channels")
            }
            let kernel: Shape = [outputs, x[1] / groups, window.kernel.height, window.kernel.width]
            try require(bias ? [kernel, [outputs]] : [kernel])
            return try slid(x, window, channels: outputs)
        case .convTranspose2d(let outputs, let window, let extra, let groups, let bias):
            let x = try map()
            guard groups > 0, outputs > 0, outputs % groups == 0, x[1] % groups == 0 else {
                throw fail("\(groups) groups do not divide \(x[1]) -> \(outputs) channels")
            }
            let kernel: Shape = [x[1], outputs / groups, window.kernel.height, window.kernel.width]
            try require(bias ? [kernel, [outputs]] : [kernel])
            return try spread(x, window, extra, channels: outputs)
        case .batchNorm(_, _, let scale, let shift):
            let x = try one()
            guard x.rank >= 2 else { throw fail("expected channels, got \(x)") }
            let vectors = [Shape](repeating: [x[1]], count: 2 + (scale ? 1 : 0) + (shift ? 1 : 0))
            try require(node.parameters.last?.role == .count ? vectors + [[]] : vectors)
            return x
        case .layerNorm:
            let x = try one()
            guard x.rank >= 2 else { throw fail("expected channels, got \(x)") }
            try require([[x[1]], [x[1]]])
            return x
        case .linear(let outputs, let bias):
            let x = try vector()
            guard outputs > 0 else { throw fail("\(outputs) outputs") }
            try require(bias ? [[outputs, x[1]], [outputs]] : [[outputs, x[1]]])
            return [x[0], outputs]
        case .activation, .dropout, .dropPath, .softmax, .unitNorm:
            try require([])
            return try one()
        case .maxPool(let window), .averagePool(let window, _):
            let x = try map()
            try require([])
            return try slid(x, window, channels: x[1])
        case .globalAveragePool(let keeps), .globalMaxPool(let keeps):
            let x = try map()
            return keeps ? [x[0], x[1], 1, 1] : [x[0], x[1]]
        case .adaptiveAveragePool(let height, let width):
            let x = try map()
            guard height > 0, width > 0 else { throw fail("pools to \(height) × \(width)") }
            return [x[0], x[1], height, width]
        case .add, .multiply: return try broadcast()
        case .concatenate: return try joined()
        case .slice(let start, let count):
            var x = try one()
            guard x.rank >= 2, start >= 0, count > 0, start <= x[1] - count else {
                throw fail("channels \(start) ..< \(start)+\(count) of \(x)")
            }
            x[1] = count
            return x
        case .flatten:
            let x = try map()
            guard let count = Shape([x[1], x[2], x[3]]).checkedCount else { throw fail("overflow") }
            return [x[0], count]
        case .reshape(let channels, let height, let width, _):
            let x = try one()
            let target: Shape = [x[0], channels, height, width]
            guard channels > 0, height > 0, width > 0, target.checkedCount == x.checkedCount else {
                throw fail("cannot shape \(x) as \(target)")
            }
            return target
        case .pad(let padding, _):
            let x = try map()
            for amount in [padding.top, padding.left, padding.bottom, padding.right]
            where amount <= -1 << 20 || amount >= 1 << 20 {
                throw fail("a padding of \(amount)")
            }
            let height = x[2] + padding.top + padding.bottom
            let width = x[3] + padding.left + padding.right
            guard height > 0, width > 0 else { throw fail("nothing is left of \(x)") }
            return [x[0], x[1], height, width]
        case .upsample(let height, let width, _):
            let x = try map()
            guard (1...1024).contains(height), (1...1024).contains(width) else {
                throw fail("enlarges by \(height) × \(width)")
            }
            return [x[0], x[1], x[2] * height, x[3] * width]
        case .channelShuffle(let groups):
            let x = try map()
            guard groups > 0, x[1] % groups == 0 else {
                throw fail("\(groups) groups do not divide \(x[1]) channels")
            }
            return x
        case .affine(let scale, let shift):
            let x = try one()
            for constants in [scale, shift]
            where constants.count != 1 && (x.rank < 2 || constants.count != x[1]) {
                throw fail("\(constants.count) constants for \(x)")
            }
            return x
        case .channelScale:
            let x = try one()
            guard x.rank >= 2 else { throw fail("expected channels, got \(x)") }
            try require([[x[1]]])
            return x
        }
    }

    /// Whether the weights are in the order that the operation expects, and none is too many.
    func checkRoles() throws(NetworkError) {
        let roles = node.parameters.map(\.role)
        let expected: [Parameter.Role]
        switch node.op {
        case .conv2d(_, _, _, let bias):
            let kernel: Parameter.Role =
                roles.first == .depthwiseKernel ? .depthwiseKernel : .kernel
            expected = bias ? [kernel, .bias] : [kernel]
        case .convTranspose2d(_, _, _, _, let bias):
            expected = bias ? [.kernel, .bias] : [.kernel]
        case .batchNorm(_, _, let scale, let shift):
            expected =
                (scale ? [.scale] : []) + (shift ? [.shift] : []) + [
                    .runningMean, .runningVariance,
                ] + (roles.last == .count ? [.count] : [])
        case .layerNorm: expected = [.scale, .shift]
        case .linear(_, let bias): expected = bias ? [.matrix, .bias] : [.matrix]
        case .channelScale: expected = [.scale]
        case .input, .activation, .maxPool, .averagePool, .globalAveragePool, .globalMaxPool,
            .adaptiveAveragePool, .add, .multiply, .concatenate, .slice, .flatten, .reshape, .pad,
            .upsample, .channelShuffle, .affine, .dropout, .dropPath, .softmax,
            .unitNorm:
            expected = []
        }
        guard roles == expected else {
            throw fail(
                "expected weights \(expected.map(\.rawValue)), the graph has \(roles.map(\.rawValue))"
            )
        }
        for parameter in node.parameters {
            guard let count = parameter.shape.checkedCount, count <= 1 << 34 else {
                throw fail("its weight `\(parameter.name)` \(parameter.shape) is too large")
            }
        }
    }

    private func fail(_ reason: String) -> NetworkError { .invalidNode(node.name, reason: reason) }

    private func one() throws(NetworkError) -> Shape {
        guard inputs.count == 1 else { throw fail("expected 1 input, got \(inputs.count)") }
        return inputs[0]
    }

    private func map() throws(NetworkError) -> Shape {
        let x = try one()
        guard x.rank == 4 else { throw fail("expected a map (N, C, H, W), got \(x)") }
        return x
    }

    private func vector() throws(NetworkError) -> Shape {
        let x = try one()
        guard x.rank == 2 else { throw fail("expected vectors (N, C), got \(x)") }
        return x
    }

    private func require(_ shapes: [Shape]) throws(NetworkError) {
        guard node.parameters.map(\.shape) == shapes else {
            throw fail("expected weights \(shapes), the graph has \(node.parameters.map(\.shape))")
        }
    }

    private func slid(_ x: Shape, _ window: Window, channels: Int) throws(NetworkError) -> Shape {
        let limit = 1...(1 << 20)
        for extent in [window.kernel, window.stride, window.dilation]
        where !limit.contains(extent.height) || !limit.contains(extent.width) {
            throw fail("a window of \(window.kernel) by \(window.stride)")
        }
        let padding = window.resolvedPadding(height: x[2], width: x[3])
        for amount in [padding.top, padding.left, padding.bottom, padding.right]
        where amount < 0 || amount > 1 << 20 {
            throw fail("a padding of \(amount)")
        }
        func extent(_ size: Int, _ before: Int, _ after: Int, _ axis: KeyPath<Extent, Int>) -> Int {
            let span = window.dilation[keyPath: axis] * (window.kernel[keyPath: axis] - 1) + 1
            let room = size + before + after - span
            guard room >= 0 else { return 0 }
            let step = window.stride[keyPath: axis]
            guard window.roundsUp else { return room / step + 1 }
            let count = (room + step - 1) / step + 1
            // The last window must start inside the map or the padding before it (PyTorch).
            return (count - 1) * step >= size + before ? count - 1 : count
        }
        let height = extent(x[2], padding.top, padding.bottom, \.height)
        let width = extent(x[3], padding.left, padding.right, \.width)
        guard height > 0, width > 0 else {
            throw fail(
                "its \(window.kernel.height) × \(window.kernel.width) window does not fit a map of \(x[2]) × \(x[3])"
            )
        }
        return [x[0], channels, height, width]
    }

    /// The map of which a convolution by `window` makes `x`.
    private func spread(_ x: Shape, _ window: Window, _ extra: Extent, channels: Int)
        throws(NetworkError) -> Shape
    {
        guard case .explicit(let padding) = window.padding else {
            throw fail("a transposed convolution has explicit padding")
        }
        let limit = 1...(1 << 16)
        for extent in [window.kernel, window.stride, window.dilation]
        where !limit.contains(extent.height) || !limit.contains(extent.width) {
            throw fail("a window of \(window.kernel) by \(window.stride)")
        }
        for amount in [padding.top, padding.left, padding.bottom, padding.right]
        where !(0...(1 << 16)).contains(amount) {
            throw fail("a padding of \(amount)")
        }
        // What no window reaches cannot be as wide as a step.
        guard (0..<max(window.stride.height, window.dilation.height)).contains(extra.height),
            (0..<max(window.stride.width, window.dilation.width)).contains(extra.width)
        else { throw fail("an output padding of \(extra.height) × \(extra.width)") }
        func extent(_ size: Int, _ cut: Int, _ axis: KeyPath<Extent, Int>) -> Int {
            (size - 1) * window.stride[keyPath: axis]
                + window.dilation[keyPath: axis] * (window.kernel[keyPath: axis] - 1) + 1 - cut
                + extra[keyPath: axis]
        }
        let height = extent(x[2], padding.top + padding.bottom, \.height)
        let width = extent(x[3], padding.left + padding.right, \.width)
        guard height > 0, width > 0 else { throw fail("nothing is left of \(x)") }
        return [x[0], channels, height, width]
    }

    private func broadcast() throws(NetworkError) -> Shape {
        guard inputs.count >= 2 else {
            throw fail("expected 2 or more inputs, got \(inputs.count)")
        }
        let full = inputs.max { $0.count < $1.count } ?? inputs[0]
        for x in inputs where x != full {
            guard full.rank == 4, x == [full[0], full[1], 1, 1] else {
                throw fail("cannot combine \(x) with \(full)")
            }
        }
        return full
    }

    private func joined() throws(NetworkError) -> Shape {
        guard var result = inputs.first, result.rank >= 2 else { throw fail("nothing to join") }
        for x in inputs.dropFirst() {
            var expected = result
            guard x.rank == result.rank else { throw fail("cannot join \(x) to \(result)") }
            expected[1] = x[1]
            guard x == expected else { throw fail("cannot join \(x) to \(result)") }
            result[1] += x[1]
        }
        return result
    }
}
