// Convolution and fully connected layers: weights, folding of BatchNorm, fused forward.

import CDNNL
import CKernels
import GraftNetworks
import GraftTensors

/// The weights of a product with the BatchNorm that is folded into them, read when they are wanted:
/// where a plan file has them as a kernel reads them, they are not.
final class ProductWeights {
    let hasBias: Bool
    /// The node, and what is folded in.
    let name: String
    private let make: () throws -> (kernel: [Float], bias: [Float]?)
    private var made: (kernel: [Float], bias: [Float]?)?
    private var madeRows: QuantizedRows?

    init(_ compiler: Compiler, _ node: Node, norm: (node: Node, epsilon: Float)? = nil) {
        hasBias = norm != nil || compiler.parameter(node, .bias) != nil
        name = node.name + (norm.map { " × \($0.node.name)" } ?? "")
        make = {
            var (kernel, bias) = try compiler.product(node)
            if let norm {
                try compiler.fold(norm.node, epsilon: norm.epsilon, into: &kernel, &bias)
            }
            return (kernel, bias)
        }
    }

    func numbers() throws -> (kernel: [Float], bias: [Float]?) {
        if let made { return made }
        let numbers = try make()
        made = numbers
        return numbers
    }

    /// The kernel in eight bits, a scale for each output.
    func rows(_ outputs: Int) throws -> QuantizedRows {
        if let madeRows { return madeRows }
        let rows = QuantizedRows(try numbers().kernel, rows: outputs)
        madeRows = rows
        return rows
    }

    /// Lets go of the numbers.
    func forget() { (made, madeRows) = (nil, nil) }
}

extension Compiler {
    /// The kernel and the bias of a convolution or linear node.
    func product(_ node: Node) throws -> (kernel: [Float], bias: [Float]?) {
        guard let kernel = node.parameters.first else {
            throw ExecutionError.unsupported(layer: node.name, reason: "it has no weights")
        }
        return (try weight(kernel), try parameter(node, .bias).map { try weight($0) })
    }

    /// Scale and shift that a BatchNorm with its running statistics amounts to, by channel.
    func affine(_ node: Node, epsilon: Float) throws -> (scale: [Float], shift: [Float]) {
        guard let mean = parameter(node, .runningMean),
            let variance = parameter(node, .runningVariance)
        else { throw ExecutionError.unsupported(layer: node.name, reason: "it has no statistics") }
        let means = try weight(mean)
        let gamma = try parameter(node, .scale).map { try weight($0) }
        let beta = try parameter(node, .shift).map { try weight($0) }
        let scale = try weight(variance).enumerated().map { index, variance in
            Float(Double(gamma?[index] ?? 1) / (Double(variance) + Double(epsilon)).squareRoot())
        }
        let shift = means.indices.map { (beta?[$0] ?? 0) - means[$0] * scale[$0] }
        return (scale, shift)
    }

    /// Folds a BatchNorm into the weights before it.
    func fold(_ node: Node, epsilon: Float, into kernel: inout [Float], _ bias: inout [Float]?)
        throws
    {
        let (scale, shift) = try affine(node, epsilon: epsilon)
        graft_scale_rows(&kernel, scale.count, kernel.count / max(scale.count, 1), scale)
        let old = bias ?? [Float](repeating: 0, count: scale.count)
        bias = scale.indices.map { old[$0] * scale[$0] + shift[$0] }
    }

    /// A copy of a value that may be overwritten.
    func copied(_ value: Memory) throws -> Memory {
        let target = try memory(value.descriptor)
        target.quantum = value.quantum
        try reorder(value, into: target)
        return target
    }

    /// The dims of a kernel as oneDNN has them: grouped ones have an axis more.
    func kernelDims(_ node: Node) -> [Int] {
        guard let shape = node.parameters.first?.shape else { return [] }
        var groups = 1
        if case .convTranspose2d(let convolution) = node.op { groups = convolution.groups }
        if case .conv2d(let convolution) = node.op { groups = convolution.groups }
        if groups > 1 { return [groups, shape[0] / groups] + shape.dimensions.dropFirst() }
        return shape.dimensions
    }

