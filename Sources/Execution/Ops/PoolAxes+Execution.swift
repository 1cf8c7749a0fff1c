// Windows over any number of axes, one after another.

import GraftNetworks
import GraftTensors

extension Op.PoolAxes: ExecutableOp {
    /// The places of maxima in the planes of the input.
    typealias Saved = Memory?

    func forward(at site: NodeSite, in pass: ForwardPass) throws -> Outcome<Memory?> {
        let compiler = pass.compiler
        let x = try compiler.plain(try pass.value(of: site.inputs[0]), of: site.x)
        let y = try compiler.memory(.plain(site.y.dimensions))
        guard function == .maximum else {
            let function = function
            let windows = Windows(self, over: site.x)
            compiler.loop(site.name, uses: [x, y]) {
                windows.forEach { plane, window, inside, padded in
                    var sum: Float = 0
                    for place in inside { sum += x.floats[plane * windows.area + place] }
                    y.floats[plane * windows.count + window] =
                        sum / function.divisor(inside: inside.count, padded: padded)
                }
            }
            return Outcome(y, saved: nil)
        }
        let named = try compiler.memory(.plain(site.y.dimensions))
        let places = try compiler.memory(.plain(site.y.dimensions))
        let windows = Windows(self, over: site.x)
        compiler.loop(site.name, uses: [x, y, places, named]) {
            windows.forEach { plane, window, inside, _ in
                var best: Int?
                var largest = -Float.infinity
                for place in inside {
                    let value = x.floats[plane * windows.area + place]
                    if best == nil || value > largest || value.isNaN {
                        (best, largest) = (place, value)
                    }
                }
                let at = plane * windows.count + window
                y.floats[at] = largest
                places.floats[at] = Float(best ?? 0)
                named.floats[at] = Float(plane * windows.area + windows.named(best ?? 0))
            }
        }
        return Outcome([y, named], saved: places)
    }

    func backward(
        from gradients: OutputGradients, saved places: Memory?, at site: NodeSite,
        in pass: BackwardPass
    ) throws -> [Memory?] {
        guard pass.learns(site.inputs[0]), let gradient = try gradients.sum(output: 0) else {
            return [nil]
        }
        let compiler = pass.compiler
        let dy = try compiler.plain(gradient, of: site.y)
        let dx = try compiler.memory(.plain(site.x.dimensions))
        let windows = Windows(self, over: site.x)
        let (count, function) = (site.x.count, function)
        compiler.loop(site.name, uses: [dy, dx] + (places.map { [$0] } ?? [])) {
            dx.buffer.floats(count).update(repeating: 0)
            windows.forEach { plane, window, inside, padded in
                let at = plane * windows.count + window
                let base = dx.floats + plane * windows.area
                guard let places else {
                    let share =
                        dy.floats[at] / function.divisor(inside: inside.count, padded: padded)
                    for place in inside { base[place] += share }
                    return
                }
                base[Int(places.floats[at])] += dy.floats[at]
            }
        }
        return [dx]
    }
}

extension Op.PoolAxes.Function {
    /// The number that a sum of a window is divided by.
    fileprivate func divisor(inside: Int, padded: Int) -> Float {
        switch self {
        case .maximum, .sum: 1
        case .average: Float(max(inside, 1))
        case .averageOfPadded: Float(max(padded, 1))
        }
    }
}

/// The windows of a pool over each plane of its input.
private struct Windows {
    private let op: Op.PoolAxes
    private let planes: Int
    private let sizes: [Int]
    /// The elements of a plane.
    let area: Int
    /// The windows of a plane.
    let count: Int

    init(_ op: Op.PoolAxes, over x: Shape) {
        self.op = op
        planes = x[0] * x[1]
        sizes = Array(x.dimensions[2...])
        area = sizes.reduce(1, *)
        count = op.sizes.reduce(1, *)
    }

    /// A place as ONNX counts it.
    func named(_ place: Int) -> Int {
        guard op.countsColumnsFirst else { return place }
        var (rest, result, stride) = (place, 0, area)
        for size in sizes.reversed() {
            stride /= size
            result += rest % size * stride
            rest /= size
        }
        return result
    }

    /// The places of each window in its plane, and how many it has with the padding.
    func forEach(_ body: (_ plane: Int, _ window: Int, _ inside: [Int], _ padded: Int) -> Void) {
        for window in 0..<count {
            var inside = [0]
            var padded = 1
            var rest = window
            var starts = [Int](repeating: 0, count: sizes.count)
            for axis in sizes.indices.reversed() {
                starts[axis] = rest % op.sizes[axis] * op.strides[axis] - op.before[axis]
                rest /= op.sizes[axis]
            }
            for axis in sizes.indices {
                let places = (0..<op.kernel[axis]).map { starts[axis] + $0 * op.dilations[axis] }
                padded *= places.count { $0 < sizes[axis] + op.after[axis] }
                let own = places.filter { 0..<sizes[axis] ~= $0 }
                inside = inside.flatMap { base in own.map { base * sizes[axis] + $0 } }
            }
            for plane in 0..<planes { body(plane, window, inside, padded) }
        }
    }
}
