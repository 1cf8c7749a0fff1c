// Every operation as its definition says, in plain loops of doubles: what plans are held against.

import Foundation
import GraftNetworks
import GraftTensors

/// The values of all nodes of a graph for one input, computed by the definitions.
func definition(_ graph: Graph, _ weights: StateDict, _ input: Tensor) throws -> [[Double]] {
    let shapes = try graph.shapes(input: input.shape)
    var values: [[Double]] = []
    for (index, node) in graph.nodes.enumerated() {
        let parameters = try node.parameters.map { parameter -> [Double] in
            try weights[parameter.name]?.load().floats.map(Double.init) ?? []
        }
        let layer = Layer(
            node: node, x: node.inputs.map { values[$0] }, shapes: node.inputs.map { shapes[$0] },
            output: shapes[index], parameters: parameters)
        values.append(index == 0 ? input.floats.map(Double.init) : try layer.value())
    }
    return values
}

private struct Layer {
    let node: Node
    let x: [[Double]]
    let shapes: [Shape]
    let output: Shape
    let parameters: [[Double]]

    private var input: Shape { shapes[0] }
    private var area: Int { input.dimensions.dropFirst(2).reduce(1, *) }

    /// One number for each element of the output: sample, channel, row and column known.
    private func each(_ body: (Int, Int, Int, Int) -> Double) -> [Double] {
        let (rows, columns) = output.rank == 4 ? (output[2], output[3]) : (1, 1)
        var result: [Double] = []
        for n in 0..<output[0] {
            for c in 0..<output[1] {
                for h in 0..<rows { for w in 0..<columns { result.append(body(n, c, h, w)) } }
            }
        }
        return result
    }

    /// An element of an input map; nil outside of it.
    private func at(_ n: Int, _ c: Int, _ h: Int, _ w: Int) -> Double? {
        guard h >= 0, w >= 0, h < input[2], w < input[3] else { return nil }
        return x[0][((n * input[1] + c) * input[2] + h) * input[3] + w]
    }

    /// The elements that a window at (h, w) of the output sees, nil where it sees padding, and
    /// whether that is padding or beyond it.
    private func seen(_ window: Window, _ n: Int, _ c: Int, _ h: Int, _ w: Int) -> [(
        tap: Int, value: Double?, isPadding: Bool
    )] {
        let p = window.resolvedPadding(height: input[2], width: input[3])
        var result: [(tap: Int, value: Double?, isPadding: Bool)] = []
        for i in 0..<window.kernel.height {
            for j in 0..<window.kernel.width {
                let row = h * window.stride.height - p.top + i * window.dilation.height
                let column = w * window.stride.width - p.left + j * window.dilation.width
                result.append(
                    (
                        i * window.kernel.width + j, at(n, c, row, column),
                        row < input[2] + p.bottom && column < input[3] + p.right
                    ))
            }
        }
        return result
    }

    /// An operation that has no definition here: its tests say what it gives.
    private struct Undefined: Error { let kind: String }

