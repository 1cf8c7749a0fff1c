// Scale and shift by channel, gates: graft's own loops, in the layout that a value has.

import CDNNL
import CKernels
import GraftNetworks
import GraftTensors

extension Compiler {
    /// `scale[c] · x + shift[c]`, then an activation that only cuts. One constant serves all.
    func channelAffine(
        _ source: Memory, of shape: Shape, scale: [Float], shift: [Float]?, as name: String,
        activation: Activation? = nil
    ) throws -> Memory {
        let (x, layout) = try regular(source, of: shape)
        let to = MapLayout(shape, layout.order)
        let output = try memory(to)
        let (channels, filled) = (shape[1], layout.filled)
        func constants(_ values: [Float]) -> [Float] {
            (0..<filled).map { $0 < channels ? values[values.count == 1 ? 0 : $0] : 0 }
        }
        let (scales, shifts) = (constants(scale), shift.map(constants))
        let bounds = activation?.bounds ?? (-.infinity, .infinity)
        let (from, into) = (layout.loop, to.loop)
        append(name, by: "affine", uses: [x, output]) {
            if let shifts {
                graft_channel_affine(
                    from, x.floats, scales, 0, shifts, bounds.0, bounds.1, into, output.floats)
            } else {
                graft_channel_affine(
                    from, x.floats, scales, 0, nil, bounds.0, bounds.1, into, output.floats)
            }
        }
        return output
    }

    /// A map times a gate (N, C, 1, 1) that is repeated over it: squeeze-and-excite. In place, the map's memory
    /// becomes the result's.
    func gated(
        _ map: Memory, of shape: Shape, by gate: Memory, as name: String, inPlace: Bool = false
    ) throws -> Memory {
        let (x, layout) = try regular(map, of: shape)
        let dims = [shape[0], shape[1], 1, 1]
        var wanted = try Descriptor.plain(dims)
        if case .blocks(let block) = layout.order { wanted = try .blocked(dims, by: block) }
        let factors = try reordered(gate, to: wanted)
        let to = inPlace ? layout : MapLayout(shape, layout.order)
        let output = try inPlace ? x : memory(to)
        let (from, into) = (layout.loop, to.loop)
        let stride = layout.order == .channelsLast ? shape[1] : layout.filled
        append(name, by: "gate", uses: [x, factors, output]) {
            graft_channel_affine(
                from, x.floats, factors.floats, stride, nil, -.infinity, .infinity, into,
                output.floats)
        }
        return output
    }
}
