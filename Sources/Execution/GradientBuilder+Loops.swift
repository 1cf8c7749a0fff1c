// Gradients that are loops over row-major numbers: normalisation by sample, and what moves numbers.

import CDNNL
import CKernels
import GraftNetworks
import GraftTensors

extension GradientBuilder {
    typealias Floats = UnsafeMutableBufferPointer<Float>

    /// Appends a loop once all that runs before it is done.
    private func loop(_ node: Node, uses: [Memory], _ body: @escaping () -> Void) {
        let engine = compiler.engine
        compiler.append(node.name, "loop", uses: uses) {
            try check(dnnl_stream_wait(engine.stream), "finish")
            body()
        }
    }

    /// A parameter's numbers: those that learn change from step to step, in place.
    private func numbers(_ node: Node, _ role: Parameter.Role) throws -> Memory {
        guard let parameter = compiler.parameter(node, role) else { throw unsupported(node) }
        return try slots[parameter.name]?.value
            ?? compiler.constant(
                try compiler.weight(parameter), dims: parameter.shape.dimensions)
    }

    /// Where a parameter's gradient goes, if it learns.
    private func slope(_ node: Node, _ role: Parameter.Role) -> Buffer? {
        compiler.parameter(node, role).flatMap { slots[$0.name]?.gradient.buffer }
    }

    // MARK: γ[c] · x

    /// oneDNN multiplies by a row of channels in its reference code only.
    func channelScale(_ index: Int, _ node: Node, _ x: Memory) throws -> Memory {
        let (gamma, shape) = (try numbers(node, .scale), shapes[index])
        var (source, layout) = try compiler.regular(x, shape)
        if layout.filled != shape[1] {  // γ has no numbers for what fills up a block.
            source = try compiler.plain(x, shape.dimensions)
            layout = MapLayout(shape, .planes)
        }
        let to = MapLayout(shape, layout.order)
        let output = try compiler.memory(to)
        let (x, from, into) = (source, layout.loop, to.loop)
        loop(node, uses: [x, output]) {
            graft_channel_affine(
                from, x.floats, gamma.floats, 0, nil, -.infinity, .infinity, into, output.floats)
        }
        return output
    }

    func channelScaleBackward(_ index: Int, _ node: Node, _ dy: Memory) throws {
        let shape = shapes[index]
        let (channels, area) = (shape[1], shape.count / (shape[0] * shape[1]))
        if let target = slope(node, .scale) {
            let x = try compiler.plain(try value(node.inputs[0]), shape.dimensions)
            let g = try compiler.plain(dy, shape.dimensions)
            loop(node, uses: [x, g]) {
                let (x, g) = (x.buffer.floats(shape.count), g.buffer.floats(shape.count))
                var sums = [Double](repeating: 0, count: channels)
                for plane in 0..<(shape[0] * channels) {
                    for at in (plane * area)..<((plane + 1) * area) {
                        sums[plane % channels] += Double(x[at]) * Double(g[at])
                    }
                }
                _ = target.floats(channels).update(fromContentsOf: sums.map { Float($0) })
            }
        }
        guard learns[node.inputs[0]] else { return }
        try accumulate(node.inputs[0], try channelScale(index, node, dy))
    }

    // MARK: Layer normalisation over the channels

    func layerNorm(_ index: Int, _ node: Node, _ x: Memory, _ epsilon: Float) throws -> Memory {
        let shape = shapes[index]
        let (gamma, beta) = (try numbers(node, .scale), try numbers(node, .shift))
        let source = try compiler.plain(x, shape.dimensions)
        let target = try compiler.memory(.plain(shape.dimensions))
        loop(node, uses: [source, target]) {
            let norm = LayerNorm(shape, epsilon)
            let (x, y) = (source.buffer.floats(shape.count), target.buffer.floats(shape.count))
            let (gamma, beta) = (
                gamma.buffer.floats(norm.channels), beta.buffer.floats(norm.channels)
            )
            norm.forEachPosition { base in
                let (mean, scale) = norm.statistics(x, base)
                for c in 0..<norm.channels {
                    let at = base + c * norm.area
                    y[at] = Float((Double(x[at]) - mean) * scale) * gamma[c] + beta[c]
                }
            }
        }
        return target
    }

