// Gradients of convolutions and fully connected layers: of their weights, and of what goes into them.

import CDNNL
import CKernels
import GraftNetworks
import GraftTensors

extension GradientBuilder {
    /// How a 3×3 convolution and its gradient are computed: nil is as the sum that defines it. No
    /// measurement has a say, so that a run goes on bit for bit wherever it is taken up.
    private func transform(_ node: Node, _ output: Shape) -> ConvolutionChoice.Transform? {
        guard case .conv2d = node.op, compiler.options.accuracy == .default else { return nil }
        return ConvolutionChoice.rule(shapes[node.inputs[0]], output).transform
    }

    /// Appends a product forward, by graft's transforms or by the primitive, which backward needs in
    /// any case. `weights` are asked for in the layout that is wanted, and so is `room`, which holds the
    /// sum before it where there is one.
    /// - Returns: what went in as it was read, and what came out.
    func forwardProduct(
        _ node: Node, _ source: Memory, _ output: Shape, _ primitive: Primitive, bias: Memory?,
        activation: Activation? = nil, accumulates: Bool = false,
        weights: (Descriptor) throws -> Memory, room: (Descriptor, MapLayout?) throws -> Memory
    ) throws -> (source: Memory, y: Memory) {
        if let transform = transform(node, output),
            let (work, block, layout) = try compiler.winograd(
                node, source, shapes[node.inputs[0]], output, activation: activation,
                transform: transform)
        {
            let kernel = try weights(try .plain(compiler.kernelDims(node)))
            let y = try room(try layout.descriptor(), layout)
            compiler.appendWinograd(
                node, output, work: work, block: block, source: source,
                weights: .moving(kernel, reversed: false), bias: bias, target: y,
                accumulate: accumulates)
            return (source, y)
        }
        compiler.note(node, primitive, operations: compiler.operations(node, output))
        let x = try compiler.reordered(source, to: try primitive.descriptor(dnnl_query_src_md))
        let kernel = try weights(try primitive.descriptor(dnnl_query_weights_md))
        let y = try room(try primitive.descriptor(dnnl_query_dst_md), nil)
        var arguments = [(DNNL_ARG_SRC, x), (DNNL_ARG_WEIGHTS, kernel), (DNNL_ARG_DST, y)]
        if let bias { arguments.append((DNNL_ARG_BIAS, bias)) }
        compiler.append(primitive, arguments)
        return (x, y)
    }

    /// Compiles the gradients of a product that nothing is fused with.
    func productBackward(_ index: Int, _ node: Node, _ dy: Memory) throws {
        guard let (forward, source, kernel) = products[index] else { throw unsupported(node) }
        let weightSlot = slots[node.parameters[0].name]
        let biasSlot = compiler.parameter(node, .bias).flatMap { slots[$0.name] }
        let shape = shapes[index]
        if weightSlot != nil || biasSlot != nil {
            _ = try kernelGradient(
                node, source, dy, shape, hint: forward, bias: biasSlot?.gradient,
                into: weightSlot?.gradient)
        }
        guard learns[node.inputs[0]] else { return }
        try inputGradient(node, dy, shape, hint: forward) {
            try laidOut(kernel, node.parameters[0], as: $0)
        }
    }

    /// The gradients of a product's weights, and of its bias into `bias`, from what goes in and the
    /// gradient of what comes out; in `home` where one is given.
    func kernelGradient(
        _ node: Node, _ source: Memory, _ dy: Memory, _ output: Shape, hint: Primitive,
        bias: Memory?, into home: Memory?
    ) throws -> Memory {
        let input = shapes[node.inputs[0]]
        let primitive = try compiler.productPrimitive(
            node, dnnl_backward_weights, input, output, bias: bias != nil, hint: hint)
        if let weights = try depthwiseGradient(
            node, source, dy, output, instead: primitive, bias: bias, into: home)
        {
            return weights
        }
        compiler.note(node, primitive, operations: compiler.operations(node, output))
        let layout = try primitive.descriptor(dnnl_query_diff_weights_md)
        let direct = home.flatMap { $0.descriptor == layout ? $0 : nil }
        let weights = try direct ?? compiler.memory(layout)
        var arguments = [
            (
                DNNL_ARG_SRC,
                try compiler.reordered(source, to: try primitive.descriptor(dnnl_query_src_md))
            ),
            (
                DNNL_ARG_DIFF_DST,
                try compiler.reordered(dy, to: try primitive.descriptor(dnnl_query_diff_dst_md))
            ),
            (DNNL_ARG_DIFF_WEIGHTS, weights),
        ]
        if let bias { arguments.append((DNNL_ARG_DIFF_BIAS, bias)) }
        compiler.append(primitive, arguments)
        if let home, direct == nil { try compiler.reorder(weights, into: home) }
        return weights
    }

