// What each format's own library wrote is read with its names, shapes, types and numbers.

import GraftFormats
import GraftSystem
import GraftTensors
import OrderedCollections
import Testing

struct ReadingTests {
    @Test(arguments: [
        ("small.safetensors", Checkpoint.Kind.safetensors), ("small.npy", .npy),
        ("small.npz", .npz),
        ("deflated.npz", .npz), ("zip.pth", .torch), ("legacy.pth", .torch), ("legacy.h5", .hdf5),
        ("small.weights.h5", .hdf5), ("small.keras", .keras), ("small.onnx", .onnx),
        ("small.tflite", .tflite),
        ("small.index", .tensorflow), ("parts", .tensorflow),
    ])
    func theKindIsFoundByContent(_ name: String, _ kind: Checkpoint.Kind) throws {
        #expect(try Checkpoint.kind(of: Fixture.path(name)) == kind)
    }

    @Test func safetensors() throws {
        let state = try Checkpoint.open(Fixture.path("small.safetensors"))
        #expect(state.metadata == ["author": "Grüße \"x\""])
        #expect(Set(state.tensors.keys) == ["a", "b", "empty"])
        #expect(try state["a"]?.load().floats == quarters(6))
        #expect(state["b"]?.dtype == .f16)
        #expect(try state["b"]?.load().floats == quarters(4))
        #expect(state["empty"]?.shape == [0, 2])
    }

    @Test(arguments: ["small.npy", "fortran.npy", "big-endian.npy"])
    func npy(_ name: String) throws {
        let tensor = try Npy.read(Fixture.path(name))
        #expect(tensor.shape == [2, 3])
        #expect(tensor.floats == quarters(6))
    }

    @Test func npz() throws {
        let state = try Npz.read(Fixture.path("small.npz"))
        #expect(Array(state.tensors.keys) == ["a", "n"])
        #expect(state["n"]?.dtype == .i64)
        let deflated = try Npz.read(Fixture.path("deflated.npz"))
        #expect(try deflated["a"]?.load().floats == quarters(60))
    }

    @Test(arguments: ["zip.pth", "legacy.pth"])
    func torch(_ name: String) throws {
        let state = try Checkpoint.open(Fixture.path(name))
        #expect(Array(state.tensors.keys) == ["conv.weight", "conv.bias", "steps"])
        #expect(state.axes == .torch)
        // A transposed view: gathered.
        #expect(state["conv.weight"]?.shape == [3, 2])
        #expect(try state["conv.weight"]?.load().floats == [0, 0.75, 0.25, 1, 0.5, 1.25])
        #expect(state["conv.bias"]?.dtype == .bf16)
        #expect(try state["conv.bias"]?.load().floats == quarters(3))
        #expect(try state["steps"]?.load().floats == [7])
    }

    @Test func legacyKeras() throws {
        let state = try Checkpoint.open(Fixture.path("legacy.h5"))
        #expect(state.axes == .keras)
        #expect(state.metadata["keras_version"] == "2.2.4")
        #expect(Array(state.tensors.keys) == ["conv1_conv/kernel", "conv1_conv/bias"])
        #expect(try state["conv1_conv/kernel"]?.load().floats == quarters(6))
        let old = try Checkpoint.open(Fixture.path("keras1.h5"))
        #expect(Array(old.tensors.keys) == ["fc1/kernel", "fc1/bias"])
        #expect(try old["fc1/kernel"]?.load().floats == quarters(6))
    }

    @Test(arguments: ["small.weights.h5", "small.keras"])
    func keras3(_ name: String) throws {
        let state = try Checkpoint.open(Fixture.path(name))
        #expect(
            Array(state.tensors.keys) == [
                "stem/kernel", "stem/bias", "base/bn/beta", "base/bn/moving_mean",
                "base/bn/moving_variance", "base/depthwise_conv2d/depthwise_kernel",
            ])
        #expect(try state["stem/kernel"]?.load().floats == quarters(6))
        if name.hasSuffix(".keras") {
            #expect(state.metadata["keras_version"] == "3.15.1")
            #expect(state.metadata["model_config"] == "{\"class_name\": \"Functional\"}")
        }
    }

    /// libhdf5 tells files in memory apart by name alone.
    @Test func filesThatAreOpenAtATimeAreNotMixed() async throws {
        let expected = ["legacy.h5": "conv1_conv/kernel", "keras1.h5": "fc1/kernel"]
        try await withThrowingTaskGroup(of: (String, String?).self) { group in
            for _ in 0..<50 {
                for name in expected.keys {
                    group.addTask {
                        let state = try Checkpoint.open(
                            Fixture.path(name), isolation: .contiguousOnly)
                        return (name, state.tensors.keys.first)
                    }
                }
            }
            for try await (name, first) in group { #expect(first == expected[name]) }
        }
    }

    @Test func otherHDF5() throws {
        let state = try Checkpoint.open(Fixture.path("chunked.h5"), isolation: Fixture.isolation)
        #expect(try state["deflated"]?.load().floats == quarters(32))
        #expect(try state["big"]?.load().floats == quarters(3))
        #expect(try state["half"]?.load().floats == quarters(3))
        #expect(state["flag"]?.dtype == .bool)
        #expect(try state["flag"]?.load().floats == [1, 0])
        #expect(state["scalar"]?.shape == [])
        #expect(try state["scalar"]?.load().floats == [7])
    }

    /// What Keras 2 and 3 themselves wrote: a nested model, names in several attributes, bfloat16.
    @Test(arguments: ["nested_keras3.keras", "nested_keras2.full.h5"])
    func nestedKeras(_ name: String) throws {
        let state = try Checkpoint.open(Fixture.path(name), isolation: Fixture.isolation)
        #expect(state.tensors.count == 13)
        #expect(state["basenet/bconv/kernel"]?.shape == [3, 3, 3, 4])
        #expect(state["basenet/bsep/pointwise_kernel"]?.shape == [1, 1, 4, 5])
        #expect(state["head/kernel"]?.shape == [5, 3])
        #expect(state.metadata["model_config"]?.contains("GlobalAveragePooling2D") == true)
    }

    @Test func splitNamesOfKeras() throws {
        let state = try Checkpoint.open(
            Fixture.path("legacy_fixedlen.h5"), isolation: Fixture.isolation)
        #expect(
            Array(state.tensors.keys) == [
                "block1_conv1/kernel", "block1_conv1/bias", "fc1/kernel", "fc1/bias",
            ])
    }

    @Test func bfloat16OfKeras() throws {
        let state = try Checkpoint.open(
            Fixture.path("bfloat16.weights.h5"), isolation: Fixture.isolation)
        #expect(state["dense_2/kernel"]?.dtype == .bf16)
        #expect(state["dense_2/kernel"]?.shape == [4, 3])
        #expect(try state["dense_2/bias"]?.load().floats == [0, 0, 0])
    }
}
