// What graft writes it reads back, whole or not at all.

import Foundation
import GraftFormats
import GraftTensors
import OrderedCollections
import Testing

struct WritingTests {
    private struct Refusal: Error {}

    @Test func safetensorsKeepsOrderTypesAndText() throws {
        let scratch = try Scratch()
        let path = scratch.path("out.safetensors")
        var state = StateDict(metadata: ["note": "a \"quoted\" line\nand \u{1}"])
        state["half"] = LazyTensor(Tensor(quarters(3), shape: [3])).converted(to: .f16)
        state["whole"] = LazyTensor(Tensor(quarters(4), shape: [2, 2]))
        try Safetensors.write(state, to: path)
        let back = try Safetensors.read(path)
        #expect(Array(back.tensors.keys) == ["half", "whole"])
        #expect(back.metadata == state.metadata)
        #expect(back["half"]?.dtype == .f16)
        #expect(try back["whole"]?.load().floats == quarters(4))
        let first = try Data(contentsOf: URL(filePath: path))
        #expect(first[0] % 8 == 0)
    }

    @Test func arraysComeBack() throws {
        let scratch = try Scratch()
        let tensor = Tensor(quarters(6), shape: [2, 3])
        try Npy.write(tensor, to: scratch.path("a.npy"))
        #expect(try Npy.read(scratch.path("a.npy")).floats == tensor.floats)
        try Npz.write(
            StateDict(["x/y": LazyTensor(tensor), "b": LazyTensor(tensor).converted(to: .bf16)]),
            to: scratch.path("a.npz"))
        let back = try Npz.read(scratch.path("a.npz"))
        #expect(try back["x/y"]?.load().floats == tensor.floats)
        #expect(back["b"]?.dtype == .f32)
    }

