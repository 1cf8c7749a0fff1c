// Transposed convolutions: a convolution's gradient as the forward pass, and the other way round.

import CDNNL
import GraftNetworks
import GraftTensors

extension Compiler {
    /// The convolution that leads from the output of a transposed one to its input.
    func reverse(_ node: Node, input: Shape) throws -> Node {
        guard case .convTranspose2d(let transposed) = node.op,
            let kernel = node.parameters.first
        else { throw ExecutionError.unsupported(layer: node.name, reason: "it has no weights") }
        return Node(
            name: node.name,
            op: .conv2d(
                outputs: input[1], window: transposed.window, groups: transposed.groups, bias: false
            ),
            inputs: node.inputs, parameters: [kernel])
    }

    /// The step of a transposed convolution, bias included.
    func transposedProduct(_ node: Node, _ x: Memory, _ input: Shape, _ output: Shape) throws
        -> Memory
    {
        let (kernel, bias) = try product(node)
        let reverse = try reverse(node, input: input)
        let weights = try constant(kernel, dims: kernelDims(reverse))
        let primitives = try transposedPrimitives(reverse, input, output)
        let y = try transposedStep(primitives.back, reverse, input, x) {
            try prepared(weights, as: $0)
        }
        guard let bias else { return y }
        let ones = [Float](repeating: 1, count: bias.count)
        return try channelAffine(y, output, scale: ones, shift: bias, as: node.name)
    }

    /// The convolution from output to input, and its gradient: the step forward.
    func transposedPrimitives(_ reverse: Node, _ input: Shape, _ output: Shape) throws -> (
        convolution: Primitive, back: Primitive
    ) {
        let convolution = try productPrimitive(
            reverse, dnnl_forward_training, output, input, bias: false)
        let back = try productPrimitive(
            reverse, dnnl_backward_data, output, input, bias: false, hint: convolution)
        return (convolution, back)
    }

    /// Appends the gradient of a convolution by its input, at `x`.
    func transposedStep(
        _ primitive: Primitive, _ reverse: Node, _ input: Shape, _ x: Memory,
        weights: (Descriptor) throws -> Memory
    ) throws -> Memory {
        note(reverse, primitive, operations: operations(reverse, input))
        let source = try reordered(x, to: try primitive.descriptor(dnnl_query_diff_dst_md))
        let y = try memory(try primitive.descriptor(dnnl_query_diff_src_md))
        append(
            primitive,
            [
                (DNNL_ARG_DIFF_DST, source),
                (DNNL_ARG_WEIGHTS, try weights(try primitive.descriptor(dnnl_query_weights_md))),
                (DNNL_ARG_DIFF_SRC, y),
            ])
        return y
    }
}

extension GradientBuilder {
    func transposedProduct(_ index: Int, _ node: Node, _ x: Memory) throws -> Memory {
        let (input, output) = (shapes[node.inputs[0]], shapes[index])
        let reverse = try compiler.reverse(node, input: input)
        let kernel = node.parameters[0]
        let weights = try weight(kernel, dims: compiler.kernelDims(reverse))
        let primitives = try compiler.transposedPrimitives(reverse, input, output)
        let y = try compiler.transposedStep(primitives.back, reverse, input, x) {
            try laidOut(weights, kernel, as: $0)
        }
        products[index] = (primitives.convolution, x, weights)
        guard let parameter = compiler.parameter(node, .bias) else { return y }
        let bias = try weight(parameter, dims: parameter.shape.dimensions)
        let broadcast = try Memory(
            .plain([1, output[1], 1, 1]), bias.buffer, compiler.engine)
        return try compiler.binary(dnnl_binary_add, y, broadcast, node.name)
    }

    func transposedProductBackward(_ index: Int, _ node: Node, _ dy: Memory) throws {
        guard let (convolution, x, kernel) = products[index] else { throw unsupported(node) }
        let (input, output) = (shapes[node.inputs[0]], shapes[index])
        let reverse = try compiler.reverse(node, input: input)
        if let slot = slots[node.parameters[0].name] {
            let primitive = try compiler.productPrimitive(
                reverse, dnnl_backward_weights, output, input, bias: false, hint: convolution)
            compiler.note(node, primitive, operations: compiler.operations(reverse, input))
            let source = try compiler.reordered(
                dy, to: try primitive.descriptor(dnnl_query_src_md))
            let target = try compiler.reordered(
                x, to: try primitive.descriptor(dnnl_query_diff_dst_md))
            let weights = try compiler.memory(try primitive.descriptor(dnnl_query_diff_weights_md))
            compiler.append(
                primitive,
                [
                    (DNNL_ARG_SRC, source), (DNNL_ARG_DIFF_DST, target),
                    (DNNL_ARG_DIFF_WEIGHTS, weights),
                ])
            try compiler.reorder(weights, into: slot.gradient)
        }
        if let slot = compiler.parameter(node, .bias).flatMap({ slots[$0.name] }) {
            let plain = try compiler.plain(dy, output.dimensions)
            compiler.append(node.name, "bias", uses: [plain]) {
                sumByChannel(plain.buffer, output, into: slot.gradient.buffer)
            }
        }
        guard learns[node.inputs[0]] else { return }
        compiler.note(node, convolution, operations: compiler.operations(reverse, input))
        let source = try compiler.reordered(
            dy, to: try convolution.descriptor(dnnl_query_src_md))
        let weights = try laidOut(
            kernel, node.parameters[0], as: try convolution.descriptor(dnnl_query_weights_md))
        let dx = try compiler.memory(try convolution.descriptor(dnnl_query_dst_md))
        compiler.append(
            convolution,
            [(DNNL_ARG_SRC, source), (DNNL_ARG_WEIGHTS, weights), (DNNL_ARG_DST, dx)])
        try accumulate(node.inputs[0], dx)
    }
}

/// The sums over samples and maps of row-major (N, C, H, W).
private func sumByChannel(_ values: Buffer, _ shape: Shape, into sums: Buffer) {
    let (channels, area) = (shape[1], shape[2] * shape[3])
    let source = values.floats(shape.count)
    let target = sums.floats(channels)
    for channel in 0..<channels {
        var sum = 0.0
        for sample in 0..<shape[0] {
            let start = (sample * channels + channel) * area
            for place in start..<(start + area) { sum += Double(source[place]) }
        }
        target[channel] = Float(sum)
    }
}
