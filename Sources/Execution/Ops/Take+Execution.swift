// Elements of an axis at known places: a copy by tables of places.

import GraftNetworks
import GraftTensors

extension Op.Take: PlacedCopy {
    func places(in x: Shape) -> Places {
        Places(
            of: x,
            at: x.dimensions.indices.map { $0 == axis ? indices : Array(0..<x[$0]) })
    }
}
