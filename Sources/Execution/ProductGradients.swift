// Gradients of convolutions and fully connected layers: of their weights, and of what goes into them.

import CDNNL
import CKernels
import GraftNetworks
import GraftTensors

extension Compiler {
    /// The transform of a 3×3 convolution that learns and of its gradient; nil is the sum that defines
    /// it. No measurement has a say, so that a run continues bit for bit wherever it is taken up.
    func ruledTransform(_ product: Product) -> ConvolutionChoice.Transform? {
        guard product.convolution != nil, options.accuracy == .default else { return nil }
        return ConvolutionChoice.rule(from: product.input, to: product.output).transform
    }

    /// The gradients of a product's weights, and of its bias into `bias`, from what goes in and the
    /// gradient of what comes out; in `home` where one is given.
    func kernelGradient(
        _ product: Product, source: Memory, gradient dy: Memory, hint: Primitive, bias: Memory?,
        into home: Memory?
    ) throws -> Memory {
        let primitive = try primitive(
            product, direction: dnnl_backward_weights, bias: bias != nil, hint: hint)
        if let weights = try depthwiseGradient(
            product, source: source, gradient: dy, instead: primitive, bias: bias, into: home)
        {
            return weights
        }
        let layout = try primitive.descriptor(dnnl_query_diff_weights_md)
        let direct = home.flatMap { $0.descriptor == layout ? $0 : nil }
        let weights = try direct ?? memory(layout)
        var arguments = [
            (
                DNNL_ARG_SRC,
                try reordered(source, to: try primitive.descriptor(dnnl_query_src_md))
            ),
            (
                DNNL_ARG_DIFF_DST,
                try reordered(dy, to: try primitive.descriptor(dnnl_query_diff_dst_md))
            ),
            (DNNL_ARG_DIFF_WEIGHTS, weights),
        ]
        if let bias { arguments.append((DNNL_ARG_DIFF_BIAS, bias)) }
        append(primitive, with: arguments)
        if let home, direct == nil { try reorder(weights, into: home) }
        return weights
    }

    /// The same by graft's kernel for depthwise convolutions, where oneDNN has none of its own; nil
    /// where it has, or where graft's does not know the layer.
    private func depthwiseGradient(
        _ product: Product, source: Memory, gradient dy: Memory, instead: Primitive,
        bias: Memory?, into home: Memory?
    ) throws -> Memory? {
        let (input, output) = (product.input, product.output)
        guard let convolution = product.convolution, convolution.groups > 1,
            convolution.groups == input[1], convolution.groups == output[1],
            !instead.implementation.hasPrefix("jit"), !instead.implementation.hasPrefix("brg"),
            let layout = try mapLayout(source, of: input), layout.order != .planes
        else { return nil }
        let groups = convolution.groups
        let window = convolution.window
        let whole = groups % 16 == 0 ? 16 : 8
        let block = layout.order == .channelsLast ? whole : layout.block
        let to = MapLayout(output, layout.order)
        let geometry = self.window(window, input: input, output: output)
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
        let gradient = try reordered(dy, to: try to.descriptor())
        let plain = try Descriptor.plain(product.kernelDims)
        let direct = home.flatMap { $0.descriptor == plain ? $0 : nil }
        let weights = try direct ?? memory(plain)
        let sums = try memory(.plain([graft_depthwise_sums_count(&work)]))
        let engine = engine
        append(
            product.name, by: "depthwise:weights", operations: product.operations,
            uses: [source, gradient, weights, sums] + (bias.map { [$0] } ?? [])
        ) {
            try check(dnnl_stream_wait(engine.stream), "finish")
            var work = work
            graft_depthwise_weights(
                &work, source.floats, gradient.floats, weights.floats, bias?.floats, sums.floats)
        }
        if let home, direct == nil { try reorder(weights, into: home) }
        return weights
    }

    /// The gradient of what goes into a product; `weights` are asked for in the layout that is wanted.
    func inputGradient(
        _ product: Product, gradient dy: Memory, hint: Primitive,
        weights: (Descriptor) throws -> Memory
    ) throws -> Memory {
        let primitive = try primitive(
            product, direction: dnnl_backward_data, bias: false, hint: hint)
        let gradient = try reordered(dy, to: try primitive.descriptor(dnnl_query_diff_dst_md))
        if let transform = ruledTransform(product),
            let (work, block, layout) = try winograd(
                product, source: gradient, transform: transform, reversed: true)
        {
            let kernel = try weights(try .plain(product.kernelDims))
            let dx = try memory(layout)
            appendWinograd(
                product, work: work, block: block, source: gradient,
                weights: .moving(kernel, reversed: true), bias: nil, target: dx,
                accumulate: false)
            return dx
        }
        let kernel = try weights(try primitive.descriptor(dnnl_query_weights_md))
        let dx = try memory(try primitive.descriptor(dnnl_query_diff_src_md))
        append(
            primitive,
            with: [
                (DNNL_ARG_DIFF_DST, gradient), (DNNL_ARG_WEIGHTS, kernel),
                (DNNL_ARG_DIFF_SRC, dx),
            ])
        return dx
    }
}