    /// dx = s (g − mean g − x̂ · mean(g x̂)) with g = γ dy and x̂ the normal value.
    func layerNormBackward(_ index: Int, _ node: Node, _ dy: Memory, _ epsilon: Float) throws {
        let shape = shapes[index]
        let gamma = try numbers(node, .scale)
        let (dGamma, dBeta) = (slope(node, .scale), slope(node, .shift))
        let source = try compiler.plain(try value(node.inputs[0]), shape.dimensions)
        let gradient = try compiler.plain(dy, shape.dimensions)
        let target = try compiler.memory(.plain(shape.dimensions))
        loop(node, uses: [source, gradient, target]) {
            let norm = LayerNorm(shape, epsilon)
            let x = source.buffer.floats(shape.count)
            let g = gradient.buffer.floats(shape.count)
            let dx = target.buffer.floats(shape.count)
            let gamma = gamma.buffer.floats(norm.channels)
            var scales = [Double](repeating: 0, count: norm.channels)
            var shifts = scales
            norm.forEachPosition { base in
                let (mean, scale) = norm.statistics(x, base)
                var (sum, product) = (0.0, 0.0)
                for c in 0..<norm.channels {
                    let at = base + c * norm.area
                    let normal = (Double(x[at]) - mean) * scale
                    scales[c] += Double(g[at]) * normal
                    shifts[c] += Double(g[at])
                    sum += Double(g[at]) * Double(gamma[c])
                    product += Double(g[at]) * Double(gamma[c]) * normal
                }
                let count = Double(norm.channels)
                for c in 0..<norm.channels {
                    let at = base + c * norm.area
                    let normal = (Double(x[at]) - mean) * scale
                    let own = Double(g[at]) * Double(gamma[c])
                    dx[at] = Float(scale * (own - sum / count - normal * product / count))
                }
            }
            _ = dGamma?.floats(norm.channels).update(fromContentsOf: scales.map { Float($0) })
            _ = dBeta?.floats(norm.channels).update(fromContentsOf: shifts.map { Float($0) })
        }
        try accumulate(node.inputs[0], target)
    }

    // MARK: What moves numbers

