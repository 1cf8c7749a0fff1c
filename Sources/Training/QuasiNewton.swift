// L-BFGS: a minimum of a smooth function from its gradients and a short memory of steps.

/// Limited-memory BFGS (Liu & Nocedal 1989) with a backtracking search for the strong decrease that
/// Armijo's rule asks for, and pairs that keep their curvature.
struct QuasiNewton {
    /// The number of past steps that shape the next one.
    var memory = 10
    /// The search ends when no component of the gradient is larger.
    var tolerance = 1e-5
    /// It ends after so many steps in any case.
    var steps = 200

    /// Moves `x` to a minimum. `evaluate` gives the value and writes the gradient.
    func minimise(
        _ x: inout [Double], _ evaluate: ([Double], inout [Double]) throws -> Double
    ) throws -> Double {
        let count = x.count
        var gradient = [Double](repeating: 0, count: count)
        var value = try evaluate(x, &gradient)
        var pairs: [(s: [Double], y: [Double], rho: Double)] = []
        for _ in 0..<steps {
            try Task.checkCancellation()
            guard gradient.contains(where: { abs($0) > tolerance }) else { break }
            var direction = descent(gradient, pairs)
            var slope = dot(direction, gradient)
            if slope >= 0 {
                pairs = []
                direction = gradient.map { -$0 }
                slope = dot(direction, gradient)
            }
            // The first step has no scale of its own: one of length 1 at most.
            var length = pairs.isEmpty ? min(1, 1 / (-slope).squareRoot()) : 1
            var next = x
            var nextGradient = gradient
            var nextValue = value
            var found = false
            for _ in 0..<30 {
                for index in 0..<count { next[index] = x[index] + length * direction[index] }
                nextValue = try evaluate(next, &nextGradient)
                if nextValue <= value + 1e-4 * length * slope {
                    found = true
                    break
                }
                length *= 0.5
            }
            guard found else { break }
            var s = next
            var y = nextGradient
            for index in 0..<count {
                s[index] -= x[index]
                y[index] -= gradient[index]
            }
            let curvature = dot(s, y)
            if curvature > 1e-10 * dot(y, y) {
                pairs.append((s, y, 1 / curvature))
                if pairs.count > memory { pairs.removeFirst() }
            }
            let gain = value - nextValue
            (x, gradient, value) = (next, nextGradient, nextValue)
            if gain <= 1e-9 * max(1, abs(value)) { break }
        }
        return value
    }

    /// The two loops of the method: −H · gradient.
    private func descent(
        _ gradient: [Double], _ pairs: [(s: [Double], y: [Double], rho: Double)]
    ) -> [Double] {
        var direction = gradient.map { -$0 }
        var shares: [Double] = []
        for pair in pairs.reversed() {
            let share = pair.rho * dot(pair.s, direction)
            shares.append(share)
            add(&direction, pair.y, -share)
        }
        if let last = pairs.last {
            let scale = 1 / (last.rho * dot(last.y, last.y))
            for index in direction.indices { direction[index] *= scale }
        }
        for (pair, share) in zip(pairs, shares.reversed()) {
            add(&direction, pair.s, share - pair.rho * dot(pair.y, direction))
        }
        return direction
    }

    private func add(_ target: inout [Double], _ source: [Double], _ factor: Double) {
        target.withUnsafeMutableBufferPointer { target in
            source.withUnsafeBufferPointer { source in
                for index in target.indices { target[index] += factor * source[index] }
            }
        }
    }

    private func dot(_ left: [Double], _ right: [Double]) -> Double {
        left.withUnsafeBufferPointer { left in
            right.withUnsafeBufferPointer { right in
                var sum = 0.0
                for index in left.indices { sum += left[index] * right[index] }
                return sum
            }
        }
    }
}
