// Scale and shift by channel, gates: graft's own loops, in the layout that a value has.

import CDNNL
import CKernels
import GraftNetworks
import GraftTensors

extension Activation {
    /// The bounds that it cuts values to, if that is all it does.
    var bounds: (lower: Float, upper: Float)? {
        switch self {
        case .relu: (0, .infinity)
        case .relu6: (0, 6)
        case .sigmoid, .tanh, .swish, .hardSigmoid, .hardSwish, .gelu, .geluTanh, .elu, .leakyReLU:
            nil
        }
    }
}

extension Compiler {
    /// The value of this shape as graft's loops take it: row-major, channels-last or in blocks;
    /// reordered if it lies otherwise.
    func regular(_ value: Memory, _ shape: Shape) throws -> (value: Memory, layout: graft_layout) {
        let (n, c) = (shape[0], shape[1])
        let area = shape.dimensions.dropFirst(2).reduce(1, *)
        func layout(_ block: Int) -> graft_layout {
            graft_layout(
                n: n, channels: c, area: area, block: block,
                batch_stride: (c + block - 1) / block * block * area)
        }
        let dims = shape.dimensions
        if shape.rank == 4 {
            for block in [8, 16] where value.descriptor == (try .blocked(dims, by: block)) {
                return (value, layout(block))
            }
            if value.descriptor == (try .channelsLast(dims)) { return (value, layout(c)) }
        }
        return (try reordered(value, to: .plain(dims)), layout(1))
    }

    /// `scale[c] · x + shift[c]`, then an activation that only cuts. One constant serves all.
    func channelAffine(
        _ source: Memory, _ shape: Shape, scale: [Float], shift: [Float]?, as name: String,
        activation: Activation? = nil
    ) throws -> Memory {
        let (x, layout) = try regular(source, shape)
        let output = try memory(x.descriptor)
        let channels = shape[1]
        let filled = (channels + layout.block - 1) / layout.block * layout.block
        func constants(_ values: [Float]) -> [Float] {
            (0..<filled).map { $0 < channels ? values[values.count == 1 ? 0 : $0] : 0 }
        }
        let (scales, shifts) = (constants(scale), shift.map(constants))
        let bounds = activation?.bounds ?? (-.infinity, .infinity)
        append(name, "affine") {
            let from = x.buffer.floats(0).baseAddress
            let to = output.buffer.floats(0).baseAddress
            if let shifts {
                graft_channel_affine(
                    layout, from, scales, 0, shifts, bounds.0, bounds.1, layout, to)
            } else {
                graft_channel_affine(layout, from, scales, 0, nil, bounds.0, bounds.1, layout, to)
            }
        }
        return output
    }

    /// A map times a gate (N, C, 1, 1) that is repeated over it: squeeze-and-excite.
    func gated(_ map: Memory, _ shape: Shape, by gate: Memory, as name: String) throws -> Memory {
        let (x, layout) = try regular(map, shape)
        let dims = [shape[0], shape[1], 1, 1]
        let block = layout.block
        let factors = try reordered(
            gate, to: block == 8 || block == 16 ? .blocked(dims, by: block) : .plain(dims))
        let output = try memory(x.descriptor)
        let stride = (shape[1] + block - 1) / block * block
        append(name, "gate") {
            graft_channel_affine(
                layout, x.buffer.floats(0).baseAddress, factors.buffer.floats(0).baseAddress,
                stride, nil, -.infinity, .infinity, layout, output.buffer.floats(0).baseAddress)
        }
        return output
    }
}
