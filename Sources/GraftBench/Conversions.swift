// Converting weights: half to single precision, and Keras' axes to graft's, beside plain loops.

import GraftTensors

func benchConversion(_ bench: Bench) throws {
    let count = 1 << 23
    let half = Tensor(numbers(count), shape: [count]).converted(to: .f16)
    let bits: [UInt16] = half.withBytes { Array($0.bindMemory(to: UInt16.self)) }
    try bench(
        "f16 to f32, 8 M numbers",
        plain: (
            "a loop over Float16",
            { keep(bits.map { Float(Float16(bitPattern: $0)) }) }
        ), bytes: count * 6
    ) {
        keep(half.converted(to: .f32))
    }

    // A 3×3 kernel of 512 to 512 channels, as Keras keeps it: (kH, kW, I, O).
    let side = 512
    let kernel = Tensor(numbers(9 * side * side), shape: [3, 3, side, side])
    let source = kernel.floats
    func plain() -> [Float] {
        var target = [Float](repeating: 0, count: source.count)
        for place in 0..<9 {
            for i in 0..<side {
                for o in 0..<side {
                    target[(o * side + i) * 9 + place] = source[(place * side + i) * side + o]
                }
            }
        }
        return target
    }
    precondition(kernel.permuted([3, 2, 0, 1]).floats == plain())
    try bench(
        "HWIO to OIHW, 512 × 512 × 3 × 3", plain: ("nested loops", { keep(plain()) }),
        bytes: source.count * 8
    ) {
        keep(kernel.permuted([3, 2, 0, 1]))
    }
}
