// Axes in another order, views with strides, and bytes in the opposite order.

import GraftTensors
import Testing

@Suite struct PermutingTests {
    /// The permutation by its definition: element by element.
    private func definition(_ tensor: Tensor, axes: [Int]) -> [Float] {
        let source = tensor.shape.dimensions
        let target = axes.map { source[$0] }
        let floats = tensor.floats
        return (0..<tensor.count).map { flat in
            var rest = flat
            var place = [Int](repeating: 0, count: target.count)
            for axis in target.indices.reversed() {
                place[axis] = rest % target[axis]
                rest /= target[axis]
            }
            var index = [Int](repeating: 0, count: source.count)
            for (axis, from) in axes.enumerated() { index[from] = place[axis] }
            return floats[zip(index, source).reduce(0) { $0 * $1.1 + $1.0 }]
        }
    }

    @Test(arguments: [
        ([3, 4], [1, 0]), ([2, 3, 4], [2, 0, 1]), ([2, 3, 5, 7], [0, 2, 3, 1]),
        ([17, 1, 33], [2, 1, 0]), ([64, 3, 7, 7], [2, 3, 1, 0]), ([5], [0]),
        ([2, 0, 3], [1, 2, 0]),
    ]) func equalsItsDefinition(sizes: [Int], axes: [Int]) throws {
        let shape = Shape(sizes)
        let tensor = Tensor((0..<shape.count).map { Float($0) }, shape: shape)
        let permuted = tensor.permuted(axes)
        #expect(permuted.shape == shape.permuted(axes))
        #expect(permuted.floats == definition(tensor, axes: axes))
        // Every width of an element, and lazily.
        for dtype in [DType.u8, .f16, .f64] where shape.count <= 256 {
            let narrow = LazyTensor(tensor.converted(to: dtype)).permuted(axes)
            #expect(try narrow.load().floats == permuted.floats)
        }
    }

    /// A view of a storage as PyTorch saves one: strides that overlap, repeat or skip.
    @Test(arguments: [
        ([2, 3], [3, 1], 0), ([3, 2], [1, 3], 0), ([2, 2], [0, 1], 1), ([2, 2, 2], [1, 2, 3], 0),
        ([4], [2], 1), ([1, 5], [100, 1], 2), ([0, 4], [4, 1], 0),
    ]) func readsViews(sizes: [Int], strides: [Int], first: Int) throws {
        let numbers = (0..<10).map { Float($0) }
        let shape = Shape(sizes)
        let view = LazyTensor(.f32, shape, strides: strides) {
            (Storage(numbers), first * 4)
        }
        var expected: [Float] = []
        func walk(_ axis: Int, from place: Int) {
            guard axis < sizes.count else { return expected.append(numbers[place]) }
            for index in 0..<sizes[axis] { walk(axis + 1, from: place + index * strides[axis]) }
        }
        walk(0, from: first)
        #expect(view.shape == shape)
        #expect(try view.load().floats == expected)
    }

    @Test func turnsBytesRound() throws {
        let words: [UInt32] = [0x0102_0304, 0xA0B0_C0D0]
        let tensor = Tensor(.u32, [2], storage: Storage(words))
        let swapped = try LazyTensor(tensor).byteSwapped().load()
        #expect(swapped.withBytes { Array($0) } == [1, 2, 3, 4, 0xA0, 0xB0, 0xC0, 0xD0])
        // Both parts of a complex number apart.
        let complex = Tensor(.c64, [1], storage: Storage(words))
        let turned = try LazyTensor(complex).byteSwapped().load()
        #expect(turned.withBytes { Array($0) } == [1, 2, 3, 4, 0xA0, 0xB0, 0xC0, 0xD0])
    }
}
