// A weight as a value: it lies where it is, and its gradient is the sum over its readers.

import GraftNetworks
import GraftTensors

extension Op.ParameterValue: ExecutableOp {
    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Void> {
        Outcome(try pass.weight(try site.required(learns ? .value : .constant)))
    }

    func backward(
        from gradients: OutputGradients, saved: Void, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        if let target = pass.gradient(of: site.parameter(.value)) {
            let sum = try pass.compiler.plain(try gradients.sum(), of: shape)
            try pass.compiler.reorder(sum, into: target)
        }
        return []
    }
}
