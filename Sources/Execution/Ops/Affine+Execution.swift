// A scale and a shift by channel with constants.

import GraftNetworks

extension Op.Affine: ExecutableOp {
    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Void> {
        Outcome(
            try pass.compiler.channelAffine(
                try pass.value(of: site.inputs[0]), of: site.x, scale: scale, shift: shift,
                as: site.name))
    }

    func backward(
        from gradients: OutputGradients, saved: Void, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        guard pass.learns(site.inputs[0]) else { return [nil] }
        return [
            try pass.compiler.channelAffine(
                try gradients.sum(), of: site.y, scale: scale, shift: nil, as: site.name)
        ]
    }
}
