// Sums and products of values, and the gradients of values that were repeated over a map.

import CDNNL
import GraftNetworks
import GraftTensors

extension Compiler {
    /// `a + b` or `a · b`, as `a` lies; `b` is repeated along its axes of size 1.
    func binary(
        _ algorithm: dnnl_alg_kind_t, _ a: Memory, with b: Memory, as name: String
    ) throws -> Memory {
        let output = try memory(a.descriptor)
        let primitive = try Primitive("plan `\(name)`", on: engine) { pd in
            a.descriptor.withPointer { a in
                b.descriptor.withPointer { b in
                    graft_binary(&pd, engine.engine, algorithm, a, b, a, engine.attributes)
                }
            }
        }
        append(
            primitive,
            with: [(DNNL_ARG_SRC_0, a), (DNNL_ARG_SRC_1, b), (DNNL_ARG_DST, output)], as: name)
        return output
    }

    /// The gradient of a gate (N, C, 1, 1) that was repeated over the map: the sum over the map.
    func summedOverMap(_ gradient: Memory, of shape: Shape, to target: Shape) throws -> Memory {
        let pool = Pool(
            name: "sum", window: Window(kernel: Extent(shape[2], shape[3])),
            algorithm: dnnl_pooling_avg_exclude_padding, input: shape, output: target)
        let mean = try pool.forward(gradient, isLearning: false, in: self).value
        let area = Float(shape[2] * shape[3])
        return try channelAffine(mean, of: target, scale: [area], shift: nil, as: "sum")
    }
}

extension Shape {
    /// Whether it is a gate (N, C, 1, 1) of maps of this shape.
    func isGate(of map: Shape) -> Bool {
        map.rank == 4 && self == [map[0], map[1], 1, 1] && self != map
    }
}

extension NodeSite {
    /// The inputs with the full-sized values first: a gate can only be the second operand.
    var inputsBySize: [Int] {
        inputs.indices.sorted { inputTypes[$0].shape.count > inputTypes[$1].shape.count }
    }
}
