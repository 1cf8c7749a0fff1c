// Non-linearities that are no operation of the graph, as sums of those that are.

import GraftNetworks
import GraftTensors

extension GraphBuilder {
    /// `scale` x + `shift`.
    private struct Line {
        let scale: Float
        let shift: Float
        var op: Op { .affine(scale: [scale], shift: [shift]) }
    }

    /// min(max(x, low), high), where one may be infinite.
    mutating func clipped(
        _ x: Int, from low: Float, to high: Float, name: String
    ) throws(NetworkError) -> Int {
        switch (low, high) {
        case (0, 6): return try add(.activation(.relu6), name: name, inputs: [x])
        case (0, .infinity): return try add(.activation(.relu), name: name, inputs: [x])
        case (-.infinity, .infinity): return x
        case (_, .infinity):
            return try add(
                .relu, of: x, after: Line(scale: 1, shift: -low),
                before: Line(scale: 1, shift: low), name: name)
        case (-.infinity, _):
            let line = Line(scale: -1, shift: high)
            return try add(.relu, of: x, after: line, before: line, name: name)
        default:
            let unit = (high - low) / 6
            return try add(
                .relu6, of: x, after: Line(scale: 1 / unit, shift: -low / unit),
                before: Line(scale: unit, shift: low), name: name)
        }
    }

    /// An activation between two lines.
    private mutating func add(
        _ activation: Activation, of x: Int, after first: Line, before last: Line, name: String
    ) throws(NetworkError) -> Int {
        let inner = try add(first.op, name: part("scaled", of: name), inputs: [x])
        let cut = try add(
            .activation(activation), name: part("clipped", of: name), inputs: [inner])
        return try add(last.op, name: name, inputs: [cut])
    }

    /// x where x > 0, `slope` x elsewhere.
    mutating func leaky(_ x: Int, slope: Float, name: String) throws(NetworkError) -> Int {
        switch slope {
        case 0: try add(.activation(.relu), name: name, inputs: [x])
        case 0.01: try add(.activation(.leakyReLU), name: name, inputs: [x])
        default: try bent(x, by: .relu, linear: slope, above: 1 - slope, name: name)
        }
    }

    /// `linear` x + `above` activation(x).
    mutating func bent(
        _ x: Int, by activation: Activation, linear: Float, above: Float, name: String
    ) throws(NetworkError) -> Int {
        let line = try add(
            .affine(scale: [linear], shift: [0]), name: part("slope", of: name), inputs: [x])
        let other = try add(
            .activation(activation), name: part(activation.rawValue, of: name), inputs: [x])
        let rest = try add(
            .affine(scale: [above], shift: [0]), name: part("rest", of: name), inputs: [other])
        return try add(.add, name: name, inputs: [line, rest])
    }

    /// `below` elu(x) where x < 0, `above` x where x > 0: ELU and SELU of any constants.
    mutating func elu(
        _ x: Int, below: Float, above: Float, name: String
    ) throws(NetworkError) -> Int {
        if (below, above) == (1, 1) {
            return try add(.activation(.elu), name: name, inputs: [x])
        }
        let positive = try add(.activation(.relu), name: part("relu", of: name), inputs: [x])
        let rest = try add(
            .affine(scale: [above - below], shift: [0]), name: part("rest", of: name),
            inputs: [positive])
        let whole = try add(.activation(.elu), name: part("elu", of: name), inputs: [x])
        let bend = try add(
            .affine(scale: [below], shift: [0]), name: part("bend", of: name), inputs: [whole])
        return try add(.add, name: name, inputs: [bend, rest])
    }

    /// relu(x) − α relu(−x) with an α for each channel, the parameter of the node `slopes`.
    mutating func parametric(
        _ x: Int, name: String
    ) throws(NetworkError) -> (value: Int, slopes: Int) {
        let positive = try add(.activation(.relu), name: part("relu", of: name), inputs: [x])
        let negative = try add(
            .affine(scale: [-1], shift: [0]), name: part("negative", of: name), inputs: [x])
        let turned = try add(
            .activation(.relu), name: part("negative_relu", of: name), inputs: [negative])
        let slopes = try add(.channelScale, name: part("sloped", of: name), inputs: [turned])
        let back = try add(
            .affine(scale: [-1], shift: [0]), name: part("back", of: name), inputs: [slopes])
        return (try add(.add, name: name, inputs: [positive, back]), slopes)
    }

    private func part(_ what: String, of name: String) -> String {
        name + (naming == .torch ? "." : "_") + what
    }
}
