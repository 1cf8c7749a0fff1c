// Elements replaced, or combined with others, at indices that another value has in this run.

import GraftNetworks
import GraftTensors

extension Op.ScatterElements: ExecutableOp {
    /// The indices.
    typealias Saved = Memory

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Memory> {
        let compiler = pass.compiler
        let shape = site.inputTypes[1].shape
        let x = try compiler.plain(try pass.value(of: site.inputs[0]), of: site.x)
        let indices = try compiler.plain(try pass.value(of: site.inputs[1]), of: shape)
        let updates = try compiler.plain(try pass.value(of: site.inputs[2]), of: shape)
        let y = try compiler.memory(.plain(site.y.dimensions))
        let places = ElementPlaces(of: shape, in: site.x, axis: axis, layer: site.name)
        let (count, combine) = (site.x.count, reduction.combine)
        compiler.loop(site.name, uses: [x, indices, updates, y]) {
            y.floats.update(from: x.floats, count: count)
            try places.forEach(indices.floats) { to, from in
                y.floats[to] = combine(y.floats[to], updates.floats[from])
            }
        }
        return Outcome(y, saved: indices)
    }

    func backward(
        from gradients: OutputGradients, saved indices: Memory, at site: NodeSite,
        in pass: BackwardPass
    ) throws -> [Memory?] {
        try reduction.requireGradient(at: site, kind: kind, in: pass)
        let compiler = pass.compiler
        let shape = site.inputTypes[1].shape
        let dy = try compiler.plain(try gradients.sum(), of: site.y)
        let dx = try compiler.memory(.plain(site.x.dimensions))
        let places = ElementPlaces(of: shape, in: site.x, axis: axis, layer: site.name)
        let (count, clears) = (site.x.count, reduction == .none)
        compiler.loop(site.name, uses: [dy, indices, dx]) {
            dx.floats.update(from: dy.floats, count: count)
            guard clears else { return }
            try places.forEach(indices.floats) { to, _ in dx.floats[to] = 0 }
        }
        let updates = try compiler.memory(.plain(shape.dimensions))
        compiler.loop(site.name, uses: [dy, indices, updates]) {
            try places.forEach(indices.floats) { from, to in
                updates.floats[to] = dy.floats[from]
            }
        }
        return [dx, nil, updates]
    }
}

extension Op.ScatterND: ExecutableOp {
    /// The indices.
    typealias Saved = Memory

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Memory> {
        let compiler = pass.compiler
        let x = try compiler.plain(try pass.value(of: site.inputs[0]), of: site.x)
        let shape = site.inputTypes[1].shape
        let indices = try compiler.plain(try pass.value(of: site.inputs[1]), of: shape)
        let updates = try compiler.plain(
            try pass.value(of: site.inputs[2]), of: site.inputTypes[2].shape)
        let y = try compiler.memory(.plain(site.y.dimensions))
        let slices = IndexedSlices(shape, in: site.x, layer: site.name)
        let (count, combine) = (site.x.count, reduction.combine)
        compiler.loop(site.name, uses: [x, indices, updates, y]) {
            y.floats.update(from: x.floats, count: count)
            try slices.forEach(indices.floats) { to, from in
                for element in 0..<slices.size {
                    y.floats[to + element] = combine(
                        y.floats[to + element], updates.floats[from + element])
                }
            }
        }
        return Outcome(y, saved: indices)
    }

    func backward(
        from gradients: OutputGradients, saved indices: Memory, at site: NodeSite,
        in pass: BackwardPass
    ) throws -> [Memory?] {
        try reduction.requireGradient(at: site, kind: kind, in: pass)
        let compiler = pass.compiler
        let dy = try compiler.plain(try gradients.sum(), of: site.y)
        let dx = try compiler.memory(.plain(site.x.dimensions))
        let slices = IndexedSlices(site.inputTypes[1].shape, in: site.x, layer: site.name)
        let (count, clears) = (site.x.count, reduction == .none)
        compiler.loop(site.name, uses: [dy, indices, dx]) {
            dx.floats.update(from: dy.floats, count: count)
            guard clears else { return }
            try slices.forEach(indices.floats) { to, _ in
                for element in 0..<slices.size { dx.floats[to + element] = 0 }
            }
        }
        let updates = try compiler.memory(.plain(site.inputTypes[2].shape.dimensions))
        compiler.loop(site.name, uses: [dy, indices, updates]) {
            try slices.forEach(indices.floats) { from, to in
                (updates.floats + to).update(from: dy.floats + from, count: slices.size)
            }
        }
        return [dx, nil, updates]
    }
}

extension Op.ScatterReduction {
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
