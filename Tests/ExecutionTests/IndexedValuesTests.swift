// Elements at computed places, running sums, and windows and samples of maps, by hand-made numbers.

import GraftExecution
import GraftNetworks
import GraftTensors
import Testing

@Suite struct IndexedValuesTests {
    private let square = Tensor([1, 2, 3, 4], shape: [2, 2])

    @Test func `Elements and slices are found at indices, also from the end`() throws {
        var sketch = Sketch(
            ValueType([2, 2]), ValueType([2, 2], element: .i64), ValueType([2, 1], element: .i64))
        let elements = sketch.add(.gatherElements(axis: 1), ValueID(0), ValueID(1))
        let slices = sketch.add(.gatherND(batch: 0), ValueID(0), ValueID(2))
        let paired = sketch.add(.gatherND(batch: 1), ValueID(0), ValueID(2))
        let found = try sketch.run(
            [square, Tensor([0, 0, -1, 0], shape: [2, 2]), Tensor([1, -2], shape: [2, 1])],
            ValueID(elements), ValueID(slices), ValueID(paired))
        #expect(found == [[1, 1, 4, 3], [3, 4, 1, 2], [2, 3]])
    }

    @Test func `An index that an axis does not have is named`() throws {
        var sketch = Sketch(ValueType([2, 2]), ValueType([1, 1], element: .i64))
        let slices = sketch.add(.gatherND(batch: 0), ValueID(0), ValueID(1))
        #expect(throws: ExecutionError.index(layer: "n2", index: 2, count: 2)) {
            try sketch.run([square, Tensor([2], shape: [1, 1])], ValueID(slices))
        }
    }

    @Test func `Updates replace elements or are combined with them`() throws {
        var sketch = Sketch(
            ValueType([2, 2]), ValueType([1, 2], element: .i64), ValueType([1, 2]),
            ValueType([2, 1], element: .i64), ValueType([2, 2]))
        let put = sketch.add(.scatterElements(axis: 0), ValueID(0), ValueID(1), ValueID(2))
        let largest = sketch.add(
            .scatterElements(axis: 0, reduction: .maximum), ValueID(0), ValueID(1), ValueID(2))
        let rows = sketch.add(.scatterND(reduction: .add), ValueID(0), ValueID(3), ValueID(4))
        let found = try sketch.run(
            [
                square, Tensor([1, 0], shape: [1, 2]), Tensor([9, -9], shape: [1, 2]),
                Tensor([1, 1], shape: [2, 1]), Tensor([10, 20, 100, 200], shape: [2, 2]),
            ], ValueID(put), ValueID(largest), ValueID(rows))
        #expect(found == [[1, -9, 9, 4], [1, 2, 9, 4], [1, 2, 113, 224]])
    }

    @Test func `Running sums and products go either way`() throws {
        var sketch = Sketch(ValueType([4]))
        let sum = sketch.add(.cumulate(.sum, axis: 0), ValueID(0))
        let back = sketch.add(
            .cumulate(.sum, axis: 0, isExclusive: true, isReversed: true), ValueID(0))
        let product = sketch.add(.cumulate(.product, axis: 0), ValueID(0))
        let found = try sketch.run(
            [Tensor([1, 2, 3, 4], shape: [4])], ValueID(sum), ValueID(back), ValueID(product))
        #expect(found == [[1, 3, 6, 10], [9, 7, 4, 0], [1, 2, 6, 24]])
    }

    @Test func `Remainders have the sign of either side`() throws {
        var sketch = Sketch(ValueType([4]), ValueType([4]))
        let modulo = sketch.add(.binary(.modulo), ValueID(0), ValueID(1))
        let remainder = sketch.add(.binary(.remainder), ValueID(0), ValueID(1))
        let found = try sketch.run(
            [Tensor([7, -7, 7, -7], shape: [4]), Tensor([3, 3, -3, -3], shape: [4])],
            ValueID(modulo), ValueID(remainder))
        #expect(found == [[1, 2, -2, -1], [1, -1, 1, -1]])
    }

    @Test func `A map is read between its pixels`() throws {
        var sketch = Sketch(ValueType([1, 1, 2, 2]), ValueType([1, 1, 3, 2]))
        let corners = sketch.add(
            .gridSample(.linear, border: .zeros, alignsCorners: true), ValueID(0), ValueID(1))
        let nearest = sketch.add(
            .gridSample(.nearest, border: .border, alignsCorners: false), ValueID(0), ValueID(1))
        let found = try sketch.run(
            [
                Tensor([1, 2, 3, 4], shape: [1, 1, 2, 2]),
                Tensor([0, 0, -1, -1, 3, 1], shape: [1, 1, 3, 2]),
            ], ValueID(corners), ValueID(nearest))
        #expect(found[0] == [2.5, 1, 0])
        #expect(found[1][1...] == [1, 4])
    }

    @Test func `The cells of a box are means of a map`() throws {
        var sketch = Sketch(
            ValueType([1, 1, 4, 4]), ValueType([1, 4]), ValueType([1], element: .i64))
        let cells = sketch.add(
            .roiAlign(
                Op.RoIAlign(
                    height: 2, width: 2, samplingRatio: 2, scale: 1, takesMaximum: false,
                    hasHalfPixels: true)), ValueID(0), ValueID(1), ValueID(2))
        let found = try sketch.run(
            [
                Tensor((0..<16).map(Float.init), shape: [1, 1, 4, 4]),
                Tensor([0, 0, 4, 4], shape: [1, 4]), Tensor([0], shape: [1]),
            ], ValueID(cells))
        #expect(found == [[2.5, 4.5, 10.5, 12.5]])
    }

    @Test func `Windows over one axis have maxima with places, means and sums`() throws {
        func pool(_ function: Op.PoolAxes.Function) -> Op {
            .poolAxes(
                Op.PoolAxes(
                    function: function, kernel: [3], strides: [2], dilations: [1], before: [1],
                    after: [1], sizes: [2]))
        }
        var sketch = Sketch(ValueType([1, 2, 4]))
        let largest = sketch.add(pool(.maximum), ValueID(0))
        let mean = sketch.add(pool(.average), ValueID(0))
        let padded = sketch.add(pool(.averageOfPadded), ValueID(0))
        let sum = sketch.add(pool(.sum), ValueID(0))
        let found = try sketch.run(
            [Tensor([1, 3, 2, 6, -1, -3, -2, -6], shape: [1, 2, 4])], ValueID(largest),
            ValueID(largest, output: 1), ValueID(mean), ValueID(padded), ValueID(sum))
        let (mid, low): (Float, Float) = (11 / 3, 4 / 3)
        let expected: [[Float]] = [
            [3, 6, -1, -2], [1, 3, 4, 6], [2, mid, -2, -mid], [low, mid, -low, -mid],
            [4, 11, -4, -11],
        ]
        #expect(found == expected)
    }
}
