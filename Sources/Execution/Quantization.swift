// Products of 8-bit numbers: what values are multiples of, the steps to them and back, the products.
//
// Symmetric and linear, as in Jacob et al. 2018, arXiv:1712.05877: a value is a multiple of its scale,
// weights have a scale for each output, sums are exact (32 bits), and what is fused behind them is f32.

import CDNNL
import CKernels
import GraftNetworks
import GraftTensors

/// The smallest and largest number of a value, as images have shown.
public struct ValueRange: Sendable, Hashable, Codable {
    /// The smallest number.
    public var lower: Float
    /// The largest number.
    public var upper: Float

    /// A range.
    public init(lower: Float, upper: Float) {
        self.lower = lower
        self.upper = upper
    }
}

/// The scale of 8-bit numbers.
struct Quantum: Equatable {
    let scale: Float
    /// Whether the numbers go from −127 to 127, or from 0 to 255.
    let isSigned: Bool

    var type: dnnl_data_type_t { isSigned ? dnnl_s8 : dnnl_u8 }

    /// Nil for a range that says nothing.
    init?(_ range: ValueRange) {
        let most = max(-range.lower, range.upper)
        guard most.isFinite, range.lower <= range.upper else { return nil }
        isSigned = range.lower < 0
        // A value that is zero always needs a scale that can be divided by.
        scale = max(most, 1e-20) / (isSigned ? 127 : 255)
    }
}

/// Numbers of eight bits and the scale of each row.
struct QuantizedRows {
    let numbers: Buffer
    let scales: [Float]

    init(_ weights: [Float], rows: Int) {
        let numbers = Buffer(byteCount: weights.count)
        var scales = [Float](repeating: 1, count: rows)
        graft_quantize_rows(
            weights, rows, weights.count / max(rows, 1),
            numbers.pointer.assumingMemoryBound(to: Int8.self), &scales)
        self.numbers = numbers
        self.scales = scales
    }
}

/// A product of 8-bit numbers that oneDNN has code for.
struct QuantizedStep {
    let primitive: Primitive
    /// Source times weights, for each output.
    let factors: [Float]
    /// The scale of the result; nil: f32.
    let target: Quantum?
    /// The scale of what is added; nil: f32, or nothing.
    let addend: Quantum?
}

extension Compiler {
    /// The scale of a node's value, if its range is known.
    func quantum(of node: Node) -> Quantum? { options.ranges[node.name].flatMap(Quantum.init) }

    /// Appends the change between floats and multiples of a scale.
    private func appendScaled(
        _ value: Memory, into target: Memory, by factor: Float, as name: String
    ) throws {
        let primitive = try Primitive(name, on: engine) { pd in
            value.descriptor.withPointer { from in
                target.descriptor.withPointer {
                    graft_reorder_scaled(&pd, engine.engine, from, $0, factor)
                }
            }
        }
        var arguments = [(DNNL_ARG_FROM, value), (DNNL_ARG_TO, target)]
        if graft_scales_are_arguments() != 0 {
            arguments.append(
                (graft_scale_argument(DNNL_ARG_FROM), try constant([factor], dims: [1])))
        }
        append(primitive, with: arguments, as: name)
    }

    /// The value of this shape in eight bits, channels innermost.
    func quantized(_ value: Memory, of shape: Shape, to quantum: Quantum) throws -> Memory {
        let dims = shape.dimensions
        let target = try memory(
            shape.rank == 4
                ? .channelsLast(dims, type: quantum.type) : .plain(dims, type: quantum.type))
        target.quantum = quantum
        try appendScaled(value, into: target, by: 1 / quantum.scale, as: "quantize")
        return target
    }

    /// The value of this shape in f32.
    func real(_ value: Memory, of shape: Shape) throws -> Memory {
        guard let quantum = value.quantum else { return value }
        let dims = shape.dimensions
        let target = try memory(shape.rank == 4 ? .channelsLast(dims) : .plain(dims))
        try appendScaled(value, into: target, by: quantum.scale, as: "dequantize")
        return target
    }

