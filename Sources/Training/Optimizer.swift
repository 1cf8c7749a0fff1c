// How gradients move weights: SGD, Adam and their kin, as Keras and as PyTorch compute them.

import GraftExecution
package import GraftTensors

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// An optimiser and its state, one slot per parameter.
///
/// The two dialects share names and differ in numbers:
/// - SGD: Keras keeps the learning rate inside the momentum (m ← μm − ηg; w ← w + m), PyTorch
///   outside (b ← μb + g; w ← w − ηb): equal while η is constant.
/// - Weight decay: Keras shrinks the weight first (w ← w − ηλw), PyTorch adds λw to the gradient.
/// - RMSprop: Keras' ρ is 0.9 and ε is inside the root, PyTorch's 0.99 and outside of it.
/// - LAMB: PyTorch's is timm's, without its own clipping; it adapts only where weights decay.
/// - Adam: Keras' ε (1e-7) joins √v before bias correction, PyTorch's (1e-8) after it.
public struct Optimizer: Sendable {
    /// The update rule.
    public enum Rule: String, Sendable, Hashable, Codable, CaseIterable {
        /// Gradient descent, with momentum if it is not 0.
        case sgd
        /// Kingma & Ba, arXiv:1412.6980.
        case adam
        /// Adam whose weight decay is not part of the gradient, arXiv:1711.05101.
        case adamw
        /// Gradients over their running root mean square (Hinton 2012).
        case rmsprop
        /// Adam whose steps are as long as the weights of the layer suggest, arXiv:1904.00962.
        case lamb
    }

    /// Whose formulas are followed.
    public enum Dialect: String, Sendable, Hashable, Codable, CaseIterable {
        /// Keras 3.
        case keras
        /// PyTorch.
        case torch
    }

    /// The settings of a rule.
    public struct Settings: Sendable, Hashable, Codable {
        /// The update rule.
        public var rule: Rule
        /// Whose formulas are followed.
        public var dialect: Dialect
        /// μ of SGD.
        public var momentum: Float
        /// Whether SGD looks ahead.
        public var nesterov: Bool
        /// λ, 0 is none.
        public var weightDecay: Float
        /// The share of RMSprop's running mean that a step keeps; nil is the dialect's own.
        public var rho: Double?
        /// β₁ of Adam.
        public var beta1: Double
        /// β₂ of Adam.
        public var beta2: Double
        /// ε of Adam; nil is the dialect's own.
        public var epsilon: Float?

        /// Settings; the defaults are those of Keras and PyTorch where they agree.
        public init(
            _ rule: Rule, dialect: Dialect = .torch, momentum: Float = 0, nesterov: Bool = false,
            weightDecay: Float = 0, beta1: Double = 0.9, beta2: Double = 0.999,
            epsilon: Float? = nil
        ) {
            self.rule = rule
            self.dialect = dialect
            self.momentum = momentum
            self.nesterov = nesterov
            self.weightDecay = weightDecay
            self.beta1 = beta1
            self.beta2 = beta2
            self.epsilon = epsilon
        }
    }

    /// The settings.
    public let settings: Settings
    /// The number of steps that have begun.
    public private(set) var step = 0
    private var rate: Double = 0
    /// What is kept of all parameters, one after the other; empty where the rule keeps nothing.
    private var first: [Float]
    private var second: [Float]
    /// Where each parameter begins in them, and, last, where they end.
    private let starts: [Int]

    /// An optimiser of parameters with these numbers of elements.
    public init(_ settings: Settings, counts: [Int]) {
        self.settings = settings
        starts = counts.reduce(into: [0]) { $0.append(($0.last ?? 0) + $1) }
        let zeros = [Float](repeating: 0, count: starts.last ?? 0)
        switch settings.rule {
        case .sgd: (first, second) = (settings.momentum != 0 ? zeros : [], [])
        case .rmsprop: (first, second) = (settings.momentum != 0 ? zeros : [], zeros)
        case .adam, .adamw, .lamb: (first, second) = (zeros, zeros)
        }
    }

    /// Begins a step at this learning rate; ``update(_:values:gradient:)`` each parameter then.
    package mutating func beginStep(learningRate: Double) {
        step += 1
        rate = learningRate
    }