    /// The step of a convolution or linear node with all that is fused into it. `home` is where the
    /// value shall lie if it can be written there at once.
    func product(
        _ node: Node, _ source: Memory, _ input: Shape, _ output: Shape, weights: ProductWeights,
        sum: Memory?, activation: Activation?, extra: Padding, home: Memory? = nil
    ) throws -> Memory {
        defer { weights.forget() }
        let biases =
            weights.hasBias
            ? try kept("\(weights.name) bias", as: .plain([output[1]])) {
                try constant(try weights.numbers().bias ?? [], dims: [output[1]])
            } : nil
        func direct() throws -> Primitive {
            try productPrimitive(
                node, dnnl_forward_inference, input, output, bias: weights.hasBias, extra: extra,
                attributes: try PostOps(sum: sum != nil, activation: activation),
                types: options.usesBF16 ? .bf16 : .f32)
        }
        let choice = try choice(
            node, source, input, output, activation: activation, extra: extra, direct: direct)
        if let transform = choice.transform {
            let housed = sum == nil ? home : nil
            if let (work, block, layout) = try winograd(
                node, source, input, output, activation: activation, extra: extra,
                transform: transform, target: housed?.layout)
            {
                let target =
                    try housed ?? sum.map { try reordered($0, to: try layout.descriptor()) }
                    ?? memory(layout)
                appendWinograd(
                    node, output, work: work, block: block, source: source,
                    weights: .kept(try winogradWeights(work, block: block, weights)),
                    bias: biases,
                    target: target, accumulate: sum != nil)
                return target
            }
        }
        let primitive = try direct()
        note(node, primitive, operations: operations(node, output))
        let x = try reordered(source, to: try primitive.descriptor(dnnl_query_src_md))
        let layout = try primitive.descriptor(dnnl_query_dst_md)
        let y: Memory
        if let sum { y = try reordered(sum, to: layout) } else { y = try memory(layout) }
        var arguments = [
            (DNNL_ARG_SRC, x),
            (
                DNNL_ARG_WEIGHTS,
                try kept(weights.name, as: try primitive.descriptor(dnnl_query_weights_md)) {
                    try constant(try weights.numbers().kernel, dims: kernelDims(node))
                }
            ),
            (DNNL_ARG_DST, y),
        ]
        if let biases { arguments.append((DNNL_ARG_BIAS, biases)) }
        append(primitive, arguments)
        return y
    }

    /// Compiles a convolution or linear node in one direction, layouts left to oneDNN.
    func productPrimitive(
        _ node: Node, _ kind: dnnl_prop_kind_t, _ input: Shape, _ output: Shape, bias: Bool,
        extra: Padding = .zero, attributes: PostOps? = nil,
        hint: Primitive? = nil, types: ProductTypes = .f32
    ) throws -> Primitive {
        let weights = try Descriptor.any(kernelDims(node), type: types.weights)
        let biases = bias ? try Descriptor.plain([output[1]]) : nil
        let dst = try Descriptor.any(output.dimensions, type: types.target)
        let src = try Descriptor.any(input.dimensions, type: types.source)
        let attr = attributes?.attributes ?? engine.attributes
        let pointers = { (body: (UnsafePointer<graft_md>?) -> dnnl_status_t) -> dnnl_status_t in
            biases.map { $0.withPointer { body($0) } } ?? body(nil)
        }
        guard case .conv2d(let convolution) = node.op else {
            // The matrix reads what lies row-major already.
            return try Primitive("plan layer `\(node.name)`", engine) { pd in
                src.withPointer { src in
                    weights.withPointer { weights in
                        dst.withPointer { dst in
                            pointers {
                                graft_linear(
                                    &pd, engine.engine, kind, src, weights, $0, dst, attr,
                                    hint?.description)
                            }
                        }
                    }
                }
            }
        }
        var geometry = self.window(convolution.window, input: input, output: output, extra: extra)
        return try Primitive("plan layer `\(node.name)`", engine) { pd in
            src.withPointer { src in
                weights.withPointer { weights in
                    dst.withPointer { dst in
                        pointers {
                            graft_conv(
                                &pd, engine.engine, kind, src, weights, $0, dst, &geometry, attr,
                                hint?.description)
                        }
                    }
                }
            }
        }
    }
}

/// The types that a product reads and writes.
struct ProductTypes {
    var source: dnnl_data_type_t
    var weights: dnnl_data_type_t
    var target: dnnl_data_type_t

    static let f32 = ProductTypes(source: dnnl_f32, weights: dnnl_f32, target: dnnl_f32)
    static let bf16 = ProductTypes(source: dnnl_bf16, weights: dnnl_bf16, target: dnnl_bf16)
}

/// What a primitive does to its result before it writes it.
final class PostOps {
    let attributes: dnnl_primitive_attr_t

    init(sum: Bool, activation: Activation?) throws(ExecutionError) {
        let (algorithm, alpha, beta) = activation?.algorithms.first ?? (dnnl_eltwise_relu, 0, 0)
        var attributes: dnnl_primitive_attr_t?
        try check(
            graft_attr_create(
                &attributes, sum ? 1 : 0, activation == nil ? 0 : 1, algorithm, alpha, beta),
            "fuse")
        guard let attributes else { throw .library("fuse", code: 0) }
        self.attributes = attributes
    }

    /// Takes what `create` makes.
    init(
        _ create: (inout dnnl_primitive_attr_t?) -> dnnl_status_t
    ) throws(ExecutionError) {
        var attributes: dnnl_primitive_attr_t?
        let status = create(&attributes)
        guard let attributes else { throw .library("fuse", code: Int(status.rawValue)) }
        self.attributes = attributes
        try check(status, "fuse")
    }

    deinit { dnnl_primitive_attr_destroy(attributes) }
}
