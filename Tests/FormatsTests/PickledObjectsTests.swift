// Checkpoints of training programs: what is no tensor stays opaque, and the tensors beside it are read.

import Foundation
import GraftFormats
import GraftTensors
import OrderedCollections
import Testing

/// Writes pickles of protocol 4 by hand.
private struct Pickle {
    var bytes: [UInt8] = [0x80, 4]

    static func text(_ text: String) -> [UInt8] {
        [0x8C, UInt8(text.utf8.count)] + Array(text.utf8)
    }
    static func integer(_ value: Int64) -> [UInt8] {
        [0x8A, 8] + (0..<8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }
    static func tuple(_ items: [[UInt8]]) -> [UInt8] { [0x28] + items.joined() + [0x74] }
    static func global(_ module: String, _ name: String) -> [UInt8] {
        text(module) + text(name) + [0x93]
    }
    static func call(_ function: [UInt8], _ arguments: [[UInt8]]) -> [UInt8] {
        function + tuple(arguments) + [0x52]
    }
    /// An instance with a state, as protocol 2 and later make it.
    static func instance(_ module: String, _ name: String, state: [UInt8]) -> [UInt8] {
        global(module, name) + [0x29, 0x81] + state + [0x62]
    }
    static func dictionary(_ items: [(String, [UInt8])]) -> [UInt8] {
        [0x7D, 0x28] + items.flatMap { text($0.0) + $0.1 } + [0x75]
    }
    /// The first `sizes` of a storage of four numbers.
    static func tensor(_ sizes: [Int64]) -> [UInt8] {
        let storage =
            tuple([
                text("storage"), global("torch", "FloatStorage"), text("0"), text("cpu"),
                integer(4),
            ]) + [0x51]
        return call(
            global("torch._utils", "_rebuild_tensor_v2"),
            [
                storage, integer(0), tuple(sizes.map(integer)),
                tuple(sizes.map { _ in integer(1) }),
                [0x89], [0x7D],
            ])
    }
}

struct PickledObjectsTests {
    /// The value in a file as PyTorch wrote it before 1.6, with one storage of 1, 2, 3, 4.
    private func open(_ value: [UInt8], stateDict: String? = nil) throws -> StateDict {
        let scratch = try Scratch()
        let magic: [UInt8] = [
            0x80, 2, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E,
        ]
        let head: [UInt8] = magic + [0x80, 2, 0x4D, 0xE9, 3, 0x2E] + [0x80, 2, 0x7D, 0x2E]
        let numbers: [Float] = [1, 2, 3, 4]
        let tail: [UInt8] =
            [0x2E] + [0x80, 2, 0x5D, 0x8C, 1, 0x30, 0x61, 0x2E] + [4, 0, 0, 0, 0, 0, 0, 0]
            + numbers.flatMap { value in withUnsafeBytes(of: value) { Array($0) } }
        return try Checkpoint.open(
            try scratch.file("x.pth", head + [0x80, 4] + value + tail), stateDict: stateDict)
    }

    private let weights = Pickle.dictionary([("w", Pickle.tensor([4]))])

    @Test func argumentsAndScalarsAreLeftAlone() throws {
        let arguments = Pickle.instance(
            "argparse", "Namespace", state: Pickle.dictionary([("lr", [0x4B, 1])]))
        let scalar = Pickle.call(
            Pickle.global("numpy._core.multiarray", "scalar"),
            [Pickle.call(Pickle.global("numpy", "dtype"), [Pickle.text("f8")]), [0x43, 1, 7]])
        let meters =
            Pickle.call(
                Pickle.global("collections", "defaultdict"), [Pickle.global("builtins", "list")])
            + [0x28] + Pickle.text("loss") + [0x5D, 0x75]
        let path = Pickle.call(Pickle.global("pathlib", "PosixPath"), [Pickle.text("/tmp")])
        let mode = Pickle.call(
            Pickle.global("builtins", "getattr"),
            [Pickle.global("train", "Mode"), Pickle.text("FAST")])
        let called = Pickle.call(
            Pickle.call(Pickle.global("functools", "partial"), []), [])
        let state = try open(
            Pickle.dictionary([
                ("args", arguments), ("best", scalar), ("meters", meters), ("path", path),
                ("mode", mode), ("called", called), ("state_dict", weights),
            ]))
        #expect(state.tensors.keys == ["w"])
        #expect(try state["w"]?.load().floats == [1, 2, 3, 4])
        #expect(state.remarks.isEmpty)
    }

