// Elements before and after each axis: a copy by tables of places.

import GraftNetworks
import GraftTensors

extension Op.PadAxes: PlacedCopy {
    func places(in x: Shape) -> Places {
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
}