    func value() throws -> [Double] {
        switch node.op {
        case .input: return []
        case .conv2d(let op):
            let (each, per) = (input[1] / op.groups, op.outputs / op.groups)
            let taps = op.window.kernel.height * op.window.kernel.width
            return self.each { n, o, h, w in
                var sum = op.bias ? parameters[1][o] : 0
                for i in 0..<each {
                    for (tap, value, _) in seen(op.window, n, o / per * each + i, h, w) {
                        sum += (value ?? 0) * parameters[0][(o * each + i) * taps + tap]
                    }
                }
                return sum
            }
        case .convTranspose2d(let op):
            guard case .explicit(let padding) = op.window.padding else { return [] }
            let (each, per) = (input[1] / op.groups, op.outputs / op.groups)
            let (rows, columns) = (op.window.kernel.height, op.window.kernel.width)
            return self.each { n, o, h, w in
                var sum = op.bias ? parameters[1][o] : 0
                for i in (o / per * each)..<(o / per * each + each) {
                    for tap in 0..<(rows * columns) {
                        let y = h + padding.top - tap / columns * op.window.dilation.height
                        let z = w + padding.left - tap % columns * op.window.dilation.width
                        guard y % op.window.stride.height == 0, z % op.window.stride.width == 0
                        else {
                            continue
                        }
                        let weight = parameters[0][(i * per + o % per) * rows * columns + tap]
                        sum +=
                            (at(n, i, y / op.window.stride.height, z / op.window.stride.width) ?? 0)
                            * weight
                    }
                }
                return sum
            }
        case .linear(let op):
            return each { n, o, _, _ in
                (0..<input[1]).reduce(op.bias ? parameters[1][o] : 0) {
                    $0 + x[0][n * input[1] + $1] * parameters[0][o * input[1] + $1]
                }
            }
        case .batchNorm(let op):
            var rest = parameters
            let gamma = op.scale ? rest.removeFirst() : nil
            let beta = op.shift ? rest.removeFirst() : nil
            return byChannel { c, value in
                (value - rest[0][c]) / (rest[1][c] + Double(op.epsilon)).squareRoot()
                    * (gamma?[c] ?? 1) + (beta?[c] ?? 0)
            }
        case .layerNorm(let op):
            return overChannels { vector in
                let mean = vector.reduce(0, +) / Double(vector.count)
                let variance =
                    vector.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(vector.count)
                return vector.indices.map {
                    (vector[$0] - mean) / (variance + Double(op.epsilon)).squareRoot()
                        * parameters[0][$0] + parameters[1][$0]
                }
            }
        case .activation(let op): return x[0].map { applied(op.function, $0) }
        case .maxPool(let op):
            return each { n, c, h, w in
                seen(op.window, n, c, h, w).compactMap(\.value).max() ?? -.infinity
            }
        case .averagePool(let op):
            return each { n, c, h, w in
                let taps = seen(op.window, n, c, h, w)
                let count = taps.count { op.countsPadding ? $0.isPadding : $0.value != nil }
                return taps.reduce(0) { $0 + ($1.value ?? 0) } / Double(count)
            }
        case .globalAveragePool: return planes { $0.reduce(0, +) / Double($0.count) }
        case .globalMaxPool: return planes { $0.max() ?? 0 }
        case .adaptiveAveragePool(let op):
            return each { n, c, h, w in
                let rows =
                    (h * input[2] / op.height)..<(((h + 1) * input[2] + op.height - 1) / op.height)
                let columns =
                    (w * input[3] / op.width)..<(((w + 1) * input[3] + op.width - 1) / op.width)
                var sum = 0.0
                for row in rows { for column in columns { sum += at(n, c, row, column) ?? 0 } }
                return sum / Double(rows.count * columns.count)
            }
        case .add: return combined(+)
        case .multiply: return combined(*)
        case .concatenate:
            return each { n, c, h, w in
                var channel = c
                for (values, shape) in zip(x, shapes) {
                    if channel < shape[1] {
                        let area = shape.dimensions.dropFirst(2).reduce(1, *)
                        let width = shape.rank == 4 ? shape[3] : 1
                        return values[(n * shape[1] + channel) * area + h * width + w]
                    }
                    channel -= shape[1]
                }
                return .nan
            }
        case .slice(let op):
            return each { n, c, h, w in
                x[0][
                    (n * input[1] + op.start + c) * area + h * (input.rank == 4 ? input[3] : 1) + w]
            }
        case .flatten(let op):
            return each { n, k, _, _ in
                let (c, rest) =
                    op.channelsLast ? (k % input[1], k / input[1]) : (k / area, k % area)
                return x[0][(n * input[1] + c) * area + rest]
            }
        case .reshape(let op):
            return each { n, c, h, w in
                let plane = output[2] * output[3]
                let place = h * output[3] + w
                return x[0][
                    n * output[1] * plane
                        + (op.channelsLast ? place * output[1] + c : c * plane + place)]
            }
        case .pad(let op):
            return each { n, c, h, w in
                at(n, c, h - op.padding.top, w - op.padding.left) ?? Double(op.value)
            }
        case .upsample(let op):
            return each { n, c, h, w in at(n, c, h / op.height, w / op.width) ?? .nan }
        case .channelShuffle(let op):
            return each { n, c, h, w in
                at(n, c % op.groups * (input[1] / op.groups) + c / op.groups, h, w) ?? .nan
            }
        case .affine(let op):
            return byChannel { c, value in
                Double(op.scale[op.scale.count == 1 ? 0 : c]) * value
                    + Double(op.shift[op.shift.count == 1 ? 0 : c])
            }
        case .channelScale: return byChannel { c, value in parameters[0][c] * value }
        case .dropout, .dropPath: return x[0]
        case .unitNorm:
            return overChannels { vector in
                let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
                return vector.map { $0 / max(length, 1e-12) }
            }
        case .softmax:
            return overChannels { vector in
                let largest = vector.max() ?? 0
                let exponents = vector.map { exp($0 - largest) }
                let sum = exponents.reduce(0, +)
                return exponents.map { $0 / sum }
            }
        default: throw Undefined(kind: node.op.kind)
        }
    }

    private func byChannel(_ body: (Int, Double) -> Double) -> [Double] {
        x[0].indices.map { body($0 / area % input[1], x[0][$0]) }
    }

    private func planes(_ body: (ArraySlice<Double>) -> Double) -> [Double] {
        (0..<(input[0] * input[1])).map { body(x[0][($0 * area)..<(($0 + 1) * area)]) }
    }

    private func overChannels(_ body: ([Double]) -> [Double]) -> [Double] {
        var result = x[0]
        for n in 0..<input[0] {
            for place in 0..<area {
                let places = (0..<input[1]).map { (n * input[1] + $0) * area + place }
                for (at, value) in zip(places, body(places.map { x[0][$0] })) { result[at] = value }
            }
        }
        return result
    }

    /// Elementwise over all inputs; those of (N, C, 1, 1) are repeated over the map.
    private func combined(_ body: (Double, Double) -> Double) -> [Double] {
        let plane = output.dimensions.dropFirst(2).reduce(1, *)
        return (0..<output.count).map { element in
            zip(x, shapes).map { values, shape in
                shape == output ? values[element] : values[element / plane]
            }.reduce(nil) { sum, value in sum.map { body($0, value) } ?? value } ?? .nan
        }
    }
}

private func applied(_ activation: Activation, _ x: Double) -> Double {
    func relu6(_ x: Double) -> Double { min(max(x, 0), 6) }
    switch activation {
    case .relu: return max(x, 0)
    case .relu6: return relu6(x)
    case .sigmoid: return 1 / (1 + exp(-x))
    case .tanh: return tanh(x)
    case .swish: return x / (1 + exp(-x))
    case .hardSigmoid: return relu6(x + 3) / 6
    case .hardSwish: return x * relu6(x + 3) / 6
    case .gelu: return x * (1 + erf(x / 2.0.squareRoot())) / 2
    case .geluTanh:
        return 0.5 * x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    case .quickGELU: return x / (1 + exp(-1.702 * x))
    case .elu: return x > 0 ? x : exp(x) - 1
    case .leakyReLU: return x > 0 ? x : 0.01 * x
    case .exponential: return exp(x)
    case .softplus: return log1p(exp(x))
    case .mish: return x * tanh(log1p(exp(x)))
    }
}
