// Samples zeroed while learning: graft does not do that, and hands the value on.

import GraftNetworks

extension Op.DropPath: ExecutableOp {
    var role: FusionRole { .dropping }

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Void> {
        Outcome(pass.stored(site.inputs[0]))
    }

    func backward(
        from gradients: OutputGradients, saved: Void, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] { [try gradients.sum()] }
}
