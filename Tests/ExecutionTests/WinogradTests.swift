// Winograd's convolution against the sum that defines it: every tile, order of memory and edge.

import CKernels
import GraftExecution
import GraftNetworks
import GraftTensors
import Synchronization
import Testing

@Suite struct WinogradTests {
    /// A map (N, C, H, W) in memory: pixel, block and batch strides; `width` channels in all.
    private struct Map {
        let (n, c, h, w): (Int, Int, Int, Int)
        let width: Int
        let block: Int
        let channelsLast: Bool

        var count: Int { n * width * h * w }
        func at(_ n: Int, _ c: Int, _ y: Int, _ x: Int) -> Int {
            channelsLast
                ? ((n * h + y) * w + x) * width + c
                : (n * width + c / block * block) * h * w + (y * w + x) * block + c % block
        }
        var strides: graft_strides {
            graft_strides(
                pixel: channelsLast ? width : block, block: channelsLast ? block : h * w * block,
                batch: width * h * w)
        }
    }

    @Test(arguments: [2, 4], [8, 16])
    func `The kernel equals the sum that defines a convolution`(_ side: Int, _ block: Int) throws {
        // A processor without these instructions has no such kernel, and plans do without.
        guard graft_vector_block(block) == block else { return }
        for channelsLast in [false, true] {
            for (height, width, pad, splits, tiles) in [
                (7, 9, 1, 1, 12), (4, 4, 0, 2, 24), (13, 6, 1, 3, 5), (3, 3, 1, 1, 96),
            ] {
                let (n, c, k) = (2, 2 * block, 4 * block)
                let (oh, ow) = (height + 2 * pad - 2, width + 2 * pad - 2)
                let x = Map(
                    n: n, c: c, h: height, w: width, width: c + block, block: block,
                    channelsLast: channelsLast)
                let y = Map(
                    n: n, c: k, h: oh, w: ow, width: k + 2 * block, block: block,
                    channelsLast: channelsLast)
                let input = numbers(x.count, seed: 1)
                let weights = numbers(k * c * 9, seed: 2)
                let bias = numbers(k, seed: 3)
                let before = numbers(y.count, seed: 4)
                // The same weights as those of the convolution whose gradient this one is.
                var turned = weights
                for (k, c, at) in (0..<k).flatMap({ k in
                    (0..<c).flatMap { c in (0..<9).map { (k, c, $0) } }
                }) {
                    turned[(c * y.c + k) * 9 + 8 - at] = weights[(k * x.c + c) * 9 + at]
                }
                for (accumulate, reversed) in [(false, false), (true, false), (true, true)] {
                    var w = graft_winograd(
                        n: n, channels: c, height: height, width: width, outputs: k,
                        out_height: oh, out_width: ow, x: x.strides, y: y.strides, top: pad,
                        left: pad, m: Int32(side), tiles: tiles, splits: splits,
                        threads: 3, accumulate: accumulate ? 1 : 0, lower: -0.5, upper: 1.5)
                    #expect(graft_winograd_fits(&w, block) == 1)
                    var u = [Float](repeating: 0, count: graft_winograd_weights_count(&w))
                    graft_winograd_weights(
                        &w, block, reversed ? turned : weights, reversed ? 1 : 0, &u)
                    var scratch = [Float](
                        repeating: 0, count: graft_winograd_scratch_count(&w, block) * 3)
                    var output = before
                    graft_winograd_run(&w, block, input, u, bias, &output, &scratch)
                    var expected = before
                    var (error, largest) = (0.0, 0.0)
                    for n in 0..<n {
                        for k in 0..<k {
                            for row in 0..<oh {
                                for column in 0..<ow {
                                    var sum = Double(bias[k])
                                    let place = y.at(n, k, row, column)
                                    if accumulate { sum += Double(before[place]) }
                                    for c in 0..<c {
                                        for i in 0..<3 {
                                            for j in 0..<3 {
                                                let (r, s) = (row + i - pad, column + j - pad)
                                                guard (0..<height).contains(r),
                                                    (0..<width).contains(s)
                                                else { continue }
                                                sum +=
                                                    Double(input[x.at(n, c, r, s)])
                                                    * Double(
                                                        weights[((k * x.c + c) * 3 + i) * 3 + j])
                                            }
                                        }
                                    }
                                    largest = max(largest, abs(sum))
                                    expected[place] = Float(min(max(sum, -0.5), 1.5))
                                }
                            }
                        }
                    }
                    for (a, b) in zip(output, expected) { error = max(error, abs(Double(a - b))) }
                    // F(4×4) amplifies rounding: units in the sixth digit of the largest sum.
                    #expect(
                        error < (side == 4 ? 1e-5 : 2e-6) * largest,
                        "\(channelsLast) \(height) \(width) \(splits)")
                }
            }
        }
    }

    /// Choices that a test hands in, and those that a plan made.
    private final class Fixed: PlanMemory {
        let measures = true
        private let fixed: String?
        private let made = Mutex<[String: String]>([:])
        init(_ fixed: String?) { self.fixed = fixed }
        func choice(for key: String) -> String? { fixed ?? made.withLock { $0[key] } }
        func remember(_ choice: String, for key: String) { made.withLock { $0[key] = choice } }
        var count: Int { made.withLock { $0.count } }
    }

    /// conv → ReLU → conv → BatchNorm → sum → ReLU6, wide enough for the kernel.
    private func block() -> Chain {
        var chain = Chain(channels: 3)
        chain.convolve(3, 32, Window(kernel: 3, padding: .all(1)))
        let left = chain.add(.activation(.relu))
        chain.convolve(32, 32, Window(kernel: 3, padding: .all(1)), bias: false)
        let right = chain.normalise(32)
        chain.add(.add, [right, left])
        chain.add(.activation(.relu6))
        return chain
    }

    @Test(arguments: ["direct", "F2x24", "F4x12", "F4x96"])
    func `A choice is obeyed, and changes no value`(_ choice: String) throws {
        let plan = try block().check(
            [2, 3, 14, 11], options: ExecutionOptions(memory: Fixed(choice)))
        let transforms = plan.steps.filter {
            $0.algorithm.hasPrefix("winograd:" + choice.prefix(2))
        }
        let possible = graft_vector_block(16) > 0
        #expect(transforms.count == (possible && choice != "direct" ? 1 : 0))
    }

    @Test func `What was measured once is not measured again`() throws {
        guard graft_vector_block(16) > 0 else { return }
        let memory = Fixed(nil)
        let first = try block().check([1, 3, 9, 9], options: ExecutionOptions(memory: memory))
        #expect(memory.count == 1)
        let second = try block().check([1, 3, 9, 9], options: ExecutionOptions(memory: memory))
        #expect(memory.count == 1)
        #expect(first.steps.map(\.algorithm) == second.steps.map(\.algorithm))
    }

    @Test func `Exact plans transform nothing`() throws {
        let plan = try block().check(
            [1, 3, 16, 16], tolerance: 1e-5, options: ExecutionOptions(accuracy: .exact))
        #expect(!plan.steps.contains { $0.algorithm.hasPrefix("winograd") })
    }

    @Test func `A convolution writes its channels into the concatenation at once`() throws {
        var chain = Chain(channels: 3)
        var value = chain.convolve(3, 32, Window(kernel: 3, padding: .all(1)))
        for layer in 0..<3 {
            let new = chain.convolve(
                32 * (layer + 1), 32, Window(kernel: 3, padding: .all(1)), input: value)
            value = chain.add(.concatenate, [value, new])
        }
        chain.add(.globalAveragePool(keepsDimensions: false))
        let plan = try chain.check(
            [2, 3, 12, 12], options: ExecutionOptions(memory: Fixed("F4x12")))
        if graft_vector_block(16) > 0 {
            // The first two, which say how the whole lies, are copied once, and no others.
            #expect(plan.steps.count { $0.algorithm == "copy" } <= 2)
        }
    }

    @Test func `A list that grows, and one that two concatenations read`() throws {
        var chain = Chain(channels: 8)
        var parts = [chain.convolve(8, 16, Window(kernel: 1))]
        for _ in 0..<3 {
            let all = chain.add(.concatenate, parts)
            parts.append(chain.convolve(16 * parts.count, 16, Window(kernel: 1), input: all))
        }
        let last = chain.add(.concatenate, parts)
        let other = chain.add(.concatenate, [parts[1], last, parts[0]])
        chain.convolve(96, 8, Window(kernel: 1), input: other)
        try chain.check([2, 8, 5, 6])
    }
}
