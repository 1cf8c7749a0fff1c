// The arithmetic on extents that a stranger may have written.

import Foundation
import GraftTensors
import Testing

@Suite struct ShapeTests {
    @Test func countsElements() {
        #expect(Shape([]).count == 1)
        #expect(Shape([2, 3, 4]).checkedCount == 24)
        #expect(Shape([2, 0, 4]).checkedCount == 0)
    }

    @Test(arguments: [
        Shape([-1]), [3, -2], [1 << 32, 1 << 32], [.max, 2], [0, 1 << 62, 1 << 62], [0, -1],
    ]) func refusesWhatCannotBeCounted(shape: Shape) {
        #expect(shape.checkedCount == nil)
        #expect(shape.checkedByteCount(.u8) == nil)
    }

    @Test func countsBytesWithoutOverflow() {
        #expect(Shape([3, 5]).checkedByteCount(.f32) == 60)
        // The elements can be counted, their bits cannot.
        #expect(Shape([1 << 60]).checkedCount == 1 << 60)
        #expect(Shape([1 << 60]).checkedByteCount(.f64) == nil)
        // Three numbers of four bits touch two bytes, four of six bits three.
        #expect(Shape([3]).checkedByteCount(.f4) == 2)
        #expect(Shape([4]).checkedByteCount(.f6e2m3) == 3)
    }

    @Test func readsAndWritesAList() throws {
        let data = try JSONEncoder().encode(Shape([1, 3, 224, 224]))
        #expect(String(decoding: data, as: UTF8.self) == "[1,3,224,224]")
        #expect(try JSONDecoder().decode(Shape.self, from: data) == [1, 3, 224, 224])
    }

    @Test func readsAsInPython() {
        #expect("\(Shape([]))" == "()")
        #expect("\(Shape([7]))" == "(7,)")
        #expect("\(Shape([1, 3]).permuted([1, 0]))" == "(3, 1)")
    }
}

@Suite struct DTypeTests {
    @Test func knowsItsSize() {
        for dtype in DType.allCases {
            #expect(dtype.isPacked == (dtype.bitCount < 8))
            #expect(dtype.byteCount == max(1, dtype.bitCount / 8))
        }
        #expect(DType.c64.byteCount == 8)
        #expect(DType.bf16.isFloatingPoint && !DType.c64.isFloatingPoint)
    }
}
