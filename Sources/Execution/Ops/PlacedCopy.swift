// Operations that only bring elements of their input to other places.

import GraftNetworks
import GraftTensors

/// A copy by tables of places: forward takes the elements, backward puts their gradients back.
protocol PlacedCopy: ExecutableOp where Saved == Places {
    /// The places in a value of shape `x` that the result is made of.
    func places(in x: Shape) -> Places
}

extension PlacedCopy {
    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Places> {
        let places = places(in: site.x)
        return Outcome(
            try pass.compiler.taken(
                try pass.value(of: site.inputs[0]), of: site.x, by: places, as: site.name),
            saved: places)
    }

    func backward(
        from gradients: OutputGradients, saved places: Places, at site: NodeSite,
        in pass: BackwardPass
    ) throws -> [Memory?] {
        [
            try pass.compiler.put(
                try gradients.sum(), by: places, into: site.x, as: site.name)
        ]
    }
}
