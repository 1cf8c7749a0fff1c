// Scores to probabilities.

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#endif

/// `exp(x) / Σ exp(x)`, stable for large scores.
func softmax(_ scores: [Float]) -> [Float] {
    let largest = scores.max() ?? 0
    let powers = scores.map { exp(Double($0 - largest)) }
    let sum = powers.reduce(0, +)
    return powers.map { Float($0 / sum) }
}
