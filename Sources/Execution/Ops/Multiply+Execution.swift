// The product of values: a gate is repeated over the map that it gates.

import CDNNL
import CKernels
import GraftNetworks

extension Op.Multiply: ExecutableOp {
    /// The values that were read.
    typealias Saved = [Memory]

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<[Memory]> {
        let order = site.inputsBySize
        let values = try site.inputs.map { try pass.value(of: $0) }
        let first = try pass.compiler.whole(values[order[0]], at: order[0], of: site)
        let mayOverwrite = pass.learning == nil && pass.isFree(site.inputs[order[0]])
        var product = first
        for place in order.dropFirst() {
            if site.inputTypes[place].shape == site.y {
                product = try pass.compiler.binary(
                    dnnl_binary_mul, product,
                    with: try pass.compiler.reordered(values[place], to: product.descriptor),
                    as: site.name)
            } else if site.inputTypes[place].shape.isGate(of: site.y) {
                product = try pass.compiler.gated(
                    product, of: site.y, by: values[place], as: site.name,
                    inPlace: product !== first || mayOverwrite)
            } else {
                product = try pass.compiler.pair(
                    GRAFT_MULTIPLY, product, of: site.y, with: values[place],
                    of: site.inputTypes[place].shape, as: site.name)
            }
        }
        return Outcome(product, saved: values)
    }

    func backward(
        from gradients: OutputGradients, saved: [Memory], at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        let dy = try gradients.sum()
        return try site.inputs.indices.map { place in
            guard pass.learns(site.inputs[place]) else { return nil }
            var product = dy
            for other in site.inputs.indices where other != place {
                if site.inputTypes[other].shape == site.y {
                    product = try pass.compiler.binary(
                        dnnl_binary_mul, product,
                        with: try pass.compiler.reordered(saved[other], to: product.descriptor),
                        as: site.name)
                } else if site.inputTypes[other].shape.isGate(of: site.y) {
                    product = try pass.compiler.gated(
                        product, of: site.y, by: saved[other], as: site.name)
                } else {
                    product = try pass.compiler.pair(
                        GRAFT_MULTIPLY, product, of: site.y, with: saved[other],
                        of: site.inputTypes[other].shape, as: site.name)
                }
            }
            return try pass.compiler.summed(
                product, of: site.y, to: site.inputTypes[place].shape, as: site.name)
        }
    }
}
