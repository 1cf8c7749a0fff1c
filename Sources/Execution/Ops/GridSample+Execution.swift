// A map read at places between its pixels, and the gradient that goes back to them.

import GraftNetworks
import GraftTensors

extension Op.GridSample: ExecutableOp {
    /// The places.
    typealias Saved = Memory

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Memory> {
        let compiler = pass.compiler
        let shape = site.inputTypes[1].shape
        let x = try compiler.plain(try pass.value(of: site.inputs[0]), of: site.x)
        let grid = try compiler.plain(try pass.value(of: site.inputs[1]), of: shape)
        let y = try compiler.memory(.plain(site.y.dimensions))
        let sampler = Sampler(self, map: site.x, grid: shape)
        compiler.loop(site.name, uses: [x, grid, y]) {
            sampler.forEach(grid.floats) { sample, place, taps in
                for channel in 0..<sampler.channels {
                    let plane = x.floats + (sample * sampler.channels + channel) * sampler.area
                    var sum: Float = 0
                    for tap in taps { sum += plane[tap.place] * tap.weight }
                    y.floats[(sample * sampler.channels + channel) * sampler.places + place] = sum
                }
            }
        }
        return Outcome(y, saved: grid)
    }

    /// The gradient of the map; that of the places is not computed.
    func backward(
        from gradients: OutputGradients, saved grid: Memory, at site: NodeSite,
        in pass: BackwardPass
    ) throws -> [Memory?] {
        if pass.learns(site.inputs[1]) {
            throw ExecutionError.noGradient(layer: site.name, kind: "\(kind) (places)")
        }
        guard pass.learns(site.inputs[0]) else { return [nil, nil] }
        let compiler = pass.compiler
        let dy = try compiler.plain(try gradients.sum(), of: site.y)
        let dx = try compiler.memory(.plain(site.x.dimensions))
        let sampler = Sampler(self, map: site.x, grid: site.inputTypes[1].shape)
        let count = site.x.count
        compiler.loop(site.name, uses: [dy, grid, dx]) {
            dx.buffer.floats(count).update(repeating: 0)
            sampler.forEach(grid.floats) { sample, place, taps in
                for channel in 0..<sampler.channels {
                    let row = sample * sampler.channels + channel
                    let gradient = dy.floats[row * sampler.places + place]
                    let plane = dx.floats + row * sampler.area
                    for tap in taps { plane[tap.place] += gradient * tap.weight }
                }
            }
        }
        return [dx, nil]
    }
}

/// The pixels that make a number between them, with their weights.
private struct Sampler {
    let channels: Int
    let area: Int
    let places: Int
    private let samples: Int
    private let sizes: [Int]
    private let op: Op.GridSample

    init(_ op: Op.GridSample, map: Shape, grid: Shape) {
        self.op = op
        samples = map[0]
        channels = map[1]
        sizes = Array(map.dimensions[2...])
        area = sizes.reduce(1, *)
        places = grid.dimensions[1..<(grid.rank - 1)].reduce(1, *)
    }

    struct Tap {
        var place: Int
        var weight: Float
    }

    /// The taps of each place of each sample.
    func forEach(
        _ grid: UnsafePointer<Float>, _ body: (_ sample: Int, _ place: Int, _ taps: [Tap]) -> Void
    ) {
        let axes = sizes.count
        for sample in 0..<samples {
            for place in 0..<places {
                var taps = [Tap(place: 0, weight: 1)]
                for axis in 0..<axes {
                    // The grid names the last axis first.
                    let number = grid[(sample * places + place) * axes + axes - 1 - axis]
                    let own = self.taps(at: number, of: sizes[axis])
                    taps = taps.flatMap { tap in
                        own.map {
                            Tap(
                                place: tap.place * sizes[axis] + $0.place,
                                weight: tap.weight * $0.weight)
                        }
                    }
                }
                body(sample, place, taps)
            }
        }
    }

    /// The elements of one axis; none if all are outside and count nothing.
    private func taps(at number: Float, of size: Int) -> [Tap] {
        guard number.isFinite else { return [] }
        let half = Float(size) / 2
        var x =
            op.alignsCorners
            ? (number + 1) / 2 * Float(size - 1) : (number + 1) * half - 0.5
        // Interpolation of a cubic looks at the border for each of its samples.
        if op.mode != .cubic { x = bordered(x, of: size) }
        switch op.mode {
        case .nearest: return tap(at: x.rounded(.toNearestOrEven), weight: 1, of: size)
        case .linear:
            let low = x.rounded(.down)
            return tap(at: low, weight: 1 - (x - low), of: size)
                + tap(at: low + 1, weight: x - low, of: size)
        case .cubic:
            let low = x.rounded(.down)
            return zip(-1...2, cubic(x - low)).flatMap { offset, weight in
                tap(at: bordered(low + Float(offset), of: size), weight: weight, of: size)
            }
        }
    }

    private func tap(at place: Float, weight: Float, of size: Int) -> [Tap] {
        guard weight != 0, place >= 0, place < Float(size) else { return [] }
        return [Tap(place: Int(place), weight: weight)]
    }

    /// A place moved into the map by the rule of its border.
    private func bordered(_ x: Float, of size: Int) -> Float {
        let last = Float(size - 1)
        switch op.border {
        case .zeros: return x
        case .border: return min(max(x, 0), last)
        case .reflection:
            let (low, high): (Float, Float) = op.alignsCorners ? (0, last) : (-0.5, last + 0.5)
            guard high > low else { return 0 }
            let span = high - low
            let distance = abs(x - low).truncatingRemainder(dividingBy: 2 * span)
            let mirrored = distance > span ? 2 * span - distance : distance
            return min(max(mirrored + low, 0), last)
        }
    }

    /// Keys' kernel of coefficient −0.75 at the distances of four samples.
    private func cubic(_ t: Float) -> [Float] {
        let a: Float = -0.75
        func inner(_ d: Float) -> Float { ((a + 2) * d - (a + 3)) * d * d + 1 }
        func outer(_ d: Float) -> Float { ((a * d - 5 * a) * d + 8 * a) * d - 4 * a }
        return [outer(1 + t), inner(t), inner(1 - t), outer(2 - t)]
    }
}
