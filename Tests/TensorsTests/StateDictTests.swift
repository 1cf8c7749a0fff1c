// Named tensors that are read when they are asked for.

import GraftTensors
import OrderedCollections
import Synchronization
import Testing

@Suite struct StateDictTests {
    @Test func keepsTheOrderOfItsFile() {
        var state = StateDict(["b": LazyTensor(Tensor([1, 2], shape: [2]))])
        state["a"] = LazyTensor(Tensor([3], shape: [1]).converted(to: .f16))
        #expect(Array(state.tensors.keys) == ["b", "a"])
        #expect(state.count == 2 && state.elementCount == 3 && state.byteCount == 10)
        state["b"] = nil
        #expect(state["b"] == nil && state.count == 1)
    }

    @Test func readsNothingBeforeItIsAsked() throws {
        let reads = Mutex(0)
        let lazy = LazyTensor(.f32, [2, 3]) {
            reads.withLock { $0 += 1 }
            return Tensor([1, 2, 3, 4, 5, 6], shape: [2, 3])
        }
        let chained = lazy.permuted([1, 0]).converted(to: .f64).reshaped([6])
        #expect(chained.shape == [6] && chained.dtype == .f64)
        #expect(reads.withLock { $0 } == 0)
        #expect(try chained.load().floats == [1, 4, 2, 5, 3, 6])
        #expect(reads.withLock { $0 } == 1)
    }

    @Test func refusesATensorThatIsNotAsAnnounced() {
        let lying = LazyTensor.deferred(.f32, [3]) { LazyTensor(Tensor([1, 2], shape: [2])) }
        #expect(throws: TensorError.notAsAnnounced("F32 (3,)")) { try lying.load() }
    }
}

@Suite struct SuggestionTests {
    @Test func namesWhatIsNear() {
        let names = ["resnet50", "resnet101", "torchvision/resnet50", "vgg16", "resnet50"]
        #expect(
            suggestions(for: "resnet5", among: names) == ["resnet50", "torchvision/resnet50"])
        #expect(suggestions(for: "RESNET50", among: names).first == "resnet50")
        #expect(suggestions(for: "zzzzzz", among: names).isEmpty)
        #expect(suggestions(for: "", among: []).isEmpty)
    }

    @Test func writesNumbersAndNames() {
        #expect(grouped(25_636_712) == "25,636,712")
        #expect(grouped(-999) == "-999" && grouped(-1000) == "-1,000")
        #expect(grouped(.min) == "-9,223,372,036,854,775,808")
        #expect(shortened("conv2d_transpose", to: 9) == "conv…pose")
        #expect(shortened("short", to: 9) == "short")
    }
}
