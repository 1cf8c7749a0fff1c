// Mixup and cutmix: batches whose photos are blends of two, with the labels of both.

import GraftTensors

/// Blends each photo of a batch with the one before it, all by the same share, as torchvision does.
struct Mixing {
    let mixup: Double
    let cutmix: Double

    init(_ options: TrainingOptions) {
        mixup = options.mixup
        cutmix = options.cutmix
    }

    /// Blends `input` in place; nil if nothing is to be mixed. Where both are asked for, each
    /// batch draws one of them.
    func apply(_ input: inout Tensor, _ labels: [Int], _ random: inout RandomSource) -> (
        labels: [Int], share: Double
    )? {
        guard mixup > 0 || cutmix > 0, labels.count > 1 else { return nil }
        let cuts = mixup > 0 && cutmix > 0 ? random.below(2) == 1 : cutmix > 0
        let share = random.beta(cuts ? cutmix : mixup)
        let others = labels.indices.map { labels[($0 + labels.count - 1) % labels.count] }
        let shape = input.shape
        let size = shape.count / shape[0]
        let rows = labels.count
        if cuts, shape.rank == 4, shape[2] > 1, shape[3] > 1 {
            let (height, width) = (shape[2], shape[3])
            let box = Mixing.box(height, width, share, &random)
            input = blended(input) { source, target in
                for row in 0..<rows {
                    let (own, other) = (row * size, (row + rows - 1) % rows * size)
                    for plane in 0..<shape[1] {
                        for y in box.y {
                            for x in box.x {
                                let at = (plane * height + y) * width + x
                                target[own + at] = source[other + at]
                            }
                        }
                    }
                }
            }
            // The labels count by the area that is left, not by what was drawn.
            let area = Double(box.y.count * box.x.count) / Double(height * width)
            return (others, 1 - area)
        }
        let (first, second) = (Float(share), Float(1 - share))
        input = blended(input) { source, target in
            for row in 0..<rows {
                let (own, other) = (row * size, (row + rows - 1) % rows * size)
                for at in 0..<size {
                    target[own + at] = first * source[own + at] + second * source[other + at]
                }
            }
        }
        return (others, share)
    }

    private func blended(
        _ input: Tensor,
        _ body: (UnsafeBufferPointer<Float>, UnsafeMutableBufferPointer<Float>) -> Void
    ) -> Tensor {
        input.withFloats { source in
            Tensor(shape: input.shape) { target in
                _ = target.update(fromContentsOf: source)
                body(source, target)
            }
        }
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
