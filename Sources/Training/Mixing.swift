// Mixup and cutmix: batches whose photos are blends of two, with the labels of both.

import GraftTensors

/// Blends each photo of a batch with the one before it, all by the same share, as torchvision does.
struct Mixing {
    let mixup: Double
    let cutmix: Double

    /// How one batch is blended: drawn once, the same for all processes that share the batch.
    struct Draw {
        /// What a photo keeps of itself, and its label of the loss.
        let share: Double
        /// The part that is cut from the other photo; nil where all values are blended.
        let box: (y: Range<Int>, x: Range<Int>)?
    }

    init(_ options: TrainingOptions) {
        mixup = options.mixup
        cutmix = options.cutmix
    }

    /// Whether a batch of so many photos is blended.
    func blends(_ count: Int) -> Bool { (mixup > 0 || cutmix > 0) && count > 1 }

    /// What each element of a batch is blended with: the one before it, the first with the last.
    static func partners<Element>(_ batch: [Element]) -> [Element] {
        guard let last = batch.last else { return [] }
        return [last] + batch.dropLast()
    }

    /// Draws how a batch of `count` photos is blended, in all processes together; nil if nothing is
    /// to be mixed. Where mixup and cutmix are both asked for, each batch draws one of them.
    func draw(_ count: Int, _ shape: Shape, _ random: inout RandomSource) -> Draw? {
        guard blends(count) else { return nil }
        let cuts = mixup > 0 && cutmix > 0 ? random.below(2) == 1 : cutmix > 0
        let share = random.beta(cuts ? cutmix : mixup)
        guard cuts, shape.rank == 4, shape[2] > 1, shape[3] > 1 else {
            return Draw(share: share, box: nil)
        }
        let (height, width) = (shape[2], shape[3])
        let box = Mixing.box(height, width, share, &random)
        // The labels count by the area that is left, not by what was drawn.
        let area = Double(box.y.count * box.x.count) / Double(height * width)
        return Draw(share: 1 - area, box: box)
    }

    /// A box around a uniform centre with √(1 − share) of each side, cut at the border.
    static func box(
        _ height: Int, _ width: Int, _ share: Double, _ random: inout RandomSource
    ) -> (y: Range<Int>, x: Range<Int>) {
        let (centerY, centerX) = (random.below(height), random.below(width))
        let side = 0.5 * (1 - share).squareRoot()
        let (halfY, halfX) = (Int(side * Double(height)), Int(side * Double(width)))
        return (
            max(centerY - halfY, 0)..<min(centerY + halfY, height),
            max(centerX - halfX, 0)..<min(centerX + halfX, width)
        )
    }
}

extension Mixing.Draw {
    /// The first rows of `input`, each blended with a row of `others`: row k with `partners[k]`.
    func blend(_ input: Tensor, _ others: Tensor, _ partners: [Int]) -> Tensor {
        let shape = input.shape
        let size = shape.count / shape[0]
        return input.withFloats { own in
            others.withFloats { other in
                Tensor(shape: shape) { target in
                    _ = target.update(fromContentsOf: own)
                    for (row, partner) in partners.enumerated() {
                        let (to, from) = (row * size, partner * size)
                        guard let box else {
                            let (first, second) = (Float(share), Float(1 - share))
                            for at in 0..<size {
                                target[to + at] = first * own[to + at] + second * other[from + at]
                            }
                            continue
                        }
                        for plane in 0..<shape[1] {
                            for y in box.y {
                                for x in box.x {
                                    let at = (plane * shape[2] + y) * shape[3] + x
                                    target[to + at] = other[from + at]
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

extension RandomSource {
    /// A number in 0 ..< 1 with 53 random bits.
    public mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

    /// A standard normal number (Box & Muller).
    public mutating func normal() -> Double {
        let radius = (-2 * logarithm(1 - uniform())).squareRoot()
        return radius * cosineOf(2 * Double.pi * uniform())
    }

    /// A number of the symmetric beta distribution (Jöhnk for small α, else of two gammas).
    public mutating func beta(_ alpha: Double) -> Double {
        let (x, y) = (gamma(alpha), gamma(alpha))
        return x + y > 0 ? x / (x + y) : 0.5
    }

    /// A number of the gamma distribution with scale 1 (Marsaglia & Tsang 2000).
    public mutating func gamma(_ shape: Double) -> Double {
        guard shape >= 1 else {
            return gamma(shape + 1) * raised(1 - uniform(), 1 / shape)
        }
        let d = shape - 1.0 / 3
        let c = 1 / (9 * d).squareRoot()
        while true {
            let x = normal()
            let v = (1 + c * x) * (1 + c * x) * (1 + c * x)
            guard v > 0 else { continue }
            let u = 1 - uniform()
            if logarithm(u) < 0.5 * x * x + d - d * v + d * logarithm(v) { return d * v }
        }
    }
}
