// Parts of an axis, each a copy.

import GraftNetworks
import GraftTensors

extension Op.Split: ExecutableOp {
    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Void> {
        let x = try pass.compiler.plain(try pass.value(of: site.inputs[0]), of: site.x)
        var start = 0
        let values = try sizes.map { size in
            let places = Places(
                of: site.x,
                at: site.x.dimensions.indices.map { place in
                    place == axis ? Array(start..<(start + size)) : Array(0..<site.x[place])
                })
            start += size
            return try pass.compiler.taken(x, of: site.x, by: places, as: site.name)
        }
        return Outcome(values, saved: ())
    }

    /// The gradients of the parts side by side; zeros where none flows.
    func backward(
        from gradients: OutputGradients, saved: Void, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        let parts = try site.outputTypes.indices.map { output in
            try gradients.sum(output: output).map {
                try pass.compiler.plain($0, of: site.outputTypes[output].shape)
            }
        }
        let (outer, count, inner) = site.x.split(at: axis)
        let dx = try pass.compiler.memory(.plain(site.x.dimensions))
        let sizes = sizes
        pass.compiler.loop(site.name, uses: parts.compactMap(\.self) + [dx]) {
            let target = dx.buffer.floats(outer * count * inner)
            target.update(repeating: 0)
            var start = 0
            for (part, size) in zip(parts, sizes) {
                defer { start += size }
                guard let part else { continue }
                for row in 0..<outer {
                    (target.baseAddress.map { $0 + (row * count + start) * inner })?
                        .update(from: part.floats + row * size * inner, count: size * inner)
                }
            }
        }
        return [dx]
    }
}
