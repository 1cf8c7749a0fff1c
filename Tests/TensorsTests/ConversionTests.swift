// Numbers between element types, against the types of the language where it has them.

import GraftTensors
import Testing

@Suite struct ConversionTests {
    private func tensor<Element: BitwiseCopyable>(_ elements: [Element], as dtype: DType) -> Tensor
    {
        Tensor(dtype, [elements.count], storage: Storage(elements))
    }

    private func elements<Element: BitwiseCopyable>(of tensor: Tensor, as: Element.Type)
        -> [Element]
    {
        tensor.withBytes { bytes in
            (0..<tensor.count).map {
                bytes.loadUnaligned(
                    fromByteOffset: $0 * MemoryLayout<Element>.stride, as: Element.self)
            }
        }
    }

    /// Every half-precision number there is, both ways.
    @Test func halvesAreThoseOfTheLanguage() {
        let patterns = (0...UInt16.max).map { $0 }
        let floats = tensor(patterns, as: .f16).converted(to: .f32).floats
        for (pattern, float) in zip(patterns, floats) {
            let half = Float16(bitPattern: pattern)
            guard !half.isNaN else {
                #expect(float.isNaN)
                continue
            }
            #expect(float.bitPattern == Float(half).bitPattern)
        }
        let finite = floats.filter { !$0.isNaN }
        let back = elements(
            of: tensor(finite, as: .f32).converted(to: .f16), as: UInt16.self)
        #expect(back == finite.map { Float16($0).bitPattern })
    }

    /// Numbers between two halves are rounded to nearest, ties to even, and too large ones to ∞.
    @Test func roundsToHalves() {
        var numbers: [Float] = [65504, 65519, 65520, 1e30, -1e30, 1e-8, 5.9e-8, 2.98e-8, 6e-5]
        for step in 0..<4096 {
            numbers.append(1 + Float(step) / 4096)
            numbers.append(-1e-4 * (1 + Float(step) / 4096))
        }
        let halves = elements(
            of: tensor(numbers, as: .f32).converted(to: .f16), as: UInt16.self)
        #expect(halves == numbers.map { Float16($0).bitPattern })
    }

    /// bfloat16 is the upper half of a float, rounded to nearest even.
    @Test func roundsToBFloat16() {
        let numbers: [Float] =
            [
                0, -0, 1, 1.001, 3.1415927, 1.00390625, 1.01171875, 3.4e38, -.leastNonzeroMagnitude,
                .infinity,
            ]
        let found = elements(
            of: tensor(numbers, as: .f32).converted(to: .bf16), as: UInt16.self)
        let expected = numbers.map { number in
            let bits = UInt64(number.bitPattern)
            return UInt16(truncatingIfNeeded: (bits + 0x7FFF + (bits >> 16 & 1)) >> 16)
        }
        #expect(found == expected)
        let nan = elements(
            of: tensor([Float.nan], as: .f32).converted(to: .bf16), as: UInt16.self)
        #expect(nan[0] & 0x7F80 == 0x7F80 && nan[0] & 0x7F != 0)
    }

    @Test func integersKeepTheirValues() {
        let values: [Int64] = [.min, -1, 0, 1, 1 << 40, .max]
        let doubles = elements(of: tensor(values, as: .i64).converted(to: .f64), as: Double.self)
        #expect(doubles == values.map { Double($0) })
        let bytes: [UInt8] = [0, 1, 200, 255]
        #expect(tensor(bytes, as: .u8).floats == [0, 1, 200, 255])
    }

    @Test func countsNumbersThatAreNotFinite() {
        let numbers: [Float] = [1, .nan, .infinity, -.infinity, .greatestFiniteMagnitude, -0]
        #expect(Tensor(numbers, shape: [6]).nonFiniteCount == 3)
        // Too large for a half: infinite there.
        #expect(Tensor(numbers, shape: [6]).converted(to: .f16).nonFiniteCount == 4)
    }

    @Test func readsFloatsThatLieUnaligned() {
        let bytes: [UInt8] = [0xFF, 0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0]
        let tensor = Tensor(.f32, [2], storage: Storage(bytes), byteOffset: 1)
        #expect(tensor.withFloats { Array($0) } == [1, -2])
    }
}
