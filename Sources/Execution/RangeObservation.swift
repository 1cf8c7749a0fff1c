// Between which numbers the values of a network lie: what has to be known before they are told in eight bits.

import CDNNL
import CKernels
public import GraftNetworks
public import GraftTensors

/// Runs a network in f32 and looks at each value that a product reads or writes.
public final class RangeObservation {
    private let lane: Lane
    private let input: Shape
    private let output: Int
    private let magnitudes: Magnitudes

    /// For batches of this shape, (N, C, H, W).
    public init(graph: Graph, weights: StateDict, input: Shape, options: ExecutionOptions = .init())
        throws
    {
        var options = options
        options.precision = .f32
        options.planFile = nil
        self.input = input
        magnitudes = Magnitudes()
        output = try graph.shapes(input: input)[graph.output].count
        lane = try Lane(
            graph: graph, weights: weights, inputs: [ValueType(input)],
            outputs: [ValueID(graph.output)],
            options: options, planFile: nil, observer: magnitudes)
    }

    /// Takes one batch in.
    public func add(_ batch: Tensor) throws {
        guard batch.shape == input else {
            throw ExecutionError.input(expected: input, found: batch.shape)
        }
        let result = UnsafeMutablePointer<Float>.allocate(capacity: max(output, 1))
        defer { result.deallocate() }
        try batch.withFloats { source in
            guard let base = source.baseAddress else { return }
            try lane.run([base], into: [result])
        }
    }

    /// The range of each value seen, by the name of its node.
    public var ranges: [String: ValueRange] { magnitudes.ranges }
}

/// The counts of each value's numbers by magnitude, by the name of its node.
final class Magnitudes {
    private struct Histogram {
        static let binCount = 2048
        var lower = Float.infinity
        var upper = -Float.infinity
        var width: Float = 0
        var bins = [UInt64](repeating: 0, count: binCount)

        mutating func add(_ numbers: UnsafeBufferPointer<Float>) {
            var (low, high): (Float, Float) = (0, 0)
            graft_bounds(numbers.baseAddress, numbers.count, &low, &high)
            guard low <= high, low.isFinite, high.isFinite else { return }
            (lower, upper) = (min(lower, low), max(upper, high))
            let most = max(-low, high)
            guard most > 0 else { return }
            let count = Float(Self.binCount)
            // Never so small that doubling it stays at nothing.
            if width == 0 { width = max(most / count * 1.001, .leastNormalMagnitude) }
            while most >= width * count {
                width *= 2
                for at in 0..<Self.binCount {
                    bins[at] = 2 * at < Self.binCount ? bins[2 * at] + bins[2 * at + 1] : 0
                }
            }
            graft_count_magnitudes(numbers.baseAddress, numbers.count, width, &bins, bins.count)
        }

        /// The range whose 8-bit numbers are nearest to what was seen, by the mean square: a few large
        /// numbers are cut where that makes all others finer.
        var range: ValueRange {
            guard upper > 0 || lower < 0 else { return ValueRange(lower: 0, upper: 0) }
            let levels: Double = lower < 0 ? 127 : 255
            var (best, least) = (Self.binCount, Double.infinity)
            for end in stride(from: Self.binCount / 16, through: Self.binCount, by: 16) {
                // In units of a bin.
                let step = Double(end) / levels
                var error = 0.0
                for at in bins.indices where bins[at] > 0 {
                    let beyond = Double(at) + 0.5 - Double(end)
                    error += Double(bins[at]) * (beyond > 0 ? beyond * beyond : step * step / 12)
                }
                if error <= least { (best, least) = (end, error) }
            }
            let most = Float(best) * width
            return ValueRange(lower: max(lower, -most), upper: min(upper, most))
        }
    }
    private var histograms: [String: Histogram] = [:]

    var ranges: [String: ValueRange] { histograms.mapValues(\.range) }

    func add(_ numbers: UnsafeBufferPointer<Float>, to name: String) {
        histograms[name, default: Histogram()].add(numbers)
    }
}

extension Compiler {
    /// Looks at a value at this place of the plan.
    func observe(
        _ value: Memory, of shape: Shape, as name: String, by observer: Magnitudes
    ) throws {
        let numbers = try plain(value, of: shape)
        loop("observe", uses: [numbers]) {
            observer.add(UnsafeBufferPointer(numbers.buffer.floats(shape.count)), to: name)
        }
    }
}
