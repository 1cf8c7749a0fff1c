// The arithmetic of the update rules, on a piece of a parameter at a time.

/// What one step does to a piece of a parameter: any pieces give the same numbers as the whole.
struct OptimizerStep {
    let settings: Optimizer.Settings
    /// 1 − β₁ᵗ and √(1 − β₂ᵗ).
    let corrections: (first: Double, second: Double)
    /// The learning rate of the parameter.
    let rate: Double
    /// λ of weight decay.
    let decay: Float

    /// A piece: its numbers, their gradient, and what the optimiser keeps of it, null where it keeps
    /// nothing. Sendable because no two pieces overlap.
    struct Piece: @unchecked Sendable {
        let count: Int
        let values: UnsafeMutablePointer<Float>
        let gradient: UnsafePointer<Float>
        let first: UnsafeMutablePointer<Float>?
        let second: UnsafeMutablePointer<Float>?
    }

    private var isKeras: Bool { settings.dialect == .keras }

    /// Moves the numbers of a piece; of LAMB, a piece is a whole parameter.
    func run(_ piece: Piece) {
        switch settings.rule {
        case .sgd: descend(piece)
        case .adam, .adamw: adapt(piece)
        case .rmsprop: normalise(piece)
        case .lamb: adaptByLayer(piece)
        }
    }

    private func descend(_ piece: Piece) {
        let (values, gradient) = (piece.values, piece.gradient)
        let rate = Float(rate)
        let (momentum, nesterov) = (settings.momentum, settings.nesterov)
        let keras = isKeras
        let decay = keras ? self.decay * rate : self.decay
        guard let buffer = piece.first else {
            for element in 0..<piece.count {
                let value = values[element]
                values[element] =
                    keras
                    ? value - value * decay - rate * gradient[element]
                    : value - rate * (gradient[element] + decay * value)
            }
            return
        }
        guard keras else {
            for element in 0..<piece.count {
                let value = values[element]
                let slope = gradient[element] + decay * value
                let sum = momentum * buffer[element] + slope
                buffer[element] = sum
                values[element] = value - rate * (nesterov ? slope + momentum * sum : sum)
            }
            return
        }
        for element in 0..<piece.count {
            let value = values[element] - values[element] * decay
            let slope = rate * gradient[element]
            let sum = momentum * buffer[element] - slope
            buffer[element] = sum
            values[element] = value + (nesterov ? momentum * sum - slope : sum)
        }
    }

    private func adapt(_ piece: Piece) {
        guard let mean = piece.first, let square = piece.second else { return }
        let (values, gradient) = (piece.values, piece.gradient)
        let keras = isKeras
        let epsilon = settings.epsilon ?? (keras ? 1e-7 : 1e-8)
        let (gain1, gain2) = (Float(1 - settings.beta1), Float(1 - settings.beta2))
        // Keras: η√(1 − β₂ᵗ)/(1 − β₁ᵗ) · m/(√v + ε). PyTorch: η/(1 − β₁ᵗ) · m/(√v/√(1 − β₂ᵗ) + ε).
        let size = Float(
            keras ? rate * corrections.second / corrections.first : rate / corrections.first)
        let scale = keras ? 1 : Float(corrections.second)
        let apart = keras || settings.rule == .adamw
        let shrink = apart ? decay * Float(rate) : 0
        let penalty = apart ? 0 : decay
        for element in 0..<piece.count {
            let value = values[element] - values[element] * shrink
            let slope = gradient[element] + penalty * value
            let m = mean[element] + (slope - mean[element]) * gain1
            let v = square[element] + (slope * slope - square[element]) * gain2
            (mean[element], square[element]) = (m, v)
            values[element] = value - size * m / (v.squareRoot() / scale + epsilon)
        }
    }

    private func normalise(_ piece: Piece) {
        guard let square = piece.second else { return }
        let (values, gradient) = (piece.values, piece.gradient)
        let keras = isKeras
        let epsilon = settings.epsilon ?? (keras ? 1e-7 : 1e-8)
        let rho = settings.rho ?? (keras ? 0.9 : 0.99)
        let (keep, gain, rate) = (Float(rho), Float(1 - rho), Float(rate))
        let momentum = settings.momentum
        for element in 0..<piece.count {
            var value = values[element]
            var slope = gradient[element]
            if keras { value -= value * decay * rate } else { slope += decay * value }
            let v = keep * square[element] + gain * slope * slope
            square[element] = v
            var move =
                keras
                ? rate * slope / (v + epsilon).squareRoot() : slope / (v.squareRoot() + epsilon)
            if let buffer = piece.first {
                move += momentum * buffer[element]
                buffer[element] = move
            }
            values[element] = value - (keras ? move : rate * move)
        }
    }

    private func adaptByLayer(_ piece: Piece) {
        guard let mean = piece.first, let square = piece.second else { return }
        let (values, gradient) = (piece.values, piece.gradient)
        let keras = isKeras
        let epsilon = settings.epsilon ?? (keras ? 1e-7 : 1e-6)
        let (gain1, gain2) = (Float(1 - settings.beta1), Float(1 - settings.beta2))
        var moves = [Float](repeating: 0, count: piece.count)
        var (weightSquares, moveSquares) = (0.0, 0.0)
        for element in 0..<piece.count {
            if keras { values[element] -= values[element] * decay * Float(rate) }
            let slope = gradient[element]
            mean[element] += (slope - mean[element]) * gain1
            square[element] += (slope * slope - square[element]) * gain2
            let root = square[element].squareRoot() / Float(corrections.second) + epsilon
            var move = mean[element] / Float(corrections.first) / root
            if !keras { move += decay * values[element] }
            moves[element] = move
            moveSquares += Double(move) * Double(move)
            weightSquares += Double(values[element]) * Double(values[element])
        }
        let adapts = (keras || decay != 0) && weightSquares > 0 && moveSquares > 0
        let trust = adapts ? (weightSquares / moveSquares).squareRoot() : 1
        let size = Float(rate * trust)
        for element in 0..<piece.count { values[element] -= size * moves[element] }
    }
}
