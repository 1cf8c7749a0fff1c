// The samples that a number of a resized axis is made of, by ONNX's rules.

/// The samples around a place of an axis, and their weights: those of ONNX's `Resize` in its reference
/// implementation, which has PyTorch's and timm's rules among its own.
///
/// ```swift
/// let kernel = ResizeKernel(mode: .linear)
/// let samples = kernel.samples(around: 0.5, of: 4, by: 2)  // half of sample 0 and half of sample 1
/// ```
public struct ResizeKernel: Sendable, Hashable {
    /// The way from samples to the number between them.
    public var mode: Op.Resize.Mode
    /// The nearest sample to a place in the middle.
    public var rounding: Op.Resize.Rounding
    /// The coefficient of the cubic kernel (Keys 1981).
    public var cubic: Double
    /// Whether samples outside the axis count nothing, and not as its end.
    public var excludesOutside: Bool
    /// Whether the kernel grows where the axis shrinks.
    public var antialiases: Bool

    /// A kernel, PyTorch's unless a setting says otherwise.
    public init(
        mode: Op.Resize.Mode, rounding: Op.Resize.Rounding = .roundPreferFloor,
        cubic: Double = -0.75, excludesOutside: Bool = false, antialiases: Bool = false
    ) {
        self.mode = mode
        self.rounding = rounding
        self.cubic = cubic
        self.excludesOutside = excludesOutside
        self.antialiases = antialiases
    }

    /// The samples around the coordinate `x` of an axis of `size` samples that is resized by `factor`.
    public func samples(
        around x: Double, of size: Int, by factor: Double
    ) -> [(index: Int, weight: Double)] {
        func inside(_ sample: Double) -> Int { Int(min(max(sample, 0), Double(size - 1))) }
        if mode == .nearest {
            let sample: Double =
                switch rounding {
                case .roundPreferFloor: (x - 0.5).rounded(.up)
                case .roundPreferCeil: (x + 0.5).rounded(.down)
                case .floor: x.rounded(.down)
                case .ceil: x.rounded(.up)
                }
            return [(inside(sample), 1)]
        }
        // The kernel is as much wider as the map gets smaller.
        let narrow = antialiases ? min(factor, 1) : 1
        let radius = (mode == .linear ? 1 : 2) / narrow
        var list: [(index: Int, weight: Double)] = []
        var sample = (x - radius).rounded(.down) + 1
        while sample < x + radius {
            let weight = weight(at: (sample - x) * narrow)
            if weight != 0, !excludesOutside || (0...Double(size - 1)).contains(sample) {
                list.append((inside(sample), weight))
            }
            sample += 1
        }
        let sum = list.reduce(0) { $0 + $1.weight }
        return sum == 0 ? list : list.map { ($0.index, $0.weight / sum) }
    }

    /// The kernel at a distance.
    private func weight(at distance: Double) -> Double {
        let d = abs(distance)
        guard mode == .cubic else { return max(0, 1 - d) }
        if d <= 1 { return ((cubic + 2) * d - (cubic + 3)) * d * d + 1 }
        if d < 2 { return ((cubic * d - 5 * cubic) * d + 8 * cubic) * d - 4 * cubic }
        return 0
    }
}

extension Op.Resize {
    /// The rule of its samples.
    public var kernel: ResizeKernel {
        ResizeKernel(
            mode: mode, rounding: rounding, cubic: cubic, excludesOutside: excludesOutside,
            antialiases: antialiases)
    }
}

extension Op.Resize.Coordinates {
    /// The coordinate in an axis of `size` samples of place `index` in the axis resized by `factor`.
    public func coordinate(of index: Int, in size: Int, by factor: Double) -> Double {
        let place = Double(index)
        let width = factor * Double(size)
        return switch self {
        case .halfPixel: (place + 0.5) / factor - 0.5
        case .pytorchHalfPixel: width > 1 ? (place + 0.5) / factor - 0.5 : 0
        case .asymmetric: place / factor
        case .alignCorners: width == 1 ? 0 : place * (Double(size) - 1) / (width - 1)
        }
    }
}
