// Elementwise non-linearities: one primitive, or several one after another.

import CDNNL
import CKernels
import GraftNetworks

extension Activation {
    /// oneDNN's algorithms for it, one after another: kind, alpha, beta.
    var algorithms: [(dnnl_alg_kind_t, Float, Float)] {
        switch self {
        case .relu: [(dnnl_eltwise_relu, 0, 0)]
        case .relu6: [(dnnl_eltwise_clip_v2, 0, 6)]
        case .sigmoid: [(dnnl_eltwise_logistic, 0, 0)]
        case .tanh: [(dnnl_eltwise_tanh, 0, 0)]
        case .swish: [(dnnl_eltwise_swish, 1, 0)]
        case .hardSigmoid: [(dnnl_eltwise_linear, 1 / 6, 0.5), (dnnl_eltwise_clip_v2, 0, 1)]
        case .hardSwish: [(dnnl_eltwise_hardswish, 1 / 6, 0.5)]
        case .gelu: [(dnnl_eltwise_gelu_erf, 0, 0)]
        case .geluTanh: [(dnnl_eltwise_gelu_tanh, 0, 0)]
        case .quickGELU: [(dnnl_eltwise_swish, 1.702, 0)]
        case .elu: [(dnnl_eltwise_elu, 1, 0)]
        case .leakyReLU: [(dnnl_eltwise_relu, 0.01, 0)]
        case .exponential: [(dnnl_eltwise_exp, 0, 0)]
        case .softplus: [(dnnl_eltwise_soft_relu, 1, 0)]
        case .mish: [(dnnl_eltwise_mish, 0, 0)]
        }
    }

    /// The bounds that it cuts values to, if that is all it does.
    var bounds: (lower: Float, upper: Float)? {
        switch self {
        case .relu: (0, .infinity)
        case .relu6: (0, 6)
        case .sigmoid, .tanh, .swish, .hardSigmoid, .hardSwish, .gelu, .geluTanh, .quickGELU, .elu,
            .leakyReLU, .exponential, .softplus, .mish:
            nil
        }
    }
}

extension Op.Activate: ExecutableOp {
    enum Saved {
        /// The value of an activation that only cuts: its gradient is read off its value.
        case cut(Memory, (lower: Float, upper: Float))
        /// The primitives in order, each with what it read.
        case chain([Link])
    }
    struct Link {
        let primitive: Primitive
        let source: Memory
        let algorithm: (dnnl_alg_kind_t, Float, Float)
    }

    var role: FusionRole { .activation(function) }

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Saved> {
        let compiler = pass.compiler
        let isReadBackward = pass.learning != nil && function.bounds == nil
        var value = try pass.value(of: site.inputs[0])
        var links: [Link] = []
        for algorithm in function.algorithms {
            let primitive = try Primitive("plan layer `\(site.name)`", on: compiler.engine) { pd in
                value.descriptor.withPointer {
                    graft_eltwise(
                        &pd, compiler.engine.engine,
                        isReadBackward ? dnnl_forward_training : dnnl_forward_inference,
                        algorithm.0, $0, $0, algorithm.1, algorithm.2,
                        compiler.engine.attributes, nil)
                }
            }
            primitive.node = site.name
            let output = try compiler.memory(value.descriptor)
            compiler.append(primitive, with: [(DNNL_ARG_SRC, value), (DNNL_ARG_DST, output)])
            links.append(Link(primitive: primitive, source: value, algorithm: algorithm))
            value = output
        }
        return Outcome(value, saved: function.bounds.map { .cut(value, $0) } ?? .chain(links))
    }

    func backward(
        from gradients: OutputGradients, saved: Saved, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        guard pass.learns(site.inputs[0]) else { return [nil] }
        let compiler = pass.compiler
        switch saved {
        case .cut(let value, let bounds):
            return [
                try compiler.maskedSum(
                    gradients.parts[0], where: value, isWithin: bounds, as: site.name)
            ]
        case .chain(let links):
            var gradient = try gradients.sum()
            for link in links.reversed() {
                gradient = try compiler.gradient(of: link, from: gradient, as: site.name)
            }
            return [gradient]
        }
    }
}

extension Compiler {
    fileprivate func gradient(
        of link: Op.Activate.Link, from dy: Memory, as name: String
    ) throws -> Memory {
        let (source, algorithm) = (link.source, link.algorithm)
        let gradient = try reordered(dy, to: source.descriptor)
        let primitive = try Primitive("plan layer `\(name)`", on: engine) { pd in
            source.descriptor.withPointer {
                graft_eltwise(
                    &pd, engine.engine, dnnl_backward_data, algorithm.0, $0, $0, algorithm.1,
                    algorithm.2, engine.attributes, link.primitive.description)
            }
        }
        primitive.node = name
        let dx = try memory(source.descriptor)
        append(
            primitive,
            with: [(DNNL_ARG_SRC, source), (DNNL_ARG_DIFF_DST, gradient), (DNNL_ARG_DIFF_SRC, dx)])
        return dx
    }

    /// The sum of gradients where an activation that cuts let its value through.
    func maskedSum(
        _ parts: [Memory], where y: Memory, isWithin bounds: (lower: Float, upper: Float),
        as name: String
    ) throws -> Memory {
        let parts = try parts.map { try reordered($0, to: y.descriptor) }
        let z = try memory(y.descriptor)
        let count = y.descriptor.byteCount / 4
        append(name, by: "mask", uses: parts + [y, z]) {
            let pointers = parts.map { UnsafePointer<Float>?($0.floats) }
            graft_masked_sum(
                count, pointers, parts.count, y.floats, bounds.lower, bounds.upper, z.floats)
        }
        return z
    }
}