    /// Compiles a product in eight bits; nil where oneDNN has no fast code for it.
    ///
    /// `target` is nil for a result in f32; `sum` says that something is added, multiples of `addend` or
    /// f32.
    func quantizedStep(
        _ product: Product, source: Quantum, target: Quantum?, sum: Bool, addend: Quantum?,
        activation: Activation?, weights: ConstantWeights
    ) throws -> QuantizedStep? {
        let output = product.output
        let scales = try kept("\(weights.name) scales", as: .plain([output[1]])) {
            try constant(
                try weights.rows(output[1]).scales, dims: [output[1]])
        }
        let factors = scales.buffer.floats(output[1]).map { $0 * source.scale }
        let (algorithm, alpha, beta) = activation?.algorithms.first ?? (dnnl_eltwise_relu, 0, 0)
        var quantized = graft_quantized()
        quantized.channels = Int64(output[1])
        quantized.grouped = product.kernelDims.count == 5 ? 1 : 0
        quantized.scale = target?.scale ?? 1
        quantized.sum = sum ? 1 : 0
        quantized.addend_scale = addend?.scale ?? 1
        quantized.addend_type = addend?.type ?? dnnl_f32
        quantized.eltwise = activation == nil ? 0 : 1
        (quantized.algorithm, quantized.alpha, quantized.beta) = (algorithm, alpha, beta)
        let attributes = try factors.withUnsafeBufferPointer { factors in
            quantized.factors = factors.baseAddress
            return try PostOps { graft_attr_quantized(&$0, &quantized) }
        }
        let types = ProductTypes(
            source: source.type, weights: dnnl_s8, target: target?.type ?? dnnl_f32)
        let primitive: Primitive
        do {
            primitive = try self.primitive(
                product, direction: dnnl_forward_inference, bias: weights.hasBias,
                attributes: attributes, types: types)
        } catch ExecutionError.library(_, code: Int(dnnl_unimplemented.rawValue)) {
            return nil
        }
        // The reference code is slower than f32's.
        guard !primitive.implementation.hasPrefix("ref") else { return nil }
        return QuantizedStep(
            primitive: primitive, factors: factors, target: target, addend: addend)
    }

    /// Appends it. `sum`'s memory becomes the result's.
    func append(
        _ step: QuantizedStep, of product: Product, source: Memory, weights: ConstantWeights,
        sum: Memory?
    ) throws -> Memory {
        let output = product.output
        let primitive = step.primitive
        let layout = try primitive.descriptor(dnnl_query_dst_md)
        let result: Memory
        if let sum {
            let added = try addend(sum, like: layout, of: output, named: product.name)
            result = try Memory(layout, in: added.buffer, of: engine)
        } else {
            result = try memory(layout)
        }
        result.quantum = step.target
        let kernel = try kept(
            "\(weights.name) 8 bits", as: try primitive.descriptor(dnnl_query_weights_md)
        ) {
            try Memory(
                .plain(product.kernelDims, type: dnnl_s8),
                in: try weights.rows(output[1]).numbers, of: engine)
        }
        var arguments = [
            (DNNL_ARG_SRC, try reordered(source, to: try primitive.descriptor(dnnl_query_src_md))),
            (DNNL_ARG_WEIGHTS, kernel), (DNNL_ARG_DST, result),
        ]
        let areArguments = graft_scales_are_arguments() != 0
        if let bias = try weights.bias() {
            // Where the factors are applied to the bias too, it is divided by them first.
            let numbers = zip(bias.buffer.floats(output[1]), step.factors)
                .map { areArguments ? $0 : $0 / $1 }
            arguments.append((DNNL_ARG_BIAS, try constant(numbers, dims: [output[1]])))
        }
        if areArguments {
            arguments.append(
                (
                    graft_scale_argument(DNNL_ARG_WEIGHTS),
                    try constant(step.factors, dims: [output[1]])
                ))
            if let target = step.target {
                arguments.append(
                    (graft_scale_argument(DNNL_ARG_DST), try constant([target.scale], dims: [1])))
            }
        }
        append(primitive, with: arguments)
        return result
    }

    /// A copy of a value that may be overwritten.
    func copied(_ value: Memory) throws -> Memory {
        let target = try memory(value.descriptor)
        target.quantum = value.quantum
        try reorder(value, into: target)
        return target
    }

    /// The addend in the layout of the result: of its own type, which may be another of the same size.
    private func addend(
        _ sum: Memory, like layout: Descriptor, of shape: Shape, named name: String
    ) throws -> Memory {
        guard sum.descriptor.type != layout.type else { return try reordered(sum, to: layout) }
        let dims = shape.dimensions
        let own = try Descriptor.channelsLast(dims, type: sum.descriptor.type)
        guard shape.rank == 4, layout == (try .channelsLast(dims, type: layout.type)) else {
            throw ExecutionError.unlikeAddend(layer: name)
        }
        return try reordered(sum, to: own)
    }
}
