// Where the caller writes the images.

import GraftNetworks

extension Op.Input: ExecutableOp {
    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Void> {
        Outcome(pass.inputs[site.index])
    }

    func backward(
        from gradients: OutputGradients, saved: Void, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] { [] }
}
