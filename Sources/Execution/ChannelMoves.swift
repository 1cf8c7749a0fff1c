// Joining, cutting and shuffling channels, and layer normalisation: on oneDNN's own primitives.

import CDNNL
import GraftNetworks
import GraftTensors

extension Descriptor {
    /// A box inside this layout: `dims` elements from `offsets` on.
    func part(_ dims: [Int], offsets: [Int]) throws(ExecutionError) -> Descriptor {
        var value = graft_md()
        let status = withPointer {
            graft_md_part(&value, $0, dims.map(Int64.init), offsets.map(Int64.init))
        }
        try check(status, "describe a part of \(dims)")
        return Descriptor(taking: value)
    }

    /// (N, C, H, W) with eight channels innermost, as AVX2's convolutions write them.
    static func eights(_ dims: [Int]) throws(ExecutionError) -> Descriptor {
        var value = graft_md()
        try check(
            graft_md_tagged(&value, Int32(dims.count), dims.map(Int64.init), dnnl_nChw8c),
            "describe \(dims)")
        return Descriptor(taking: value)
    }
}

extension Compiler {
    /// The layout for channels that are cut at these places: eights where all are multiples.
    private func cuttable(_ shape: Shape, at places: [Int], like source: Memory) throws
        -> Descriptor
    {
        let dims = shape.dimensions
        guard shape.rank == 4 else { return try .plain(dims) }
        let plain = try source.descriptor == .plain(dims)
        if !plain, places.allSatisfy({ $0 % 8 == 0 }) { return try .eights(dims) }
        return plain ? try .plain(dims) : try .channelsLast(dims)
    }

    /// Values side by side: each is reordered into its part of the result.
    func joined(_ sources: [Memory], _ inputs: [Shape], _ output: Shape) throws -> Memory {
        var ends: [Int] = []
        for shape in inputs { ends.append((ends.last ?? 0) + shape[1]) }
        let isPlain = try zip(sources, inputs).allSatisfy {
            try $0.descriptor == .plain($1.dimensions)
        }
        let layout: Descriptor
        if output.rank != 4 || isPlain {
            layout = try .plain(output.dimensions)
        } else if ends.allSatisfy({ $0 % 8 == 0 }) {
            layout = try .eights(output.dimensions)
        } else {
            layout = try .channelsLast(output.dimensions)
        }
        let target = try memory(layout)
        var start = 0
        for (source, shape) in zip(sources, inputs) {
            var offsets = [Int](repeating: 0, count: shape.rank)
            offsets[1] = start
            let part = try layout.part(shape.dimensions, offsets: offsets)
            try reorder(source, into: try Memory(part, target.buffer, engine))
            start += shape[1]
        }
        return target
    }

    /// Channels from `start` on, as many as `output` has.
    func cut(_ source: Memory, _ input: Shape, start: Int, _ output: Shape) throws -> Memory {
        let layout = try cuttable(input, at: [start, output[1], input[1]], like: source)
        let whole = try reordered(source, to: layout)
        var offsets = [Int](repeating: 0, count: input.rank)
        offsets[1] = start
        let part = try layout.part(output.dimensions, offsets: offsets)
        let target = try memory(
            try cuttable(output, at: [start, output[1], input[1]], like: whole))
        try reorder(try Memory(part, whole.buffer, engine), into: target)
        return target
    }

    /// Channel shuffle: channels as a table of `groups` rows, transposed by one reorder.
    func shuffled(_ source: Memory, _ shape: Shape, groups: Int) throws -> Memory {
        let (channels, area) = (shape[1], shape[2] * shape[3])
        let each = channels / groups
        let x = try plain(source, shape.dimensions)
        let target = try memory(.plain(shape.dimensions))
        let dims = [shape[0], groups, each, area]
        let from = try Descriptor(dims, strides: [channels * area, each * area, area, 1])
        let to = try Descriptor(dims, strides: [channels * area, area, groups * area, 1])
        try reorder(try Memory(from, x.buffer, engine), into: try Memory(to, target.buffer, engine))
        return target
    }

    /// Layer normalisation over the channels, which oneDNN wants innermost.
    func layerNorm(_ node: Node, _ source: Memory, _ shape: Shape, _ epsilon: Float) throws
        -> Memory
    {
        guard let gamma = parameter(node, .scale), let beta = parameter(node, .shift) else {
            throw ExecutionError.unsupported(layer: node.name, reason: "it has no weights")
        }
        let channels = shape[1]
        let layout: Descriptor =
            try shape.rank == 4 ? .channelsLast(shape.dimensions) : .plain(shape.dimensions)
        let rows = shape.count / channels
        let x = try reordered(source, to: layout)
        let y = try memory(layout)
        let view = try Descriptor.plain([rows, channels])
        let statistics = try Descriptor.plain([rows])
        let primitive = try Primitive("plan layer `\(node.name)`", engine) { pd in
            view.withPointer { view in
                statistics.withPointer {
                    graft_layer_norm(&pd, engine.engine, view, $0, epsilon, engine.attributes)
                }
            }
        }
        note(node, primitive)
        append(
            primitive,
            [
                (DNNL_ARG_SRC, try Memory(view, x.buffer, engine)),
                (DNNL_ARG_DST, try Memory(view, y.buffer, engine)),
                (DNNL_ARG_SCALE, try constant(try weight(gamma), dims: [channels])),
                (DNNL_ARG_SHIFT, try constant(try weight(beta), dims: [channels])),
            ])
        return y
    }
}
