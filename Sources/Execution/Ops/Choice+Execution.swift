// Comparisons, choices by them, and other element types. Truth is 1 and falsehood 0.

import GraftNetworks
import GraftTensors

extension Op.Compare: ExecutableOp {
    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Void> {
        let operands = try pass.broadcast(at: site)
        let relation = relation
        let y = try pass.compiler.rowMajorLoop(
            site.name, reading: operands, writing: site.y
        ) { sources, y in
            let (a, b) = (sources[0], sources[1])
            func fill(_ holds: (Float, Float) -> Bool) {
                for at in y.indices { y[at] = holds(a[at], b[at]) ? 1 : 0 }
            }
            switch relation {
            case .equal: fill(==)
            case .less: fill(<)
            case .lessOrEqual: fill(<=)
            case .greater: fill(>)
            case .greaterOrEqual: fill(>=)
            }
        }
        return Outcome(y)
    }

    /// A step has no slope.
    func backward(
        from gradients: OutputGradients, saved: Void, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] { [nil, nil] }
}

extension Op.Where: ExecutableOp {
    /// The condition, as large as the result.
    typealias Saved = Memory

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Memory> {
        let operands = try pass.broadcast(at: site)
        let y = try pass.compiler.rowMajorLoop(
            site.name, reading: operands, writing: site.y
        ) { sources, y in
            for at in y.indices { y[at] = sources[0][at] != 0 ? sources[1][at] : sources[2][at] }
        }
        return Outcome(y, saved: operands[0].value)
    }

    /// Each of the two values gets the gradient where it was chosen.
    func backward(
        from gradients: OutputGradients, saved condition: Memory, at site: NodeSite,
        in pass: BackwardPass
    ) throws -> [Memory?] {
        let dy = try gradients.sum()
        return try site.inputs.indices.map { place in
            guard place > 0, pass.learns(site.inputs[place]) else { return nil }
            let chosen = try pass.compiler.rowMajorLoop(
                site.name, reading: [(condition, site.y), (dy, site.y)], writing: site.y
            ) { sources, dx in
                for at in dx.indices {
                    dx[at] = (sources[0][at] != 0) == (place == 1) ? sources[1][at] : 0
                }
            }
            return try pass.compiler.summed(
                chosen, of: site.y, to: site.inputTypes[place].shape, as: site.name)
        }
    }
}

extension Op.Cast: ExecutableOp {
    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Void> {
        let value = try pass.value(of: site.inputs[0])
        let isBool = element == .bool
        // Numbers of every floating-point type are floats here.
        guard isBool || (!element.isFloatingPoint && site.inputTypes[0].element.isFloatingPoint)
        else { return Outcome(value) }
        let y = try pass.compiler.rowMajorLoop(
            site.name, reading: [(value, site.x)], writing: site.y
        ) { sources, y in
            for at in y.indices {
                let x = sources[0][at]
                if isBool { y[at] = x != 0 ? 1 : 0 } else { y[at] = x.rounded(.towardZero) }
            }
        }
        return Outcome(y)
    }

    /// A gradient passes between floating-point types alone.
    func backward(
        from gradients: OutputGradients, saved: Void, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        guard element.isFloatingPoint, site.inputTypes[0].element.isFloatingPoint else {
            return [nil]
        }
        return [try gradients.sum()]
    }
}

extension ForwardPass {
    /// The values that a site reads, repeated to the size of the result.
    fileprivate func broadcast(at site: NodeSite) throws -> [(value: Memory, shape: Shape)] {
        try zip(site.inputs, site.inputTypes).map { input, type in
            (
                try compiler.repeated(
                    try value(of: input), of: type.shape, to: site.y, as: site.name), site.y
            )
        }
    }
}
