// Convolution 3×3 with fewer multiplications: where graft's own kernel can do it, and the step.

import CDNNL
import CKernels
import GraftNetworks
import GraftTensors

extension Compiler {
    /// The work of a Winograd step; nil if the kernel cannot do this product.
    ///
    /// - Parameters:
    ///   - source: what goes in; `reversed`, the gradient of what comes out.
    ///   - transform: the side of a tile, 2 or 4, and how many tiles go through at a time.
    ///   - target: where the result lies, if that is settled.
    ///   - reversed: whether the step computes the gradient of what goes in: a convolution too, of the
    ///     gradient of what comes out with the weights turned, and with what is left of two for padding.
    func winograd(
        _ product: Product, source: Memory, activation: Activation? = nil,
        transform: ConvolutionChoice.Transform, target: MapLayout? = nil, reversed: Bool = false
    ) throws -> (work: graft_winograd, block: Int, y: MapLayout)? {
        let from = reversed ? product.output : product.input
        let to = reversed ? product.input : product.output
        guard let convolution = product.convolution, convolution.groups == 1,
            convolution.window.kernel == Extent(3, 3), convolution.window.stride == Extent(1, 1),
            convolution.window.dilation == Extent(1, 1),
            activation == nil || activation?.bounds != nil,
            let x = try mapLayout(source, of: from), x.order != .planes
        else { return nil }
        let y = target ?? MapLayout(to, x.order)
        let block = graft_vector_block(x.order == .blocks(8) ? 8 : 16)
        // A kernel for 8 channels at a time cannot read blocks of 16.
        guard block > 0, y.order == x.order, x.order == .channelsLast || x.block == block else {
            return nil
        }
        let before = self.window(
            convolution.window, input: product.input, output: product.output,
            extra: product.padding
        ).before
        let top = reversed ? 2 - before.0 : before.0
        let left = reversed ? 2 - before.1 : before.1
        guard min(before.0, before.1, top, left) >= 0 else { return nil }
        let bounds = activation?.bounds ?? (-.infinity, .infinity)
        var work = graft_winograd(
            n: from[0], channels: from[1], height: from[2], width: from[3], outputs: to[1],
            out_height: to[2], out_width: to[3], x: x.strides(block), y: y.strides(block),
            top: Int(top), left: Int(left), m: Int32(transform.side), tiles: transform.tiles,
            splits: 1, threads: threads, accumulate: 0, lower: bounds.0, upper: bounds.1)
        guard graft_winograd_fits(&work, block) != 0 else { return nil }
        divide(&work, by: transform, block: block)
        return (work, block, y)
    }

    /// Every thread has something to do: fewer tiles at a time, then parts of the outputs.
    private func divide(
        _ work: inout graft_winograd, by transform: ConvolutionChoice.Transform, block: Int
    ) {
        let side = transform.side
        let total =
            work.n * ((work.out_height + side - 1) / side) * ((work.out_width + side - 1) / side)
        let rows = block == 16 ? 12 : 6
        let share = (total + threads - 1) / threads
        work.tiles = min(transform.tiles, (share + rows - 1) / rows * rows)
        let blocks = (total + work.tiles - 1) / work.tiles
        if blocks < threads { work.splits = min(threads, work.outputs / (2 * block)) }
    }

    /// Appends the step. `target` holds the sum before it if `accumulate`.
    func appendWinograd(
        _ product: Product, work: graft_winograd, block: Int, source: Memory,
        weights: WinogradWeights, bias: Memory?, target: Memory, accumulate: Bool
    ) {
        var work = work
        work.accumulate = accumulate ? 1 : 0
        let settled = work
        scratch.reserve(
            graft_winograd_scratch_count(&work, block) * threads)
        let count = graft_winograd_weights_count(&work)
        var uses = [source, target]
        if case .moving(let kernel, _) = weights {
            uses.append(kernel)
            transformed.reserve(count)
        }
        let (scratch, transformed) = (scratch, transformed)
        append(
            product.name, by: "winograd:F\(work.m)x\(work.tiles)",
            operations: product.operations,
            uses: uses,
            bytes: source.descriptor.byteCount + target.descriptor.byteCount + count * 4
        ) {
            var w = settled
            guard let memory = scratch.floats else { return }
            let u: UnsafeMutablePointer<Float>?
            switch weights {
            case .kept(let buffer): u = buffer.floats(0).baseAddress
            case .moving(let kernel, let reversed):
                u = transformed.floats
                graft_winograd_weights(&w, block, kernel.floats, reversed ? 1 : 0, u)
            }
            graft_winograd_run(&w, block, source.floats, u, bias?.floats, target.floats, memory)
        }
    }
}

/// The weights of a Winograd step: transformed once, or at every run because they learn.
enum WinogradWeights {
    case kept(Buffer)
    /// Row-major; `reversed` where the step computes the gradient of what they belong to.
    case moving(Memory, reversed: Bool)
}
