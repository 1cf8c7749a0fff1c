// Transposed convolution: a convolution's gradient as the forward step, and the other way round.

import CDNNL
import GraftNetworks
import GraftTensors

extension Op.ConvTranspose2d: ExecutableOp {
    struct Saved {
        /// The convolution that leads from the output to the input.
        let reverse: Product
        let convolution: Primitive
        let source: Memory
        let kernel: Memory
    }

    func dims(of parameter: Parameter) -> [Int] {
        guard parameter.shape.rank == 4 else { return parameter.shape.dimensions }
        return Product.kernelDims(parameter.shape, groups: groups)
    }

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Saved> {
        let compiler = pass.compiler
        let reverse = Product(
            name: site.name, convolution: .init(window: window, groups: groups),
            kernel: try site.kernel(), bias: nil, input: site.y, output: site.x)
        let kernel = try pass.weight(reverse.kernel, dims: reverse.kernelDims)
        let convolution = try compiler.primitive(
            reverse, direction: dnnl_forward_training, bias: false)
        let back = try compiler.primitive(
            reverse, direction: dnnl_backward_data, bias: false, hint: convolution)
        let x = try pass.value(of: site.inputs[0])
        let source = try compiler.reordered(x, to: try back.descriptor(dnnl_query_diff_dst_md))
        let weights = try laidOut(
            kernel, of: reverse, as: try back.descriptor(dnnl_query_weights_md),
            learns: pass.learning?.slots[reverse.kernel.name] != nil, in: compiler)
        var y = try compiler.memory(try back.descriptor(dnnl_query_diff_src_md))
        compiler.append(
            back,
            with: [
                (DNNL_ARG_DIFF_DST, source), (DNNL_ARG_WEIGHTS, weights), (DNNL_ARG_DIFF_SRC, y),
            ])
        if let parameter = site.parameter(.bias) {
            y = try biased(y, parameter, at: site, in: pass)
        }
        return Outcome(
            y, saved: Saved(reverse: reverse, convolution: convolution, source: x, kernel: kernel))
    }

    /// y + b by channel.
    private func biased(
        _ y: Memory, _ parameter: Parameter, at site: NodeSite, in pass: ForwardPass
    ) throws -> Memory {
        guard let slot = pass.learning?.slots[parameter.name] else {
            let bias = try pass.compiler.weight(parameter)
            return try pass.compiler.channelAffine(
                y, of: site.y, scale: [1], shift: bias, as: site.name)
        }
        let broadcast = try Memory(
            .plain([1, site.y[1], 1, 1]), in: slot.value.buffer, of: pass.compiler.engine)
        return try pass.compiler.binary(dnnl_binary_add, y, with: broadcast, as: site.name)
    }

    /// The kernel as a primitive reads it: at every step if it learns.
    private func laidOut(
        _ kernel: Memory, of reverse: Product, as layout: Descriptor, learns: Bool,
        in compiler: Compiler
    ) throws -> Memory {
        learns
            ? try compiler.reordered(kernel, to: layout) : try compiler.prepared(kernel, as: layout)
    }

    func backward(
        from gradients: OutputGradients, saved: Saved, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        let (compiler, reverse) = (pass.compiler, saved.reverse)
        let dy = try gradients.sum()
        if let home = pass.gradient(of: reverse.kernel) {
            let primitive = try compiler.primitive(
                reverse, direction: dnnl_backward_weights, bias: false, hint: saved.convolution)
            let source = try compiler.reordered(
                dy, to: try primitive.descriptor(dnnl_query_src_md))
            let target = try compiler.reordered(
                saved.source, to: try primitive.descriptor(dnnl_query_diff_dst_md))
            let weights = try compiler.memory(try primitive.descriptor(dnnl_query_diff_weights_md))
            compiler.append(
                primitive,
                with: [
                    (DNNL_ARG_SRC, source), (DNNL_ARG_DIFF_DST, target),
                    (DNNL_ARG_DIFF_WEIGHTS, weights),
                ])
            try compiler.reorder(weights, into: home)
        }
        if let home = pass.gradient(of: site.parameter(.bias)) {
            let plain = try compiler.plain(dy, of: site.y)
            let shape = site.y
            compiler.loop(site.name, uses: [plain]) {
                sumByChannel(
                    plain.buffer.floats(shape.count), shape,
                    into: home.buffer.floats(shape[1]))
            }
        }
        guard pass.learns(site.inputs[0]) else { return [nil] }
        let convolution = saved.convolution
        let source = try compiler.reordered(
            dy, to: try convolution.descriptor(dnnl_query_src_md))
        let weights = try laidOut(
            saved.kernel, of: reverse, as: try convolution.descriptor(dnnl_query_weights_md),
            learns: pass.gradient(of: reverse.kernel) != nil, in: compiler)
        let dx = try compiler.memory(try convolution.descriptor(dnnl_query_dst_md))
        compiler.append(
            convolution,
            with: [(DNNL_ARG_SRC, source), (DNNL_ARG_WEIGHTS, weights), (DNNL_ARG_DST, dx)])
        return [dx]
    }
}

/// The sums over samples and maps of row-major (N, C, H, W).
private func sumByChannel(_ values: Floats, _ shape: Shape, into sums: Floats) {
    let (channels, area) = (shape[1], shape[2] * shape[3])
    for channel in 0..<channels {
        var sum = 0.0
        for sample in 0..<shape[0] {
            let start = (sample * channels + channel) * area
            for place in start..<(start + area) { sum += Double(values[place]) }
        }
        sums[channel] = Float(sum)
    }
}
