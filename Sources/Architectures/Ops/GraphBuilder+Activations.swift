// Non-linearities that are no operation of the graph, as sums of those that are.

import GraftNetworks
import GraftTensors

extension GraphBuilder {
    /// min(max(x, low), high), where one may be infinite.
    mutating func clipped(_ name: String, _ x: Int, from low: Float, to high: Float)
        throws(NetworkError) -> Int
    {
        switch (low, high) {
        case (0, 6): return try add(.activation(.relu6), name: name, inputs: [x])
        case (0, .infinity): return try add(.activation(.relu), name: name, inputs: [x])
        case (-.infinity, .infinity): return x
        case (_, .infinity):
            return try around(.relu, name, x, (1, -low), (1, low))
        case (-.infinity, _):
            return try around(.relu, name, x, (-1, high), (-1, high))
        default:
            let unit = (high - low) / 6
            return try around(.relu6, name, x, (1 / unit, -low / unit), (unit, low))
        }
    }

    /// An activation between two affine maps, each a scale and a shift.
    private mutating func around(
        _ activation: Activation, _ name: String, _ x: Int, _ before: (Float, Float),
        _ after: (Float, Float)
    ) throws(NetworkError) -> Int {
        let inner = try add(
            .affine(scale: [before.0], shift: [before.1]), name: part(name, "scaled"), inputs: [x])
        let cut = try add(.activation(activation), name: part(name, "clipped"), inputs: [inner])
        return try add(.affine(scale: [after.0], shift: [after.1]), name: name, inputs: [cut])
    }

    /// x where x > 0, `slope` x elsewhere.
    mutating func leaky(_ name: String, _ x: Int, _ slope: Float) throws(NetworkError) -> Int {
        switch slope {
        case 0: try add(.activation(.relu), name: name, inputs: [x])
        case 0.01: try add(.activation(.leakyReLU), name: name, inputs: [x])
        default: try bent(.relu, name, x, linear: slope, above: 1 - slope)
        }
    }

    /// `linear` x + `above` activation(x).
    mutating func bent(
        _ activation: Activation, _ name: String, _ x: Int, linear: Float, above: Float
    ) throws(NetworkError) -> Int {
        let line = try add(
            .affine(scale: [linear], shift: [0]), name: part(name, "slope"), inputs: [x])
        let other = try add(
            .activation(activation), name: part(name, activation.rawValue), inputs: [x])
        let rest = try add(
            .affine(scale: [above], shift: [0]), name: part(name, "rest"), inputs: [other])
        return try add(.add, name: name, inputs: [line, rest])
    }

    /// `below` elu(x) where x < 0, `above` x where x > 0: ELU and SELU of any constants.
    mutating func elu(_ name: String, _ x: Int, below: Float, above: Float) throws(NetworkError)
        -> Int
    {
        if (below, above) == (1, 1) {
            return try add(.activation(.elu), name: name, inputs: [x])
        }
        let positive = try add(.activation(.relu), name: part(name, "relu"), inputs: [x])
        let rest = try add(
            .affine(scale: [above - below], shift: [0]), name: part(name, "rest"),
            inputs: [positive])
        let whole = try add(.activation(.elu), name: part(name, "elu"), inputs: [x])
        let bend = try add(
            .affine(scale: [below], shift: [0]), name: part(name, "bend"), inputs: [whole])
        return try add(.add, name: name, inputs: [bend, rest])
    }

    /// relu(x) − α relu(−x) with an α for each channel, the parameter of the node `slopes`.
    mutating func parametric(_ name: String, _ x: Int) throws(NetworkError) -> (
        value: Int, slopes: Int
    ) {
        let positive = try add(.activation(.relu), name: part(name, "relu"), inputs: [x])
        let negative = try add(
            .affine(scale: [-1], shift: [0]), name: part(name, "negative"), inputs: [x])
        let turned = try add(
            .activation(.relu), name: part(name, "negative_relu"), inputs: [negative])
        let slopes = try add(.channelScale, name: part(name, "sloped"), inputs: [turned])
        let back = try add(
            .affine(scale: [-1], shift: [0]), name: part(name, "back"), inputs: [slopes])
        return (try add(.add, name: name, inputs: [positive, back]), slopes)
    }

    private func part(_ name: String, _ what: String) -> String {
        name + (naming == .torch ? "." : "_") + what
    }
}
