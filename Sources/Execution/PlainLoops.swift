// Operations that are loops over row-major numbers: rare ones, and those that only move numbers.

import CDNNL
import Glibc
import GraftNetworks
import GraftTensors

extension Compiler {
    /// Appends the loop of a node over row-major inputs; its value is row-major.
    func plainLoop(_ node: Node, _ sources: [Memory], _ shapes: [Shape], _ index: Int) throws
        -> Memory
    {
        let inputs = node.inputs.map { shapes[$0] }
        let shape = shapes[index]
        let x = try zip(sources, inputs).map { try plain($0, $1.dimensions) }
        if case .affine(let affine) = node.op {
            return try channelAffine(
                x[0], shape, scale: affine.scale, shift: affine.shift, as: node.name)
        }
        if case .channelScale = node.op, let gamma = node.parameters.first {
            return try channelAffine(
                x[0], shape, scale: try weight(gamma), shift: nil, as: node.name)
        }
        let output = try memory(.plain(shape.dimensions))
        let body = try loop(node, inputs, shape)
        let engine = engine
        append(node.name, "loop", uses: x + [output]) {
            try check(dnnl_stream_wait(engine.stream), "finish")
            body(
                zip(x, inputs).map { UnsafeBufferPointer($0.buffer.floats($1.count)) },
                output.buffer.floats(shape.count))
        }
        return output
    }

    private typealias Loop = (
        [UnsafeBufferPointer<Float>], UnsafeMutableBufferPointer<Float>
    ) -> Void

    private func loop(_ node: Node, _ inputs: [Shape], _ y: Shape) throws -> Loop {
        let x = inputs[0]
        let area = x.rank == 4 ? x[2] * x[3] : 1
        switch node.op {
        case .pad(let op):
            return { sources, target in
                target.update(repeating: op.value)
                for plane in 0..<(y[0] * y[1]) {
                    for row in max(0, op.padding.top)..<min(y[2], op.padding.top + x[2]) {
                        for column in max(0, op.padding.left)..<min(y[3], op.padding.left + x[3]) {
                            target[(plane * y[2] + row) * y[3] + column] =
                                sources[0][
                                    (plane * x[2] + row - op.padding.top) * x[3] + column
                                        - op.padding.left]
                        }
                    }
                }
            }
        case .concatenate:
            return { sources, target in
                let inner = y.dimensions.dropFirst(2).reduce(1, *)
                var at = 0
                for sample in 0..<y[0] {
                    for (source, shape) in zip(sources, inputs) {
                        let count = shape[1] * inner
                        for element in 0..<count {
                            target[at + element] = source[sample * count + element]
                        }
                        at += count
                    }
                }
            }
        case .slice(let op):
            return { sources, target in
                for sample in 0..<y[0] {
                    for element in 0..<(op.count * area) {
                        target[sample * op.count * area + element] =
                            sources[0][(sample * x[1] + op.start) * area + element]
                    }
                }
            }
        case .channelShuffle(let op):
            let each = x[1] / op.groups
            return { sources, target in
                for sample in 0..<y[0] {
                    for channel in 0..<x[1] {
                        let from = (channel % op.groups) * each + channel / op.groups
                        for element in 0..<area {
                            target[(sample * x[1] + channel) * area + element] =
                                sources[0][(sample * x[1] + from) * area + element]
                        }
                    }
                }
            }
        case .reshape(let op):
            return { sources, target in
                guard op.channelsLast else {
                    _ = target.update(fromContentsOf: sources[0])
                    return
                }
                let plane = y[2] * y[3]
                for sample in 0..<y[0] {
                    for channel in 0..<y[1] {
                        for element in 0..<plane {
                            target[(sample * y[1] + channel) * plane + element] =
                                sources[0][(sample * plane + element) * y[1] + channel]
                        }
                    }
                }
            }
        case .adaptiveAveragePool(let op):
            let (rows, columns) = (cells(x[2], op.height), cells(x[3], op.width))
            return { sources, target in
                for plane in 0..<(y[0] * y[1]) {
                    for (i, row) in rows.enumerated() {
                        for (j, column) in columns.enumerated() {
                            var sum: Float = 0
                            for r in row {
                                for c in column { sum += sources[0][(plane * x[2] + r) * x[3] + c] }
                            }
                            target[(plane * op.height + i) * op.width + j] =
                                sum / Float(row.count * column.count)
                        }
                    }
                }
            }
        case .upsample(let op) where !op.bilinear:
            return { sources, target in
                for plane in 0..<(y[0] * y[1]) {
                    for row in 0..<y[2] {
                        for column in 0..<y[3] {
                            target[(plane * y[2] + row) * y[3] + column] =
                                sources[0][
                                    (plane * x[2] + row / op.height) * x[3] + column / op.width]
                        }
                    }
                }
            }
        case .upsample(let op):
            let (rows, columns) = (taps(x[2], op.height), taps(x[3], op.width))
            return { sources, target in
                for plane in 0..<(y[0] * y[1]) {
                    let from = plane * x[2] * x[3]
                    for (row, (top, bottom, down)) in rows.enumerated() {
                        let (above, below) = (from + top * x[3], from + bottom * x[3])
                        for (column, (left, right, across)) in columns.enumerated() {
                            func mixed(_ base: Int) -> Float {
                                let first = sources[0][base + left]
                                return first + (sources[0][base + right] - first) * across
                            }
                            let upper = mixed(above)
                            target[(plane * y[2] + row) * y[3] + column] =
                                upper + (mixed(below) - upper) * down
                        }
                    }
                }
            }
        case .unitNorm:
            return { sources, target in
                UnitNorm(x).forEachPosition { base, places in
                    let scale = 1 / UnitNorm.length(sources[0], base, places)
                    for at in places {
                        target[base + at] = Float(Double(sources[0][base + at]) * scale)
                    }
                }
            }
        case .layerNorm(let op):
            let gamma = try weight(node.parameters[0])
            let beta = try weight(node.parameters[1])
            return { sources, target in
                for sample in 0..<x[0] {
                    for element in 0..<area {
                        let base = sample * x[1] * area + element
                        var sum = 0.0
                        for c in 0..<x[1] { sum += Double(sources[0][base + c * area]) }
                        let mean = sum / Double(x[1])
                        var squares = 0.0
                        for c in 0..<x[1] {
                            let d = Double(sources[0][base + c * area]) - mean
                            squares += d * d
                        }
                        let scale = 1 / (squares / Double(x[1]) + Double(op.epsilon)).squareRoot()
                        for c in 0..<x[1] {
                            let normal = (Double(sources[0][base + c * area]) - mean) * scale
                            target[base + c * area] = Float(normal) * gamma[c] + beta[c]
                        }
                    }
                }
            }
        default:
            throw ExecutionError.unsupported(
                layer: node.name, reason: "`\(node.op.kind)` cannot run yet")
        }
    }
}

/// PyTorch's adaptive cells along an axis: cell i covers ⌊i·in/out⌋ ..< ⌈(i+1)·in/out⌉.
func cells(_ input: Int, _ output: Int) -> [Range<Int>] {
    (0..<output).map { ($0 * input / output)..<((($0 + 1) * input + output - 1) / output) }
}

/// Bilinear enlargement with half-pixel centres: for every output the two inputs around it and the
/// weight of the second.
func taps(_ size: Int, _ factor: Int) -> [(Int, Int, Float)] {
    (0..<(size * factor)).map { index in
        let place = max((Float(index) + 0.5) / Float(factor) - 0.5, 0)
        let first = min(Int(place), size - 1)
        return (first, min(first + 1, size - 1), place - Float(first))
    }
}