    /// The gradient of an operation without weights, by a loop over row-major numbers.
    func loopBackward(_ index: Int, _ node: Node, _ dy: Memory) throws {
        let (x, y) = (shapes[node.inputs[0]], shapes[index])
        let gradient = try compiler.plain(dy, y.dimensions)
        let target = try compiler.memory(.plain(x.dimensions))
        let output = try compiler.plain(try value(index), y.dimensions)
        let area = x.rank == 4 ? x[2] * x[3] : 1
        var others: [Memory] = []
        let body: (Floats, Floats) throws -> Void
        switch node.op {
        case .slice(let op):
            body = { g, dx in
                for sample in 0..<x[0] {
                    for element in 0..<(op.count * area) {
                        dx[(sample * x[1] + op.start) * area + element] =
                            g[sample * op.count * area + element]
                    }
                }
            }
        case .channelShuffle(let op):
            let each = x[1] / op.groups
            body = { g, dx in
                for plane in 0..<(x[0] * x[1]) {
                    let (sample, channel) = plane.quotientAndRemainder(dividingBy: x[1])
                    let from = sample * x[1] + (channel % op.groups) * each + channel / op.groups
                    for element in 0..<area {
                        dx[from * area + element] = g[plane * area + element]
                    }
                }
            }
        case .reshape(let op):
            let plane = y[2] * y[3]
            body = { g, dx in
                guard op.channelsLast else {
                    _ = dx.update(fromContentsOf: g)
                    return
                }
                for row in 0..<(y[0] * y[1]) {
                    let (sample, channel) = row.quotientAndRemainder(dividingBy: y[1])
                    for element in 0..<plane {
                        dx[(sample * plane + element) * y[1] + channel] = g[row * plane + element]
                    }
                }
            }
        case .upsample(let op) where !op.bilinear:
            body = { g, dx in
                for plane in 0..<(y[0] * y[1]) {
                    for row in 0..<y[2] {
                        for column in 0..<y[3] {
                            dx[(plane * x[2] + row / op.height) * x[3] + column / op.width] +=
                                g[(plane * y[2] + row) * y[3] + column]
                        }
                    }
                }
            }
        case .upsample(let op):
            let (rows, columns) = (taps(x[2], op.height), taps(x[3], op.width))
            body = { g, dx in
                for plane in 0..<(y[0] * y[1]) {
                    let to = plane * x[2] * x[3]
                    for (row, (top, bottom, down)) in rows.enumerated() {
                        let (above, below) = (to + top * x[3], to + bottom * x[3])
                        for (column, (left, right, across)) in columns.enumerated() {
                            let slope = g[(plane * y[2] + row) * y[3] + column]
                            let (upper, lower) = (slope * (1 - down), slope * down)
                            dx[above + left] += upper * (1 - across)
                            dx[above + right] += upper * across
                            dx[below + left] += lower * (1 - across)
                            dx[below + right] += lower * across
                        }
                    }
                }
            }
        case .softmax:
            body = { g, dx in
                let y = output.buffer.floats(dx.count)
                for sample in 0..<x[0] {
                    for element in 0..<area {
                        let base = sample * x[1] * area + element
                        var sum = 0.0
                        for c in 0..<x[1] {
                            sum += Double(g[base + c * area]) * Double(y[base + c * area])
                        }
                        for c in 0..<x[1] {
                            let at = base + c * area
                            dx[at] = y[at] * Float(Double(g[at]) - sum)
                        }
                    }
                }
            }
        case .unitNorm:
            let source = try compiler.plain(try value(node.inputs[0]), x.dimensions)
            others.append(source)
            body = { g, dx in
                UnitNorm.backward(
                    x, source.buffer.floats(dx.count), output.buffer.floats(dx.count), g, dx)
            }
        default: throw unsupported(node)
        }
        let engine = compiler.engine
        compiler.append(node.name, "loop", uses: [gradient, target, output] + others) {
            try check(dnnl_stream_wait(engine.stream), "finish")
            let dx = target.buffer.floats(x.count)
            dx.update(repeating: 0)
            try body(gradient.buffer.floats(y.count), dx)
        }
        try accumulate(node.inputs[0], target)
    }
}

/// Where the positions of a layer normalisation over the channels lie.
private struct LayerNorm {
    let samples: Int
    let channels: Int
    let area: Int
    let epsilon: Double

    init(_ shape: Shape, _ epsilon: Float) {
        (samples, channels) = (shape[0], shape[1])
        area = shape.count / max(shape[0] * shape[1], 1)
        self.epsilon = Double(epsilon)
    }

    func forEachPosition(_ body: (Int) -> Void) {
        for sample in 0..<samples {
            for element in 0..<area { body(sample * channels * area + element) }
        }
    }

    /// The mean of a position's channels, and one over their deviation.
    func statistics(_ x: UnsafeMutableBufferPointer<Float>, _ base: Int) -> (
        mean: Double, scale: Double
    ) {
        var sum = 0.0
        for c in 0..<channels { sum += Double(x[base + c * area]) }
        let mean = sum / Double(channels)
        var squares = 0.0
        for c in 0..<channels {
            let d = Double(x[base + c * area]) - mean
            squares += d * d
        }
        return (mean, 1 / (squares / Double(channels) + epsilon).squareRoot())
    }
}