    /// The same by graft's kernel for depthwise convolutions, where oneDNN has none of its own; nil
    /// where it has, or where graft's does not know the layer.
    private func depthwiseGradient(
        _ node: Node, _ source: Memory, _ dy: Memory, _ output: Shape, instead: Primitive,
        bias: Memory?, into home: Memory?
    ) throws -> Memory? {
        let input = shapes[node.inputs[0]]
        guard case .conv2d(let convolution) = node.op, convolution.groups > 1,
            convolution.groups == input[1], convolution.groups == output[1],
            !instead.implementation.hasPrefix("jit"), !instead.implementation.hasPrefix("brg"),
            let layout = try compiler.mapLayout(source, input), layout.order != .planes
        else { return nil }
        let groups = convolution.groups
        let window = convolution.window
        let block = layout.order == .channelsLast ? (groups % 16 == 0 ? 16 : 8) : layout.block
        let to = MapLayout(output, layout.order)
        let geometry = compiler.window(window, input: input, output: output)
        guard layout.order != .channelsLast || groups % block == 0, geometry.before.0 >= 0,
            geometry.before.1 >= 0
        else { return nil }
        var work = graft_depthwise(
            n: input[0], channels: groups, height: input[2], width: input[3],
            out_height: output[2], out_width: output[3], kernel_h: window.kernel.height,
            kernel_w: window.kernel.width, stride_h: window.stride.height,
            stride_w: window.stride.width, dilation_h: window.dilation.height,
            dilation_w: window.dilation.width, top: Int(geometry.before.0),
            left: Int(geometry.before.1), block: block, x: layout.strides(block),
            y: to.strides(block))
        guard graft_depthwise_fits(&work) != 0 else { return nil }
        let gradient = try compiler.reordered(dy, to: try to.descriptor())
        let plain = try Descriptor.plain(compiler.kernelDims(node))
        let direct = home.flatMap { $0.descriptor == plain ? $0 : nil }
        let weights = try direct ?? compiler.memory(plain)
        let sums = try compiler.memory(.plain([graft_depthwise_sums_count(&work)]))
        let engine = compiler.engine
        compiler.append(
            node.name, "depthwise:weights", operations: compiler.operations(node, output),
            uses: [source, gradient, weights, sums] + (bias.map { [$0] } ?? [])
        ) {
            try check(dnnl_stream_wait(engine.stream), "finish")
            var work = work
            graft_depthwise_weights(
                &work, source.floats, gradient.floats, weights.floats, bias?.floats, sums.floats)
        }
        if let home, direct == nil { try compiler.reorder(weights, into: home) }
        return weights
    }

    /// The gradient of what goes into a product; `weights` are asked for in the layout that is wanted.
    func inputGradient(
        _ node: Node, _ dy: Memory, _ output: Shape, hint: Primitive,
        weights: (Descriptor) throws -> Memory
    ) throws {
        let input = shapes[node.inputs[0]]
        let primitive = try compiler.productPrimitive(
            node, dnnl_backward_data, input, output, bias: false, hint: hint)
        let gradient = try compiler.reordered(
            dy, to: try primitive.descriptor(dnnl_query_diff_dst_md))
        if let transform = transform(node, output),
            let (work, block, layout) = try compiler.winograd(
                node, gradient, input, output, transform: transform, reversed: true)
        {
            let kernel = try weights(try .plain(compiler.kernelDims(node)))
            let dx = try compiler.memory(layout)
            compiler.appendWinograd(
                node, output, work: work, block: block, source: gradient,
                weights: .moving(kernel, reversed: true), bias: nil, target: dx,
                accumulate: false)
            return try accumulate(node.inputs[0], dx)
        }
        compiler.note(node, primitive, operations: compiler.operations(node, output))
        let kernel = try weights(try primitive.descriptor(dnnl_query_weights_md))
        let dx = try compiler.memory(try primitive.descriptor(dnnl_query_diff_src_md))
        compiler.append(
            primitive,
            [
                (DNNL_ARG_DIFF_DST, gradient), (DNNL_ARG_WEIGHTS, kernel),
                (DNNL_ARG_DIFF_SRC, dx),
            ])
        try accumulate(node.inputs[0], dx)
    }
}
