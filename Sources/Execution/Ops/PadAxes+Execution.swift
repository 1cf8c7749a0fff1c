// Elements before and after each axis: a copy by tables of places.

import GraftNetworks
import GraftTensors

extension Op.PadAxes: ExecutableOp {
    private func places(_ x: Shape) -> Places {
        let indices = x.dimensions.indices.map { axis in
            let size = x[axis]
            // What is cut is not mirrored.
            let (low, high) = (max(0, -before[axis]), size - max(0, -after[axis]))
            let kept = high - low
            return (-before[axis]..<(size + after[axis])).map { place -> Int in
                guard !(low..<high ~= place) else { return place }
                switch mode {
                case .constant: return -1
                case .edge: return min(max(place, low), high - 1)
                case .wrap: return low + ((place - low) % kept + kept) % kept
                case .reflect:
                    guard kept > 1 else { return low }
                    let period = 2 * (kept - 1)
                    let phase = ((place - low) % period + period) % period
                    return low + (phase < kept ? phase : period - phase)
                }
            }
        }
        return Places(of: x, at: indices, value: value)
    }

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Places> {
        let places = places(site.x)
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
