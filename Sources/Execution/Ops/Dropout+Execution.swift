// Elements zeroed while learning: a mask that depends on the seed of the step and on nothing else.

import CKernels
import GraftNetworks
import GraftTensors

extension Op.Dropout: ExecutableOp {
    /// The mask; nil in inference.
    typealias Saved = Mask?

    var role: FusionRole { .dropping }

    /// The factors of dropout, in the layout of the map.
    struct Mask {
        let layout: MapLayout
        let factors: Buffer
        let count: Int
        static let stride: UInt64 = 0x9E37_79B9_7F4A_7C15

        /// Draws it. A number's factor depends on its place in the whole batch alone, of which
        /// process `rank` of `count` has every `count`th row: neither on how many there are nor on
        /// the order that a processor likes maps in.
        func draw(seed: UInt64, rate: Float, rank: Int, of count: Int) {
            let (loop, kept) = (layout.loop, 1 / (1 - rate))
            let target = factors.pointer.assumingMemoryBound(to: Float.self) + layout.offset
            let size = loop.channels * loop.area
            for row in 0..<loop.n {
                var state = seed &+ UInt64((row * count + rank) * size) &* Self.stride
                for channel in 0..<loop.channels {
                    let block = channel / loop.block * loop.block * loop.area
                    let start = row * loop.batch_stride + block + channel % loop.block
                    for place in 0..<loop.area {
                        // SplitMix64 (Steele et al. 2014).
                        state &+= Self.stride
                        var z = state
                        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
                        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
                        let unit = Float((z ^ (z >> 31)) >> 40) * 0x1p-24
                        target[start + place * loop.pixel] = unit < rate ? 0 : kept
                    }
                }
            }
        }
    }

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Mask?> {
        guard let learning = pass.learning else {
            return Outcome(pass.stored(site.inputs[0]), saved: nil)
        }
        let compiler = pass.compiler
        let (source, layout) = try compiler.regular(
            try pass.value(of: site.inputs[0]), of: site.y)
        let y = try compiler.memory(layout)
        let count = try layout.descriptor().byteCount / 4
        let mask = Mask(layout: layout, factors: Buffer(byteCount: count * 4), count: count)
        let (index, rate) = (site.index, rate)
        compiler.loop(site.name, uses: [source, y]) {
            let factors = mask.factors.floats(count)
            if let seed = learning.dropoutSeed {
                mask.draw(
                    seed: seed &+ UInt64(index) &* Mask.stride, rate: rate,
                    rank: learning.joint?.rank ?? 0, of: learning.joint?.count ?? 1)
            } else {
                factors.update(repeating: 1)
            }
            let (from, to) = (source.buffer.floats(count), y.buffer.floats(count))
            for element in 0..<count { to[element] = from[element] * factors[element] }
        }
        return Outcome(y, saved: mask)
    }

    func backward(
        from gradients: OutputGradients, saved: Mask?, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        guard let mask = saved, pass.learns(site.inputs[0]) else { return [nil] }
        let compiler = pass.compiler
        let gradient = try compiler.reordered(
            try gradients.sum(), to: try mask.layout.descriptor())
        let dx = try compiler.memory(mask.layout)
        let count = mask.count
        compiler.loop(site.name, uses: [gradient, dx]) {
            let (g, m) = (gradient.buffer.floats(count), mask.factors.floats(count))
            let d = dx.buffer.floats(count)
            for element in 0..<count { d[element] = g[element] * m[element] }
        }
        return [dx]
    }
}
