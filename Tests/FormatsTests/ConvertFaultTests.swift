// Reading and writing weights on a disk that fails: an explained error, and no half-written file under the name.

import Foundation
import GraftFormats
import GraftSystem
import GraftTensors
import OrderedCollections
import Testing

@Suite struct ConvertFaultTests {
    static let formats: [(name: String, write: @Sendable (StateDict, String) throws -> Void)] = [
        ("x.safetensors", { try Safetensors.write($0, to: $1) }),
        ("x.npz", { try Npz.write($0, to: $1) }),
        ("x.pth", { try TorchWriter.write($0, to: $1) }),
    ]

    private var state: StateDict {
        StateDict([
            "a": LazyTensor(
                Tensor(.f32, [3, 1000], storage: Storage((0..<3000).map { Float($0) }))),
            "b": LazyTensor(Tensor(.i64, [2], storage: Storage([Int64(1), -1]))),
        ])
    }

    @Test(arguments: formats.indices, SystemCall.allCases)
    func aConversionAppearsWholeOrNotAtAll(_ format: Int, _ call: SystemCall) throws {
        let scratch = try Scratch()
        let (name, write) = Self.formats[format]
        let (input, output) = (scratch.path("in.safetensors"), scratch.path(name))
        try Safetensors.write(state, to: input)
        func convert() throws { try write(try Checkpoint.open(input), output) }
        let plan = FaultPlan(.failure(.inputOutput), at: call, number: .max, below: scratch.folder)
        try plan.whileInForce(convert)
        let whole = try #require(FileManager.default.contents(atPath: output))
        for number in 0..<plan.callCount {
            for fault in [
                FaultPlan.Fault.failure(.noSpace), .failure(.inputOutput), .failure(.interrupted),
                .shortCount,
            ] {
                try FileSystem.remove(output)
                let plan = FaultPlan(fault, at: call, number: number, below: scratch.folder)
                do {
                    try plan.whileInForce(convert)
                } catch {
                    #expect(error is FileError, "\(call) \(number): \(error)")
                    #expect(fault != .shortCount && fault != .failure(.interrupted))
                }
                if let found = FileManager.default.contents(atPath: output) {
                    #expect(found == whole, "\(call) \(number), \(fault)")
                }
                for file in FileSystem.names(in: scratch.folder) {
                    #expect(["in.safetensors", name].contains(file), "\(call) \(number)")
                }
            }
        }
        try convert()
        #expect(FileManager.default.contents(atPath: output) == whole)
    }
}
