// Axes in another order: one reorder.

import CDNNL
import GraftNetworks
import GraftTensors

extension Op.Transpose: ExecutableOp {
    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Void> {
        let value = try pass.compiler.transposed(
            try pass.value(of: site.inputs[0]), of: site.x, by: order, as: site.name)
        return Outcome(value)
    }

    func backward(
        from gradients: OutputGradients, saved: Void, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        let back = order.indices.map { axis in order.firstIndex(of: axis) ?? axis }
        return [
            try pass.compiler.transposed(
                try gradients.sum(), of: site.y, by: back, as: site.name)
        ]
    }
}

extension Compiler {
    /// The value with its axes in another order, row-major.
    func transposed(_ x: Memory, of shape: Shape, by order: [Int], as name: String) throws
        -> Memory
    {
        let source = try plain(x, of: shape)
        let target = shape.permuted(order)
        // Axes of one element may go anywhere: nothing moves then.
        let moving = order.filter { shape[$0] > 1 }
        if moving == moving.sorted() { return try plain(source, of: shape, as: target) }
        let strides = shape.rowMajorStrides
        let from = try Descriptor(target.dimensions, strides: order.map { strides[$0] })
        let y = try memory(.plain(target.dimensions))
        let primitive = try reorderPrimitive(from: from, to: y.descriptor)
        primitive.node = name
        append(
            primitive,
            with: [
                (DNNL_ARG_FROM, try Memory(from, in: source.buffer, of: engine)),
                (DNNL_ARG_TO, y),
            ])
        return y
    }
}
