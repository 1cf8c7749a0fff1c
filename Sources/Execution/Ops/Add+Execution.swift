// The sum of values: what no product took in.

import CDNNL
import CKernels
import GraftNetworks

extension Op.Add: ExecutableOp {
    var role: FusionRole { .sum }

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Void> {
        let order = site.inputsBySize
        let values = try site.inputs.map { try pass.value(of: $0) }
        var sum = try pass.compiler.whole(values[order[0]], at: order[0], of: site)
        for place in order.dropFirst() {
            let shape = site.inputTypes[place].shape
            guard shape == site.y || shape.isGate(of: site.y) else {
                sum = try pass.compiler.pair(
                    GRAFT_ADD, sum, of: site.y, with: values[place], of: shape, as: site.name)
                continue
            }
            let other =
                shape == site.y
                ? try pass.compiler.reordered(values[place], to: sum.descriptor)
                : try pass.compiler.plain(values[place], of: shape)
            sum = try pass.compiler.binary(dnnl_binary_add, sum, with: other, as: site.name)
        }
        return Outcome(sum)
    }

    func backward(
        from gradients: OutputGradients, saved: Void, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        let dy = try gradients.sum()
        return try zip(site.inputs, site.inputTypes).map { input, type in
            guard pass.learns(input) else { return nil }
            return try pass.compiler.summed(dy, of: site.y, to: type.shape, as: site.name)
        }
    }
}
