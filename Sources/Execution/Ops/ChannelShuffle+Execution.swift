// Interleaved groups of channels: a table of channels, transposed by one reorder.

import GraftNetworks
import GraftTensors

extension Op.ChannelShuffle: ExecutableOp {
    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Void> {
        Outcome(
            try pass.compiler.transposed(
                try pass.value(of: site.inputs[0]), of: site.x, rows: groups))
    }

    /// The transpose of the transpose.
    func backward(
        from gradients: OutputGradients, saved: Void, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        guard pass.learns(site.inputs[0]) else { return [nil] }
        return [
            try pass.compiler.transposed(
                try gradients.sum(), of: site.x, rows: site.x[1] / groups)
        ]
    }
}

extension Compiler {
    /// The channels of a map as a table of `rows` rows, transposed.
    fileprivate func transposed(
        _ source: Memory, of shape: Shape, rows: Int
    ) throws -> Memory {
        let (channels, area) = (shape[1], shape[2] * shape[3])
        let columns = channels / rows
        let x = try plain(source, of: shape)
        let target = try memory(.plain(shape.dimensions))
        let dims = [shape[0], rows, columns, area]
        let from = try Descriptor(dims, strides: [channels * area, columns * area, area, 1])
        let to = try Descriptor(dims, strides: [channels * area, area, rows * area, 1])
        try reorder(
            try Memory(from, in: x.buffer, of: engine),
            into: try Memory(to, in: target.buffer, of: engine))
        return target
    }
}
