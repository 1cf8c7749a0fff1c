// Attention by tiles of queries, with no matrix of scores in memory; its gradient computes them again.

import CKernels
import GraftNetworks
import GraftTensors

extension Op.Attention: ExecutableOp {
    /// Row-major queries, keys, values (or the one value of all three) and the bias.
    struct Saved {
        let sources: [Memory]
        let bias: Memory?
    }

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Saved> {
        let compiler = pass.compiler
        let sizes = try sizes(at: site)
        let sources = try site.inputs.indices.map { place in
            try compiler.plain(
                try pass.value(of: site.inputs[place]), of: site.inputTypes[place].shape)
        }
        let bias = sizes.bias == nil ? nil : sources.last
        let parts = Array(bias == nil ? sources[...] : sources.dropLast())
        let y = try compiler.memory(.plain(site.y.dimensions))
        let (work, threads) = (kernel(sizes), compiler.threads)
        let scratch = compiler.attentionScratch(for: work, isBackward: false)
        compiler.append(site.name, by: "attention", uses: sources + [y]) {
            guard let memory = scratch.floats else { return }
            var work = work
            let (q, k, v) = Self.places(of: parts, sizes, heads: heads)
            graft_attention_forward(&work, q, k, v, bias?.floats, y.floats, memory, threads)
        }
        return Outcome(y, saved: Saved(sources: parts, bias: bias))
    }

    func backward(
        from gradients: OutputGradients, saved: Saved, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        let compiler = pass.compiler
        let sizes = try sizes(at: site)
        let dy = try compiler.plain(try gradients.sum(), of: site.y)
        let results = try saved.sources.indices.map {
            try compiler.memory(.plain(site.inputTypes[$0].shape.dimensions))
        }
        // Samples that share a bias are rows of one axis.
        let shared = sizes.bias?[0] ?? 1
        let groups: Shape = [sizes.batch / shared, shared, heads, sizes.queries, sizes.keys]
        let wantsBias = saved.bias != nil && (site.inputs.last.map(pass.learns) ?? false)
        let dBias = wantsBias ? try compiler.memory(.plain(groups.dimensions)) : nil
        let (work, threads) = (kernel(sizes), compiler.threads)
        let scratch = compiler.attentionScratch(for: work, isBackward: true)
        let all = saved.sources + [saved.bias, dBias].compactMap(\.self) + results + [dy]
        compiler.append(site.name, by: "attention", uses: all) {
            guard let memory = scratch.floats else { return }
            var work = work
            let (q, k, v) = Self.places(of: saved.sources, sizes, heads: heads)
            let (dq, dk, dv) = Self.places(of: results, sizes, heads: heads)
            graft_attention_backward(
                &work, q, k, v, saved.bias?.floats, dy.floats, dq, dk, dv, dBias?.floats, memory,
                threads)
        }
        guard let bias = sizes.bias else { return results }
        let sum = try dBias.map {
            let value = try compiler.summed(
                $0, of: groups, to: Shape([1] + bias.dimensions), as: site.name)
            return try compiler.plain(
                value, of: Shape([1] + bias.dimensions),
                as: site.inputTypes[site.inputTypes.count - 1].shape)
        }
        return results + [sum]
    }

    /// The first numbers of queries, keys and values.
    private static func places(of parts: [Memory], _ sizes: Sizes, heads: Int) -> (
        UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>
    ) {
        guard sizes.isPacked else { return (parts[0].floats, parts[1].floats, parts[2].floats) }
        let first = parts[0].floats
        let width = heads * sizes.width
        return (first, first + width, first + 2 * width)
    }

    private func sizes(at site: NodeSite) throws -> Sizes {
        do {
            return try sizes(of: site.inputTypes)
        } catch {
            throw NetworkError.invalidNode(site.name, reason: error.explanation)
        }
    }

    private func kernel(_ sizes: Sizes) -> graft_attention {
        let share = sizes.isPacked ? 3 : 1
        let (key, value) = (heads * sizes.width * share, heads * sizes.valueWidth * share)
        let output = heads * sizes.valueWidth
        var kernel = graft_attention()
        (kernel.batch, kernel.heads) = (sizes.batch, heads)
        (kernel.queries, kernel.keys) = (sizes.queries, sizes.keys)
        (kernel.width, kernel.values) = (sizes.width, sizes.valueWidth)
        kernel.scale = scale ?? 1 / Float(sizes.width).squareRoot()
        kernel.is_causal = isCausal ? 1 : 0
        (kernel.q_sample, kernel.q_row) = (sizes.queries * key, key)
        (kernel.k_sample, kernel.k_row) = (sizes.keys * key, key)
        (kernel.v_sample, kernel.v_row) = (sizes.keys * value, value)
        (kernel.y_sample, kernel.y_row) = (sizes.queries * output, output)
        kernel.bias_samples = 1
        if let bias = sizes.bias {
            // An axis of one element is read again and again.
            let strides = zip(bias.rowMajorStrides, bias.dimensions).map { $1 == 1 ? 0 : $0 }
            (kernel.bias_samples, kernel.bias_sample) = (bias[0], strides[0])
            (kernel.bias_head, kernel.bias_query) = (strides[1], strides[2])
            kernel.bias_key = strides[3]
        }
        return kernel
    }
}

extension Compiler {
    /// The scratch memory, with room for the rows of scores of every thread.
    fileprivate func attentionScratch(for work: graft_attention, isBackward: Bool) -> Scratch {
        var work = work
        scratch.reserve(graft_attention_scratch_count(&work, isBackward ? 1 : 0) * threads)
        return scratch
    }
}
