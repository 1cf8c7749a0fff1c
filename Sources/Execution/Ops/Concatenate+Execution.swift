// Channels side by side: written where they belong in inference, copied there while learning.

import CDNNL
import CKernels
import GraftNetworks
import GraftTensors

extension Op.Concatenate: ExecutableOp {
    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Void> {
        if let place = site.group.place {
            return Outcome(try housed(at: site, place, in: pass))
        }
        let values = try site.inputs.map { try pass.value(of: $0) }
        return Outcome(
            try pass.compiler.joined(
                values, of: site.inputTypes.map(\.shape), along: axis, into: site.y))
    }

    /// Parts that are not in their places yet are brought there.
    private func housed(
        at site: NodeSite, _ home: Homes.Place, in pass: ForwardPass
    ) throws -> Memory {
        try pass.beginWhole(home.root, like: site.inputs[0])
        var start = home.start
        for (input, type) in zip(site.inputs, site.inputTypes) {
            let place = Homes.Place(root: home.root, start: start)
            let source = try pass.value(of: input)
            let part = try pass.begunPart(input.node, at: place)
            if source.buffer !== part.buffer || source.layout != part.layout {
                try pass.compiler.copy(source, of: type.shape, into: part, as: site.name)
                // From now on it is read from there, if that is where it belongs for good.
                if pass.plan.homes?[input.node] == place { pass.move(input, to: part) }
            }
            start += type.shape[1]
        }
        return try pass.begunPart(site.index, at: home)
    }

    func backward(
        from gradients: OutputGradients, saved: Void, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        let dy = try gradients.sum()
        var start = 0
        return try zip(site.inputs, site.inputTypes).map { input, type in
            defer { start += type.shape[axis] }
            guard pass.learns(input) else { return nil }
            guard axis == 1 else {
                let indices = site.y.dimensions.indices.map { place in
                    let first = place == axis ? start : 0
                    return Array(first..<(first + type.shape[place]))
                }
                return try pass.compiler.taken(
                    dy, of: site.y, by: Places(of: site.y, at: indices), as: site.name)
            }
            return try pass.compiler.cut(dy, of: site.y, from: start, to: type.shape)
        }
    }
}

extension Compiler {
    /// The order for a map whose channels are cut at these places, as the first part of it lies.
    func order(for source: Memory, of shape: Shape, cuts: [Int]) throws -> MapLayout.Order {
        let order = try mapLayout(source, of: shape)?.order ?? .planes
        guard case .blocks(let block) = order, !cuts.allSatisfy({ $0 % block == 0 }) else {
            return order
        }
        return .channelsLast
    }

    /// Brings a value into a part of a wider map.
    fileprivate func copy(
        _ source: Memory, of shape: Shape, into target: Memory, as name: String
    ) throws {
        guard let from = try mapLayout(source, of: shape), let to = target.layout,
            from.order == to.order
        else { return try reorder(source, into: target) }
        let (x, y) = (from.loop, to.loop)
        append(name, by: "copy", uses: [source, target]) {
            graft_copy_channels(x, source.floats, y, target.floats)
        }
    }

    /// Values side by side: each is reordered into its part of the result.
    fileprivate func joined(
        _ sources: [Memory], of inputs: [Shape], along axis: Int, into output: Shape
    ) throws -> Memory {
        var ends: [Int] = []
        for shape in inputs { ends.append((ends.last ?? 0) + shape[axis]) }
        let isPlain = try zip(sources, inputs).allSatisfy {
            try $0.descriptor == .plain($1.dimensions)
        }
        let layout: Descriptor
        if output.rank != 4 || isPlain || axis != 1 {
            layout = try .plain(output.dimensions)
        } else if ends.allSatisfy({ $0 % 8 == 0 }) {
            layout = try .blocked(output.dimensions, by: 8)
        } else {
            layout = try .channelsLast(output.dimensions)
        }
        let target = try memory(layout)
        var start = 0
        for (source, shape) in zip(sources, inputs) {
            var offsets = [Int](repeating: 0, count: shape.rank)
            offsets[axis] = start
            let part = try layout.part(shape.dimensions, offsets: offsets)
            try reorder(source, into: try Memory(part, in: target.buffer, of: engine))
            start += shape[axis]
        }
        return target
    }
}
