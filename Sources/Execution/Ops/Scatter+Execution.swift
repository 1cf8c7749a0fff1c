// Elements replaced, or combined with others, at indices that another value has in this run.

import GraftNetworks
import GraftTensors

extension Op.ScatterElements: ExecutableOp {
    /// The indices.
    typealias Saved = Memory

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Memory> {
        try reduction.forward(places(at: site), at: site, in: pass)
    }

    func backward(
        from gradients: OutputGradients, saved indices: Memory, at site: NodeSite,
        in pass: BackwardPass
    ) throws -> [Memory?] {
        try reduction.requireGradient(at: site, kind: kind, in: pass)
        return try reduction.backward(
            from: try gradients.sum(), of: places(at: site), indices: indices, at: site, in: pass)
    }

    private func places(at site: NodeSite) -> ElementPlaces {
        ElementPlaces(of: site.inputTypes[1].shape, in: site.x, axis: axis, layer: site.name)
    }
}

extension Op.ScatterND: ExecutableOp {
    /// The indices.
    typealias Saved = Memory

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Memory> {
        try reduction.forward(slices(at: site), at: site, in: pass)
    }

    func backward(
        from gradients: OutputGradients, saved indices: Memory, at site: NodeSite,
        in pass: BackwardPass
    ) throws -> [Memory?] {
        try reduction.requireGradient(at: site, kind: kind, in: pass)
        return try reduction.backward(
            from: try gradients.sum(), of: slices(at: site), indices: indices, at: site, in: pass)
    }

    private func slices(at site: NodeSite) -> IndexedSlices {
        IndexedSlices(site.inputTypes[1].shape, in: site.x, layer: site.name)
    }
}

extension Op.ScatterReduction {
    /// The first value with the parts that the second names combined with the third.
    fileprivate func forward(
        _ places: some IndexedPlaces, at site: NodeSite, in pass: ForwardPass
    ) throws -> Outcome<Memory> {
        let compiler = pass.compiler
        let sources = try site.inputs.indices.map {
            try compiler.plain(
                try pass.value(of: site.inputs[$0]), of: site.inputTypes[$0].shape)
        }
        let (x, indices, updates) = (sources[0], sources[1], sources[2])
        let y = try compiler.memory(.plain(site.y.dimensions))
        let (count, combine) = (site.x.count, combine)
        compiler.loop(site.name, uses: [x, indices, updates, y]) {
            y.floats.update(from: x.floats, count: count)
            try places.forEach(indices.floats) { to, from in
                for element in 0..<places.size {
                    y.floats[to + element] = combine(
                        y.floats[to + element], updates.floats[from + element])
                }
            }
        }
        return Outcome(y, saved: indices)
    }

    /// The gradients of the value and of the updates.
    fileprivate func backward(
        from gradient: Memory, of places: some IndexedPlaces, indices: Memory, at site: NodeSite,
        in pass: BackwardPass
    ) throws -> [Memory?] {
        let compiler = pass.compiler
        let dy = try compiler.plain(gradient, of: site.y)
        let dx = try compiler.memory(.plain(site.x.dimensions))
        let (count, clears) = (site.x.count, self == .none)
        compiler.loop(site.name, uses: [dy, indices, dx]) {
            dx.floats.update(from: dy.floats, count: count)
            guard clears else { return }
            try places.forEach(indices.floats) { to, _ in
                (dx.floats + to).update(repeating: 0, count: places.size)
            }
        }
        let updates = try compiler.gathered(
            places, of: dy, at: indices, into: site.inputTypes[2].shape, as: site.name)
        return [dx, nil, updates]
    }

    /// The number that an element and an update make.
    fileprivate var combine: (Float, Float) -> Float {
        switch self {
        case .none: { _, update in update }
        case .add: { $0 + $1 }
        case .multiply: { $0 * $1 }
        case .maximum: { max($0, $1) }
        case .minimum: { min($0, $1) }
        }
    }

    /// Throws where something learns before an update that has no gradient.
    fileprivate func requireGradient(
        at site: NodeSite, kind: String, in pass: BackwardPass
    ) throws(ExecutionError) {
        guard self == .none || self == .add || !site.inputs.contains(where: pass.learns) else {
            throw .noGradient(layer: site.name, kind: "\(kind) (\(rawValue))")
        }
    }
}
