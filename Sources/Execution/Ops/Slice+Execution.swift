// Some of what lies along an axis: channels by one reorder out of a part of the map, others by a copy.

import GraftNetworks
import GraftTensors

extension Op.Slice: ExecutableOp {
    /// Whether it takes channels one after another, which oneDNN finds in any layout.
    private var takesChannels: Bool { axis == 1 && step == 1 }

    /// The elements that it takes.
    private func places(_ x: Shape) -> Places {
        Places(
            of: x,
            at: x.dimensions.indices.map { place in
                place == axis ? (0..<count).map { start + $0 * step } : Array(0..<x[place])
            })
    }

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Void> {
        guard takesChannels else {
            return Outcome(
                try pass.compiler.taken(
                    try pass.value(of: site.inputs[0]), of: site.x, by: places(site.x),
                    as: site.name))
        }
        return Outcome(
            try pass.compiler.cut(
                try pass.value(of: site.inputs[0]), of: site.x, from: start, to: site.y))
    }

    func backward(
        from gradients: OutputGradients, saved: Void, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        guard pass.learns(site.inputs[0]) else { return [nil] }
        let x = site.x
        guard takesChannels else {
            return [
                try pass.compiler.put(
                    try gradients.sum(), by: places(x), into: x, as: site.name)
            ]
        }
        let area = x.count / (x[0] * x[1])
        let dx = try pass.compiler.rowMajorLoop(
            site.name, reading: [(try gradients.sum(), site.y)], writing: x
        ) { sources, target in
            target.update(repeating: 0)
            for sample in 0..<x[0] {
                for element in 0..<(count * area) {
                    target[(sample * x[1] + start) * area + element] =
                        sources[0][sample * count * area + element]
                }
            }
        }
        return [dx]
    }
}

extension Compiler {
    /// The layout for channels that are cut at these places: eights where all are multiples.
    private func cuttable(
        _ shape: Shape, at places: [Int], like source: Memory
    ) throws -> Descriptor {
        let dims = shape.dimensions
        guard shape.rank == 4 else { return try .plain(dims) }
        let plain = try source.descriptor == .plain(dims)
        if !plain, places.allSatisfy({ $0 % 8 == 0 }) { return try .blocked(dims, by: 8) }
        return plain ? try .plain(dims) : try .channelsLast(dims)
    }

    /// Channels from `start` on, as many as `output` has.
    func cut(
        _ source: Memory, of input: Shape, from start: Int, to output: Shape
    ) throws -> Memory {
        let places = [start, output[1], input[1]]
        let layout = try cuttable(input, at: places, like: source)
        let whole = try reordered(source, to: layout)
        var offsets = [Int](repeating: 0, count: input.rank)
        offsets[1] = start
        let part = try layout.part(output.dimensions, offsets: offsets)
        let target = try memory(try cuttable(output, at: places, like: whole))
        try reorder(try Memory(part, in: whole.buffer, of: engine), into: target)
        return target
    }
}
