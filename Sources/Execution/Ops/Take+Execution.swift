// Elements of an axis at known places: a copy by tables of places.

import GraftNetworks
import GraftTensors

extension Op.Take: ExecutableOp {
    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Places> {
        let places = Places(
            of: site.x,
            at: site.x.dimensions.indices.map { $0 == axis ? indices : Array(0..<site.x[$0]) })
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
