// BatchNorm with running statistics as a scale and a shift by channel, alone or folded into the weights
// of the product before it. The only place that folds.

import CDNNL
import CKernels
import GraftNetworks
import GraftTensors

/// Numbers by channel that learn, or that do not.
struct ChannelNumbers {
    private let fixed: [Float]?
    private let slot: Learning.Slot?

    /// The numbers of a parameter; none without one.
    init(_ parameter: Parameter?, in compiler: Compiler, learning: Learning?) throws {
        slot = parameter.flatMap { learning?.slots[$0.name] }
        fixed = slot == nil ? try parameter.map { try compiler.weight($0) } : nil
    }

    var learns: Bool { slot != nil }
    var gradient: UnsafeMutablePointer<Float>? { slot?.gradient.floats }

    /// The number of a channel as it is now.
    func number(_ channel: Int, or none: Float) -> Float {
        slot?.value.floats[channel] ?? fixed?[channel] ?? none
    }
}

/// A BatchNorm with its running statistics as `y = scale · x + shift` by channel, with
/// scale = γ / √(σ² + ε) and shift = β − μ · scale.
final class ChannelNorm {
    private(set) var scale: [Float]
    private(set) var shift: [Float]
    /// μ.
    let mean: [Float]
    /// Whether γ or β learns.
    let learns: Bool
    private let deviation: [Double]
    private let gamma: ChannelNumbers
    private let beta: ChannelNumbers

    /// Reads the weights of the BatchNorm called `name`. `filled` channels, with what fills up the
    /// last block, if there are more than weights.
    init(
        _ rule: Op.BatchNorm, named name: String, parameters: [Parameter], in compiler: Compiler,
        learning: Learning? = nil, filled: Int = 0
    ) throws {
        func parameter(_ role: Parameter.Role) -> Parameter? {
            parameters.first { $0.role == role }
        }
        guard let mean = parameter(.runningMean), let variance = parameter(.runningVariance) else {
            throw ExecutionError.missingWeight(layer: name, role: .runningMean)
        }
        deviation = try compiler.weight(variance).map {
            (Double($0) + Double(rule.epsilon)).squareRoot()
        }
        let zeros = [Float](repeating: 0, count: max(filled, deviation.count))
        self.mean = try compiler.weight(mean) + zeros.dropFirst(deviation.count)
        gamma = try ChannelNumbers(parameter(.scale), in: compiler, learning: learning)
        beta = try ChannelNumbers(parameter(.shift), in: compiler, learning: learning)
        learns = gamma.learns || beta.learns
        scale = zeros
        shift = zeros
        update()
    }

    var channels: Int { deviation.count }

    /// Reads γ and β as they are now.
    func update() {
        for c in deviation.indices {
            scale[c] = Float(Double(gamma.number(c, or: 1)) / deviation[c])
            shift[c] = beta.number(c, or: 0) - mean[c] * scale[c]
        }
    }

    /// The bias of a product that this is folded into.
    func bias(_ channel: Int, before: Float) -> Float { before * scale[channel] + shift[channel] }

    /// Folds this into constant weights.
    func fold(into kernel: inout [Float], bias: inout [Float]?) {
        graft_scale_rows(&kernel, channels, kernel.count / max(channels, 1), scale)
        let before = bias
        bias = (0..<channels).map { self.bias($0, before: before?[$0] ?? 0) }
    }

    /// Writes the gradients of γ and β, given for each channel Σ g (x − μ) and Σ g.
    func collect(products: UnsafePointer<Float>, sums: UnsafePointer<Float>) {
        for c in deviation.indices {
            gamma.gradient?[c] = Float(Double(products[c]) / deviation[c])
            beta.gradient?[c] = sums[c]
        }
    }
}
