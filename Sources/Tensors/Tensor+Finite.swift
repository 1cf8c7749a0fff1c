// Whether the numbers of a tensor are numbers.

extension Tensor {
    /// How many elements are, as 32-bit floats, infinite or no numbers.
    public var nonFiniteCount: Int {
        withFloats { floats in
            // All bits of the exponent set. Whole numbers, so that several are looked at at once.
            var count = 0
            for value in floats {
                count &+= value.bitPattern & 0x7F80_0000 == 0x7F80_0000 ? 1 : 0
            }
            return count
        }
    }
}
