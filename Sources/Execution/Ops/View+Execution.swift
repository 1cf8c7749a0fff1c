// The same elements under other sizes, and values repeated to larger sizes.

import CKernels
import GraftNetworks
import GraftTensors

extension Op.View: ExecutableOp {
    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Void> {
        let value = try pass.value(of: site.inputs[0])
        return Outcome(
            try pass.compiler.plain(value, of: site.x, as: site.y))
    }

    func backward(
        from gradients: OutputGradients, saved: Void, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        [try pass.compiler.plain(try gradients.sum(), of: site.y, as: site.x)]
    }
}

extension Op.Expand: ExecutableOp {
    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Void> {
        let value = try pass.compiler.repeated(
            try pass.value(of: site.inputs[0]), of: site.x, to: site.y, as: site.name)
        return Outcome(value)
    }

    func backward(
        from gradients: OutputGradients, saved: Void, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        [
            try pass.compiler.summed(
                try gradients.sum(), of: site.y, to: site.x, as: site.name)
        ]
    }
}