    /// A parameter's part in a step: its numbers and their gradient, lent until the step is done.
    package struct Move {
        let index: Int
        let values: UnsafeMutableBufferPointer<Float>
        let gradient: UnsafeBufferPointer<Float>
        let scale: Double
        let decays: Bool

        /// Parameter `index`, moved at `scale` times the step's learning rate; `decays` false leaves
        /// weight decay out, as is usual for biases and normalisations.
        public init(
            _ index: Int, values: UnsafeMutableBufferPointer<Float>,
            gradient: UnsafeBufferPointer<Float>, scale: Double = 1, decays: Bool = true
        ) {
            (self.index, self.values, self.gradient) = (index, values, gradient)
            (self.scale, self.decays) = (scale, decays)
        }
    }

    /// Moves the weights of one parameter.
    package mutating func update(
        _ index: Int, values: UnsafeMutableBufferPointer<Float>,
        gradient: UnsafeBufferPointer<Float>, scale: Double = 1, decays: Bool = true
    ) {
        update([Move(index, values: values, gradient: gradient, scale: scale, decays: decays)])
    }

    /// Moves the weights of several parameters, on all threads; their number changes no number.
    package mutating func update(_ moves: [Move]) {
        precondition(step > 0)
        let (rate, settings, corrections, starts) = (rate, settings, corrections, starts)
        // LAMB looks at a whole parameter; the others take pieces that stay in a core's cache.
        let largest = settings.rule == .lamb ? Int.max : 1 << 14
        var pieces: [(OptimizerStep, OptimizerStep.Piece)] = []
        first.withUnsafeMutableBufferPointer { first in
            second.withUnsafeMutableBufferPointer { second in
                for move in moves {
                    let start = starts[move.index]
                    let count = starts[move.index + 1] - start
                    precondition(move.values.count == count && move.gradient.count == count)
                    guard count > 0, let values = move.values.baseAddress,
                        let gradient = move.gradient.baseAddress
                    else { continue }
                    let step = OptimizerStep(
                        settings: settings, corrections: corrections, rate: rate * move.scale,
                        decay: move.decays ? settings.weightDecay : 0)
                    for at in stride(from: 0, to: count, by: min(largest, count)) {
                        pieces.append(
                            (
                                step,
                                OptimizerStep.Piece(
                                    count: min(largest, count - at), values: values + at,
                                    gradient: gradient + at,
                                    first: first.isEmpty
                                        ? nil : first.baseAddress.map { $0 + start + at },
                                    second: second.isEmpty
                                        ? nil : second.baseAddress.map { $0 + start + at })
                            ))
                    }
                }
                Threads.each(pieces.count) { pieces[$0].0.run(pieces[$0].1) }
            }
        }
    }

    /// 1 − β₁ᵗ and √(1 − β₂ᵗ). Keras raises β to the power t in 32 bits, PyTorch in 64.
    private var corrections: (first: Double, second: Double) {
        func power(_ beta: Double) -> Double {
            settings.dialect == .keras
                ? Double(powf(Float(beta), Float(step))) : pow(beta, Double(step))
        }
        return (1 - power(settings.beta1), (1 - power(settings.beta2)).squareRoot())
    }

    /// The state as tensors: what ``restore(_:names:step:)`` reads. `step` is to be kept beside it.
    package func state(names: [String]) -> [(name: String, tensor: Tensor)] {
        var tensors: [(name: String, tensor: Tensor)] = []
        for (suffix, slots) in [("first", first), ("second", second)] where !slots.isEmpty {
            for (index, name) in names.enumerated() where index + 1 < starts.count {
                let slot = Array(slots[starts[index]..<starts[index + 1]])
                tensors.append(("\(name).\(suffix)", Tensor(slot, shape: [slot.count])))
            }
        }
        return tensors
    }

    /// Goes on from a saved state; `tensor` yields the tensor of a name or nil. False, and nothing
    /// is changed, if a tensor is absent or of another size.
    package mutating func restore(
        names: [String], step: Int, tensor: (String) throws -> Tensor?
    ) rethrows -> Bool {
        func read(_ slots: [Float], _ suffix: String) throws -> [Float]? {
            guard !slots.isEmpty else { return [] }
            guard names.count + 1 >= starts.count else { return nil }
            var result: [Float] = []
            result.reserveCapacity(slots.count)
            for index in 0..<(starts.count - 1) {
                guard let tensor = try tensor("\(names[index]).\(suffix)"),
                    tensor.count == starts[index + 1] - starts[index]
                else { return nil }
                result += tensor.floats
            }
            return result
        }
        guard let first = try read(first, "first"), let second = try read(second, "second") else {
            return false
        }
        self.first = first
        self.second = second
        self.step = step
        return true
    }
}