    @Test func programsAreRefusedBesideTensors() throws {
        for (module, name) in [
            ("os", "system"), ("posix", "system"), ("subprocess", "Popen"), ("builtins", "eval"),
            ("builtins", "exec"), ("torch", "load"), ("importlib", "import_module"),
        ] {
            let attack = Pickle.call(Pickle.global(module, name), [Pickle.text("true")])
            let error = #expect(throws: FormatError.self) {
                try open(Pickle.dictionary([("a", attack), ("state_dict", weights)]))
            }
            #expect(error?.message.contains("\(module).\(name)") == true)
        }
    }

    @Test func averagedWeightsAreChosenByName() throws {
        let average = Pickle.dictionary([("w", Pickle.tensor([2]))])
        let file = Pickle.dictionary([("model", weights), ("ema", average), ("epoch", [0x4B, 3])])
        let usual = try open(file)
        #expect(usual["w"]?.shape == [4])
        #expect(usual.remarks == [.chosen("model", others: ["ema"])])
        #expect(try open(file, stateDict: "ema")["w"]?.shape == [2])
        let nested = Pickle.dictionary([("ema", Pickle.dictionary([("shadow", average)]))])
        #expect(try open(nested, stateDict: "ema.shadow")["w"]?.shape == [2])
        #expect(throws: FormatError.noStateDict(path: "", "x", found: [])) {
            do { _ = try open(file, stateDict: "x") } catch let error as FormatError {
                guard case .noStateDict(_, let name, let found) = error else { throw error }
                #expect(found == ["w"])
                throw FormatError.noStateDict(path: "", name, found: [])
            }
        }
    }

    /// A module is a tree of dictionaries; what its `state_dict()` leaves out is left out.
    @Test func modulesAreReadAsTheirStateDict() throws {
        func module(
            _ name: String, _ parameters: [(String, [UInt8])], _ children: [(String, [UInt8])]
        )
            -> [UInt8]
        {
            let passing = [0x5D] + Pickle.text("grid") + [0x61]
            return Pickle.instance(
                "nets", name,
                state: Pickle.dictionary([
                    ("training", [0x89]), ("_parameters", Pickle.dictionary(parameters)),
                    ("_buffers", Pickle.dictionary([("grid", Pickle.tensor([1]))])),
                    (
                        "_non_persistent_buffers_set",
                        Pickle.call(Pickle.global("builtins", "set"), [passing])
                    ),
                    ("_modules", Pickle.dictionary(children)), ("_hooks", [0x7D]),
                ]))
        }
        let inner = module("Conv", [("weight", Pickle.tensor([4])), ("bias", [0x4E])], [])
        let state = try open(module("Net", [], [("conv", inner)]))
        #expect(state.tensors.keys == ["conv.weight"])
        #expect(state.remarks == [.module("nets.Net")])
    }

    @Test func tensorsOfOtherKindsAreNamed() throws {
        let quantized = Pickle.call(Pickle.global("torch._utils", "_rebuild_qtensor"), [])
        let array = Pickle.call(
            Pickle.global("numpy.core.multiarray", "_reconstruct"),
            [Pickle.global("numpy", "ndarray")])
        let state = try open(
            Pickle.dictionary([("q", quantized), ("a", array), ("w", Pickle.tensor([4]))]))
        #expect(state.tensors.keys == ["w"])
        #expect(state.remarks.count == 2)
        #expect(state.remarks.map(\.description).joined().contains("_rebuild_qtensor"))
    }

    /// Parameters with state, and subclasses of tensors, hold a plain tensor.
    @Test func wrappedTensorsAreTensors() throws {
        let parameter = Pickle.call(
            Pickle.global("torch._utils", "_rebuild_parameter_with_state"),
            [Pickle.tensor([4]), [0x88], [0x7D], [0x7D]])
        let rebuilt = Pickle.tensor([3])
        // The function that rebuilds it, its class, the arguments of that function, its state.
        let arguments = Array(
            rebuilt.dropLast().dropFirst(
                Pickle.global(
                    "torch._utils", "_rebuild_tensor_v2"
                ).count))
        let subclass = Pickle.call(
            Pickle.global("torch._tensor", "_rebuild_from_type_v2"),
            [
                Pickle.global("torch._utils", "_rebuild_tensor_v2"),
                Pickle.global("fastai.torch_core", "TensorImage"), arguments, [0x7D],
            ])
        let state = try open(Pickle.dictionary([("p", parameter), ("s", subclass)]))
        #expect(state["p"]?.shape == [4])
        #expect(state["s"]?.shape == [3])
    }
}
