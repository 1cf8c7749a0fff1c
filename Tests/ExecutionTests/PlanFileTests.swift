// What is kept and shared between plans: prepared weights in a file, lanes, and smaller numbers.

import Foundation
import GraftExecution
import GraftNetworks
import GraftTensors
import OrderedCollections
import Testing

@Suite struct PlanFileTests {
    /// Wide enough that the file is worth it, with weights that are counted when they are read.
    private func network() -> (Graph, StateDict) {
        var chain = Chain(channels: 3)
        chain.convolve(3, 256, Window(kernel: 3, padding: .all(1)), bias: false)
        chain.normalise(256)
        chain.add(.activation(.relu))
        chain.convolve(256, 256, Window(kernel: 3, padding: .all(1)))
        chain.add(.globalAveragePool(keepsDimensions: false))
        chain.add(.linear(outputs: 5, bias: true), nil, [[5, 256], [5]])
        return (chain.graph, chain.weights)
    }

    private final class Reads: @unchecked Sendable {
        private let lock = NSLock()
        private var names: [String] = []
        func note(_ name: String) { lock.withLock { names.append(name) } }
        var all: [String] { lock.withLock { names } }
    }

    private func counted(_ graph: Graph, _ weights: StateDict, _ reads: Reads) -> StateDict {
        var result = weights
        for name in graph.parameters.map(\.name) {
            guard let tensor = weights[name] else { continue }
            result[name] = LazyTensor(tensor.dtype, tensor.shape) {
                reads.note(name)
                return try tensor.load()
            }
        }
        return result
    }

    private func run(
        _ place: PlanFilePlace?, division: Division = .whole, precision: Precision = .f32
    ) throws -> (values: [Float], reads: [String]) {
        let (graph, weights) = network()
        var options = ExecutionOptions(precision: precision)
        options.planFile = place
        options.division = division
        let reads = Reads()
        let plan = try InferencePlan(
            graph: graph, weights: counted(graph, weights, reads), input: [3, 3, 14, 14],
            options: options)
        let input = Tensor(numbers(3 * 3 * 14 * 14), shape: [3, 3, 14, 14])
        _ = try plan.run(input)
        return (try plan.run(input)[0].floats, reads.all)
    }

    @Test func `A second plan maps the weights and reads none`() throws {
        let folder = NSTemporaryDirectory() + "graft-plan-\(UUID().uuidString)"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let place = PlanFilePlace(path: folder + "/a.plan", identity: "one")
        let plain = try run(nil)
        #expect(!plain.reads.isEmpty)
        let first = try run(place)
        #expect(first.values == plain.values)
        let second = try run(place)
        #expect(second.values == plain.values)
        #expect(second.reads.isEmpty)

        // Meant for another model: not used, and replaced.
        let other = try run(PlanFilePlace(path: place.path, identity: "two"))
        #expect(other.values == plain.values && !other.reads.isEmpty)
        #expect(try run(PlanFilePlace(path: place.path, identity: "two")).reads.isEmpty)

        // Damaged anywhere: what is wrong is made anew, and no value changes.
        let bytes = try Data(contentsOf: URL(fileURLWithPath: place.path))
        for at in [0, 9, 17, 25, 33, 45, 120, bytes.count / 3, bytes.count / 2, bytes.count - 200] {
            var damaged = bytes
            damaged[at] ^= 0x40
            try damaged.write(to: URL(fileURLWithPath: place.path))
            #expect(
                try run(PlanFilePlace(path: place.path, identity: "two")).values == plain.values,
                "byte \(at)")
        }
        for size in [0, 7, 39, 60, bytes.count / 2, bytes.count - 1] {
            try bytes.prefix(size).write(to: URL(fileURLWithPath: place.path))
            #expect(
                try run(PlanFilePlace(path: place.path, identity: "two")).values == plain.values,
                "cut to \(size)")
        }
        #expect(try run(PlanFilePlace(path: place.path, identity: "two")).reads.isEmpty)
        // A folder that is not there costs nothing but the file.
        let nowhere = PlanFilePlace(path: folder + "/none/a.plan", identity: "one")
        #expect(try run(nowhere).values == plain.values)
    }

    @Test func `Photo by photo gives what the whole batch gives`() throws {
        let whole = try run(nil)
        let divided = try run(nil, division: .photos)
        #expect(near(divided.values, whole.values, 1e-4))
        // The lanes share what the first of them has prepared.
        #expect(divided.reads.count <= whole.reads.count)
    }

    @Test func `bf16 is near f32 and not the same`() throws {
        let f32 = try run(nil).values
        let bf16 = try run(nil, precision: .bf16).values
        guard Precision.bf16.reasonOff == nil else {
            #expect(bf16 == f32)
            return
        }
        let largest = f32.map(abs).max() ?? 0
        #expect(bf16 != f32)
        #expect(zip(f32, bf16).allSatisfy { abs($0 - $1) < 2e-2 * largest })
    }
}
