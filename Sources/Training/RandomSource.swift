// Random numbers that are the same on every machine for the same seed.

/// xoshiro256** seeded by SplitMix64 (Blackman & Vigna, https://prng.di.unimi.it).
///
/// Swift's own generators promise no sequence; this one is part of what a seed means in graft.
package struct RandomSource: RandomNumberGenerator, Sendable, Hashable, Codable {
    /// The four words of state: all there is to save and to resume from.
    package private(set) var state: [UInt64]

    /// A sequence that depends on `seed` alone.
    package init(seed: UInt64) {
        var mixer = seed
        state = (0..<4).map { _ in
            mixer &+= 0x9E37_79B9_7F4A_7C15
            var word = mixer
            word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
            word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
            return word ^ (word >> 31)
        }
    }

    /// A sequence that goes on from `state`, or nil if it is not four words.
    package init?(state: [UInt64]) {
        guard state.count == 4, state.contains(where: { $0 != 0 }) else { return nil }
        self.state = state
    }

    /// The next 64 bits.
    package mutating func next() -> UInt64 {
        func rotated(_ word: UInt64, _ count: UInt64) -> UInt64 {
            (word << count) | (word >> (64 - count))
        }
        let result = rotated(state[1] &* 5, 7) &* 9
        let shifted = state[1] << 17
        state[2] ^= state[0]
        state[3] ^= state[1]
        state[1] ^= state[2]
        state[0] ^= state[3]
        state[2] ^= shifted
        state[3] = rotated(state[3], 45)
        return result
    }

    /// A number in 0 ..< 1 with 24 random bits.
    package mutating func unit() -> Float { Float(next() >> 40) * 0x1p-24 }

    /// A number in 0 ..< `bound`, without bias (Lemire, arXiv:1805.10941).
    package mutating func below(_ bound: Int) -> Int {
        precondition(bound > 0)
        let bound = UInt64(bound)
        var product = next().multipliedFullWidth(by: bound)
        if product.low < bound {
            let threshold = (0 &- bound) % bound
            while product.low < threshold { product = next().multipliedFullWidth(by: bound) }
        }
        return Int(product.high)
    }

    /// The numbers 0 ..< `count` in random order (Fisher & Yates).
    package mutating func permutation(_ count: Int) -> [Int] {
        var order = Array(0..<count)
        for index in stride(from: count - 1, to: 0, by: -1) {
            order.swapAt(index, below(index + 1))
        }
        return order
    }

    /// Keras' `glorot_uniform`: U(±√(6 / (fanIn + fanOut))).
    package mutating func glorotUniform(count: Int, fanIn: Int, fanOut: Int) -> [Float] {
        let limit = Float((6 / Double(max(fanIn + fanOut, 1))).squareRoot())
        return (0..<count).map { _ in (2 * unit() - 1) * limit }
    }
}
