// A scale and a shift by channel with constants.

import GraftNetworks
import GraftTensors

extension Op.Affine: ExecutableOp {
    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Void> {
        Outcome(
            try applied(
                to: try pass.value(of: site.inputs[0]), shift: shift, at: site, in: pass.compiler))
    }

    func backward(
        from gradients: OutputGradients, saved: Void, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        guard pass.learns(site.inputs[0]) else { return [nil] }
        return [
            try applied(
                to: try gradients.sum(), shift: nil, at: site, in: pass.compiler)
        ]
    }

    /// The value scaled and shifted; one without channels is one row of them.
    private func applied(
        to x: Memory, shift: [Float]?, at site: NodeSite, in compiler: Compiler
    ) throws -> Memory {
        guard site.x.rank < 2 else {
            return try compiler.channelAffine(
                x, of: site.x, scale: scale, shift: shift, as: site.name)
        }
        let row: Shape = [1, site.x.count]
        let y = try compiler.channelAffine(
            try compiler.plain(x, of: site.x, as: row), of: row, scale: scale, shift: shift,
            as: site.name)
        return try compiler.plain(y, of: row, as: site.x)
    }
}
