// How gradients move weights: SGD, Adam and their kin, as Keras and as PyTorch compute them.

public import GraftTensors

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
    private var first: [[Float]]
    private var second: [[Float]]

    /// An optimiser of parameters with these numbers of elements.
    public init(_ settings: Settings, counts: [Int]) {
        self.settings = settings
        let zeros = counts.map { [Float](repeating: 0, count: $0) }
        switch settings.rule {
        case .sgd: (first, second) = (settings.momentum != 0 ? zeros : [], [])
        case .rmsprop: (first, second) = (settings.momentum != 0 ? zeros : [], zeros)
        case .adam, .adamw, .lamb: (first, second) = (zeros, zeros)
        }
    }

    /// Begins a step at this learning rate; ``update(_:values:gradient:)`` each parameter then.
    public mutating func beginStep(learningRate: Double) {
        step += 1
        rate = learningRate
    }

    /// Moves the weights of parameter `index`, at `scale` times the step's learning rate; `decays`
    /// false leaves weight decay out, as is usual for biases and normalisations.
    public mutating func update(
        _ index: Int, values: UnsafeMutableBufferPointer<Float>,
        gradient: UnsafeBufferPointer<Float>, scale: Double = 1, decays: Bool = true
    ) {
        precondition(step > 0 && values.count == gradient.count)
        let own = (rate: rate * scale, decay: decays ? settings.weightDecay : 0)
        switch settings.rule {
        case .sgd: descend(index, values, gradient, own.rate, own.decay)
        case .adam, .adamw: adapt(index, values, gradient, own.rate, own.decay)
        case .rmsprop: normalise(index, values, gradient, own.rate, own.decay)
        case .lamb: adaptByLayer(index, values, gradient, own.rate, own.decay)
        }
    }

    private mutating func descend(
        _ index: Int, _ values: UnsafeMutableBufferPointer<Float>,
        _ gradient: UnsafeBufferPointer<Float>, _ rate: Double, _ weightDecay: Float
    ) {
        let rate = Float(rate)
        let (momentum, nesterov) = (settings.momentum, settings.nesterov)
        let keras = settings.dialect == .keras
        let decay = keras ? weightDecay * rate : weightDecay
        guard !first.isEmpty else {
            for element in values.indices {
                let value = values[element]
                values[element] =
                    keras
                    ? value - value * decay - rate * gradient[element]
                    : value - rate * (gradient[element] + decay * value)
            }
            return
        }
        first[index].withUnsafeMutableBufferPointer { buffer in
            precondition(buffer.count == values.count)
            for element in values.indices {
                var value = values[element]
                if keras {
                    value -= value * decay
                    let slope = rate * gradient[element]
                    buffer[element] = momentum * buffer[element] - slope
                    value += nesterov ? momentum * buffer[element] - slope : buffer[element]
                } else {
                    let slope = gradient[element] + decay * value
                    buffer[element] = momentum * buffer[element] + slope
                    value -=
                        rate * (nesterov ? slope + momentum * buffer[element] : buffer[element])
                }
                values[element] = value
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

    private mutating func adapt(
        _ index: Int, _ values: UnsafeMutableBufferPointer<Float>,
        _ gradient: UnsafeBufferPointer<Float>, _ rate: Double, _ weightDecay: Float
    ) {
        let (beta1, beta2) = (settings.beta1, settings.beta2)
        let keras = settings.dialect == .keras
        let epsilon = settings.epsilon ?? (keras ? 1e-7 : 1e-8)
        let (correction1, correction2) = corrections
        let (gain1, gain2) = (Float(1 - beta1), Float(1 - beta2))
        // Keras: η√(1 − β₂ᵗ)/(1 − β₁ᵗ) · m/(√v + ε). PyTorch: η/(1 − β₁ᵗ) · m/(√v/√(1 − β₂ᵗ) + ε).
        let size = Float(keras ? rate * correction2 / correction1 : rate / correction1)
        let scale = keras ? 1 : Float(correction2)
        let apart = keras || settings.rule == .adamw
        let shrink = apart ? weightDecay * Float(rate) : 0
        let penalty = apart ? 0 : weightDecay
        first[index].withUnsafeMutableBufferPointer { mean in
            second[index].withUnsafeMutableBufferPointer { square in
                precondition(mean.count == values.count)
                for element in values.indices {
                    let value = values[element] - values[element] * shrink
                    let slope = gradient[element] + penalty * value
                    mean[element] += (slope - mean[element]) * gain1
                    square[element] += (slope * slope - square[element]) * gain2
                    let root = square[element].squareRoot() / scale + epsilon
                    values[element] = value - size * mean[element] / root
                }
            }
        }
    }

    private mutating func normalise(
        _ index: Int, _ values: UnsafeMutableBufferPointer<Float>,
        _ gradient: UnsafeBufferPointer<Float>, _ rate: Double, _ weightDecay: Float
    ) {
        let keras = settings.dialect == .keras
        let epsilon = settings.epsilon ?? (keras ? 1e-7 : 1e-8)
        let rho = settings.rho ?? (keras ? 0.9 : 0.99)
        let (keep, gain, rate) = (Float(rho), Float(1 - rho), Float(rate))
        let momentum = settings.momentum
        for element in values.indices {
            var value = values[element]
            var slope = gradient[element]
            if keras { value -= value * weightDecay * rate } else { slope += weightDecay * value }
            let square = keep * second[index][element] + gain * slope * slope
            second[index][element] = square
            var move =
                keras
                ? rate * slope / (square + epsilon).squareRoot()
                : slope / (square.squareRoot() + epsilon)
            if momentum != 0 {
                move += momentum * first[index][element]
                first[index][element] = move
            }
            values[element] = value - (keras ? move : rate * move)
        }
    }

    private mutating func adaptByLayer(
        _ index: Int, _ values: UnsafeMutableBufferPointer<Float>,
        _ gradient: UnsafeBufferPointer<Float>, _ rate: Double, _ weightDecay: Float
    ) {
        let keras = settings.dialect == .keras
        let epsilon = settings.epsilon ?? (keras ? 1e-7 : 1e-6)
        let (correction1, correction2) = corrections
        let (gain1, gain2) = (Float(1 - settings.beta1), Float(1 - settings.beta2))
        var moves = [Float](repeating: 0, count: values.count)
        var (weightSquares, moveSquares) = (0.0, 0.0)
        for element in values.indices {
            if keras { values[element] -= values[element] * weightDecay * Float(rate) }
            let slope = gradient[element]
            first[index][element] += (slope - first[index][element]) * gain1
            second[index][element] += (slope * slope - second[index][element]) * gain2
            let root = second[index][element].squareRoot() / Float(correction2) + epsilon
            var move = first[index][element] / Float(correction1) / root
            if !keras { move += weightDecay * values[element] }
            moves[element] = move
            moveSquares += Double(move) * Double(move)
            weightSquares += Double(values[element]) * Double(values[element])
        }
        let adapts = (keras || weightDecay != 0) && weightSquares > 0 && moveSquares > 0
        let trust = adapts ? (weightSquares / moveSquares).squareRoot() : 1
        let size = Float(rate * trust)
        for element in values.indices { values[element] -= size * moves[element] }
    }

    /// The state as tensors: what ``restore(_:names:step:)`` reads. `step` is to be kept beside it.
    public func state(names: [String]) -> [(name: String, tensor: Tensor)] {
        var tensors: [(name: String, tensor: Tensor)] = []
        for (suffix, slots) in [("first", first), ("second", second)] {
            for (name, slot) in zip(names, slots) {
                tensors.append(("\(name).\(suffix)", Tensor(slot, shape: [slot.count])))
            }
        }
        return tensors
    }

    /// Goes on from a saved state; `tensor` yields the tensor of a name or nil. False, and nothing
    /// is changed, if a tensor is absent or of another size.
    public mutating func restore(
        names: [String], step: Int, tensor: (String) throws -> Tensor?
    ) rethrows -> Bool {
        func read(_ slots: [[Float]], _ suffix: String) throws -> [[Float]]? {
            var result: [[Float]] = []
            for (name, slot) in zip(names, slots) {
                guard let tensor = try tensor("\(name).\(suffix)"), tensor.count == slot.count
                else { return nil }
                result.append(tensor.floats)
            }
            return result.count == slots.count ? result : nil
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
