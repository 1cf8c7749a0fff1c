// Maps of another size: weighted sums of few samples along each axis.

import CKernels
import GraftNetworks
import GraftTensors

extension Op.Resize: ExecutableOp {
    struct Saved {
        let rows: Taps
        let columns: Taps
    }

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Saved> {
        let (x, y) = (site.x, site.y)
        let factors =
            switch target {
            case .sizes(let height, let width):
                (Double(height) / Double(x[2]), Double(width) / Double(x[3]))
            case .factors(let height, let width): (height, width)
            }
        let saved = Saved(
            rows: Taps(from: x[2], to: y[2], samples: { samples($0, of: x[2], by: factors.0) }),
            columns: Taps(from: x[3], to: y[3], samples: { samples($0, of: x[3], by: factors.1) }))
        let source = try pass.value(of: site.inputs[0])
        let tall = try pass.compiler.weighted(
            source, of: x, along: 2, by: saved.rows, as: site.name)
        let value = try pass.compiler.weighted(
            tall, of: [x[0], x[1], y[2], x[3]], along: 3, by: saved.columns, as: site.name)
        return Outcome(value, saved: saved)
    }

    func backward(
        from gradients: OutputGradients, saved: Saved, at site: NodeSite, in pass: BackwardPass
    ) throws -> [Memory?] {
        let (x, y) = (site.x, site.y)
        let wide = try pass.compiler.weighted(
            try gradients.sum(), of: y, along: 3, by: saved.columns.reversed(), as: site.name)
        return [
            try pass.compiler.weighted(
                wide, of: [x[0], x[1], y[2], x[3]], along: 2, by: saved.rows.reversed(),
                as: site.name)
        ]
    }

    /// The samples of an axis of `size` that make place `index` of the result, and their weights.
    private func samples(_ index: Int, of size: Int, by factor: Double) -> [(Int, Double)] {
        kernel.samples(
            around: coordinates.coordinate(of: index, in: size, by: factor), of: size, by: factor
        ).map { ($0.index, $0.weight) }
    }
}

/// For each place of a result, the samples along an axis that it is the weighted sum of.
final class Taps {
    let from: Int
    let to: Int
    private let lists: [[(Int, Double)]]
    private let first: UnsafeMutablePointer<Int32>
    private let sources: UnsafeMutablePointer<Int32>
    private let weights: UnsafeMutablePointer<Float>

    /// An axis of `from` samples that becomes one of `to`.
    convenience init(from: Int, to: Int, samples: (Int) -> [(Int, Double)]) {
        self.init(from: from, to: to, lists: (0..<to).map(samples))
    }

    private init(from: Int, to: Int, lists: [[(Int, Double)]]) {
        self.from = from
        self.to = to
        self.lists = lists
        let all = lists.flatMap(\.self)
        var starts: [Int32] = [0]
        for list in lists { starts.append(starts[starts.count - 1] + Int32(list.count)) }
        first = .allocate(capacity: starts.count)
        first.initialize(from: starts, count: starts.count)
        sources = .allocate(capacity: max(all.count, 1))
        sources.initialize(from: all.map { Int32($0.0) }, count: all.count)
        weights = .allocate(capacity: max(all.count, 1))
        weights.initialize(from: all.map { Float($0.1) }, count: all.count)
    }

    deinit {
        first.deallocate()
        sources.deallocate()
        weights.deallocate()
    }

    /// The other way: what each sample gives to the result, for gradients.
    func reversed() -> Taps {
        var back = [[(Int, Double)]](repeating: [], count: from)
        for (place, list) in lists.enumerated() {
            for (sample, weight) in list { back[sample].append((place, weight)) }
        }
        return Taps(from: to, to: from, lists: back)
    }

    /// As the kernel takes them, between axes of these sizes.
    func kernel(outer: Int, inner: Int) -> graft_taps {
        graft_taps(
            outer: outer, in: from, out: to, inner: inner, first: first, sources: sources,
            weights: weights)
    }
}

extension Compiler {
    /// Weighted sums along an axis.
    func weighted(
        _ x: Memory, of shape: Shape, along axis: Int, by taps: Taps, as name: String
    ) throws -> Memory {
        var target = shape
        target[axis] = taps.to
        let (outer, _, inner) = shape.split(at: axis)
        let threads = threads
        return try rowMajorLoop(name, reading: [(x, shape)], writing: target) { x, y in
            var kernel = taps.kernel(outer: outer, inner: inner)
            graft_weighted(&kernel, x[0].baseAddress, y.baseAddress, threads)
        }
    }
}