    @Test func aFailureLeavesNothingBehind() throws {
        let scratch = try Scratch()
        let broken = LazyTensor(.f32, [2]) { throw Refusal() }
        for name in ["a.safetensors", "a.npz"] {
            #expect(throws: (any Error).self) {
                if name.hasSuffix("npz") {
                    try Npz.write(StateDict(["t": broken]), to: scratch.path(name))
                } else {
                    try Safetensors.write(StateDict(["t": broken]), to: scratch.path(name))
                }
            }
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.folder).isEmpty)
    }

    @Test func theReservedNameIsRefused() throws {
        let scratch = try Scratch()
        let state = StateDict(["__metadata__": LazyTensor(Tensor([1], shape: [1]))])
        #expect(throws: FormatError.self) {
            try Safetensors.write(state, to: scratch.path("a.safetensors"))
        }
    }

    /// Every type and odd shape through each writer and back.
    @Test(arguments: ["safetensors", "npz", "pth", "h5"])
    func everyTypeComesBack(_ ending: String) throws {
        let scratch = try Scratch()
        let path = scratch.path("all.\(ending)")
        var state = StateDict()
        for dtype in DType.allCases {
            let isSmall = dtype.isFloatingPoint && dtype.bitCount <= 8
            if ending == "h5", isSmall || dtype == .c64 { continue }
            if ending == "pth", dtype.isPacked { continue }
            // A row of packed elements has to end with a byte.
            let odd: [Shape] = dtype.isPacked ? [[8]] : [[], [5]]
            for shape: Shape in odd + [[0, 3], [1, 2, 3, 1, 2]] {
                let count = try #require(shape.checkedByteCount(dtype))
                let bytes = Storage(byteCount: count) { target in
                    for index in target.indices { target[index] = UInt8(index & 1) }
                }
                state["layer/\(dtype.rawValue)-\(shape.rank)"] = LazyTensor(
                    Tensor(dtype, shape, storage: bytes))
            }
        }
        switch ending {
        case "safetensors": try Safetensors.write(state, to: path)
        case "npz": try Npz.write(state, to: path)
        case "pth": try TorchWriter.write(state, to: path)
        default: try KerasWriter.writeLegacy(state, to: path)
        }
        let back = try Checkpoint.open(path, isolation: Fixture.isolation)
        #expect(Array(back.tensors.keys) == Array(state.tensors.keys))
        for (name, tensor) in state.tensors {
            let found = try #require(back[name])
            if ending == "npz",
                tensor.dtype == .bf16 || tensor.dtype.isFloatingPoint && tensor.dtype.bitCount <= 8
            {
                #expect(found.dtype == .f32)
                continue
            }
            #expect(found.dtype == tensor.dtype && found.shape == tensor.shape, "\(name)")
            let numbers = try found.load().withBytes { Array($0) }
            #expect(try tensor.load().withBytes { Array($0) } == numbers, "\(name)")
        }
    }

    @Test func keras3LayersComeBackByName() throws {
        let scratch = try Scratch()
        let kernel = LazyTensor(Tensor(quarters(6), shape: [1, 1, 3, 2]))
        let layers = [
            KerasLayer(name: "input", className: "input_layer", weights: []),
            KerasLayer(name: "stem", className: "conv2d", weights: [("kernel", kernel)]),
            KerasLayer(name: "next", className: "conv2d", weights: [("kernel", kernel)]),
        ]
        try KerasWriter.writeWeights(layers, to: scratch.path("a.weights.h5"))
        try KerasWriter.writeArchive(layers, config: "{}", to: scratch.path("a.keras"))
        for name in ["a.weights.h5", "a.keras"] {
            let back = try Checkpoint.open(scratch.path(name), isolation: Fixture.isolation)
            #expect(Array(back.tensors.keys) == ["stem/kernel", "next/kernel"])
            #expect(try back["next/kernel"]?.load().floats == quarters(6))
        }
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: scratch.folder).sorted() == [
                "a.keras", "a.weights.h5",
            ])
    }

    @Test func shardsHoldEveryTensorOnce() throws {
        let scratch = try Scratch()
        var state = StateDict()
        for index in 0..<5 {
            state["t\(index)"] = LazyTensor(Tensor(quarters(25), shape: [25]))
        }
        let paths = try Safetensors.write(
            state, to: scratch.path("m.safetensors"), shardByteCount: 200)
        #expect(paths.count == 4)
        #expect(paths[2].hasSuffix("m-00003-of-00003.safetensors"))
        let names = try paths.dropLast().flatMap { try Safetensors.read($0).tensors.keys }
        #expect(names == ["t0", "t1", "t2", "t3", "t4"])
    }

    /// A transposed or converted tensor is written in pieces that give the whole.
    @Test func piecesAreTheWhole() throws {
        let tensor = LazyTensor(Tensor(quarters(2 * 3 * 4), shape: [2, 3, 4]))
        for lazy in [tensor.permuted([2, 0, 1]), tensor.permuted([1, 2, 0]).converted(to: .f16)] {
            var pieces: [UInt8] = []
            try lazy.stream { pieces += Array($0) }
            #expect(try lazy.load().withBytes { Array($0) } == pieces)
        }
    }

    /// Every exponent and the ties between halves, there and back.
    @Test func halvesAreRoundedAsSwiftRounds() {
        var values: [Float] = []
        for high in UInt32(0)...0xFFFF {
            for low: UInt32 in [0, 1, 0x0FFF, 0x1000, 0x1001] where high % 2 == 0 || low < 2 {
                values.append(Float(bitPattern: high << 16 | low))
            }
        }
        let halves = Tensor(values, shape: [values.count]).converted(to: .f16)
        let wrong = halves.withBytes { bytes in
            values.indices.first { index in
                let found = bytes.loadUnaligned(fromByteOffset: index * 2, as: UInt16.self)
                let expected = Float16(values[index])
                return expected.isNaN
                    ? !Float16(bitPattern: found).isNaN : found != expected.bitPattern
            }
        }
        #expect(wrong == nil, "\(wrong.map { values[$0] } ?? 0)")
        let back = halves.converted(to: .f32)
        let wider = halves.floats
        #expect(
            zip(back.floats, wider).allSatisfy { $0 == $1 || ($0.isNaN && $1.isNaN) })
    }

    @Test func safetensorsKeepTheOrderOfAxes() throws {
        let scratch = try Scratch()
        let state = StateDict(
            ["conv/kernel": LazyTensor(Tensor(quarters(4), shape: [1, 1, 2, 2]))],
            metadata: ["a": "b"], axes: .keras)
        try Safetensors.write(state, to: scratch.path("a.safetensors"))
        let back = try Safetensors.read(scratch.path("a.safetensors"))
        #expect(back.axes == .keras)
        #expect(back.metadata == ["a": "b"])
    }
}
