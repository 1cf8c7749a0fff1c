// Activations, BatchNorm with running statistics, sums, products, softmax: forward.

import CDNNL
import GraftNetworks
import GraftTensors

extension Compiler {
    /// One elementwise primitive.
    func eltwise(
        _ node: Node, _ source: Memory, _ kind: dnnl_prop_kind_t,
        _ algorithm: (dnnl_alg_kind_t, Float, Float)
    ) throws -> (primitive: Primitive, output: Memory) {
        let primitive = try Primitive("plan layer `\(node.name)`", engine) { pd in
            source.descriptor.withPointer {
                graft_eltwise(
                    &pd, engine.engine, kind, algorithm.0, $0, $0, algorithm.1, algorithm.2,
                    engine.attributes, nil)
            }
        }
        note(node, primitive)
        let output = try memory(source.descriptor)
        append(primitive, [(DNNL_ARG_SRC, source), (DNNL_ARG_DST, output)])
        return (primitive, output)
    }

    func activate(_ node: Node, _ source: Memory, _ activation: Activation) throws -> Memory {
        var value = source
        for algorithm in activation.algorithms {
            value = try eltwise(node, value, dnnl_forward_inference, algorithm).output
        }
        return value
    }

    /// A BatchNorm that nothing could take in: scale and shift by channel.
    func batchNorm(
        _ node: Node, _ source: Memory, _ shape: Shape, activation: Activation? = nil
    ) throws -> Memory {
        guard case .batchNorm(let norm) = node.op else { return source }
        let (scale, shift) = try affine(node, epsilon: norm.epsilon)
        return try channelAffine(
            source, shape, scale: scale, shift: shift, as: node.name, activation: activation)
    }

    func binary(_ algorithm: dnnl_alg_kind_t, _ a: Memory, _ b: Memory, _ what: String) throws
        -> Memory
    {
        let output = try memory(a.descriptor)
        let primitive = try Primitive("plan `\(what)`", engine) { pd in
            a.descriptor.withPointer { a in
                b.descriptor.withPointer { b in
                    graft_binary(&pd, engine.engine, algorithm, a, b, a, engine.attributes)
                }
            }
        }
        append(
            primitive, [(DNNL_ARG_SRC_0, a), (DNNL_ARG_SRC_1, b), (DNNL_ARG_DST, output)], as: what)
        return output
    }

    /// The sum or the product of values, gates (N, C, 1, 1) repeated over the map. `free` are the sources
    /// whose memory may become the result's; none unless said.
    func combine(
        _ node: Node, _ sources: [Memory], _ inputs: [Shape], _ output: Shape, free: [Bool]? = nil
    ) throws -> Memory {
        let algorithm: dnnl_alg_kind_t
        if case .add = node.op { algorithm = dnnl_binary_add } else { algorithm = dnnl_binary_mul }
        // The full-sized values first: a gate can only be the second operand.
        let order = sources.indices.sorted { inputs[$0].count > inputs[$1].count }
        var value = sources[order[0]]
        for index in order.dropFirst() {
            if case .multiply = node.op, inputs[index] != output {
                value = try gated(
                    value, output, by: sources[index], as: node.name,
                    inPlace: value !== sources[order[0]] || free?[order[0]] == true)
                continue
            }
            let other =
                inputs[index] == output
                ? try reordered(sources[index], to: value.descriptor)
                : try plain(sources[index], inputs[index].dimensions)
            value = try binary(algorithm, value, other, node.name)
        }
        return value
    }

    func softmax(_ node: Node, _ source: Memory, _ shape: Shape) throws -> Memory {
        let x = try plain(source, shape.dimensions)
        let primitive = try Primitive("plan layer `\(node.name)`", engine) { pd in
            x.descriptor.withPointer { graft_softmax(&pd, engine.engine, $0, 1, engine.attributes) }
        }
        note(node, primitive)
        let output = try memory(x.descriptor)
        append(primitive, [(DNNL_ARG_SRC, x), (DNNL_ARG_DST, output)])
        return output
    }

    /// (N, C, H, W) as (N, C·H·W), elements ordered (c, h, w) or (h, w, c).
    func flatten(_ source: Memory, _ input: Shape, _ output: Shape, channelsLast: Bool) throws
        -> Memory
    {
        guard channelsLast else {
            return try plain(source, input.dimensions, as: output.dimensions)
        }
        let last = try reordered(source, to: .channelsLast(input.dimensions))
        return try Memory(.plain(output.dimensions), last.buffer, engine)
    }
}
